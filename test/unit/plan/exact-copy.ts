/**
 * A guest's memory page by page, a writer, a balloon and a link, and QEMU's rounds over them: what really comes of a way to
 * make a move. Nothing here is shared with the planner's model but what QEMU aims at.
 */
import { randomFrom } from '../../random.ts';

export interface Guest {
  readonly pages: number;
  readonly pageBytes: number;
  /** Free again or page cache: what a balloon takes, anywhere in memory. */
  readonly reclaimable: number;
  /** Pages the writer goes over. */
  readonly workingSet: number;
  readonly writesPerMs: number;
  readonly writes: 'one-after-another' | 'anywhere';
}

export interface Way {
  readonly flipAfterRounds?: number | undefined;
  readonly shrinking?: { readonly bytesPerSec: number; readonly headStartMs: number } | undefined;
  readonly setupMs: number;
}

/** What is seen of a copy from outside, every so often. */
export interface Look {
  readonly everyMs: number;
  readonly look: (seen: {
    readonly atMs: number;
    readonly remaining: number;
    readonly round: number;
    readonly roundMs: number;
    /** Pages that were to be sent when the round began. */
    readonly listed: number;
  }) => 'flip' | 'pause' | undefined;
}

export interface Came {
  /** Infinite where it was called off, or went on for too long. */
  readonly totalMs: number;
  readonly bytes: number;
  readonly downtimeMs: number;
  readonly postcopyMs: number;
}

const downtimeLimitMs = 300;
const flipMs = 200;

/**
 * Runs it to its end, or to `patienceMs`.
 * @param rate bytes per ms, at a time in ms
 */
export function simulate(
  guest: Guest,
  way: Way,
  rate: (ms: number) => number,
  seed: number,
  patienceMs: number,
  look?: Look,
): Came {
  const memory = new Memory(guest, randomFrom(seed));
  const { shrinking } = way;
  let bytes = 0;
  let atMs = way.setupMs;
  const frees = (shrinking?.bytesPerSec ?? 0) / guest.pageBytes / 1_000;
  if (shrinking !== undefined) {
    const headMs = Math.min(shrinking.headStartMs, guest.reclaimable / frees);
    memory.pass(headMs, 0, frees);
    atMs += headMs;
  }
  memory.sync();
  let isFlipDue = false;
  let looksAtMs = atMs;
  for (let round = 0; ; round += 1) {
    const beganMs = atMs;
    const listed = memory.toSend;
    for (let due = true; due && !isFlipDue && way.flipAfterRounds !== round; due = memory.toSend > 0) {
      if (look !== undefined && atMs >= looksAtMs) {
        looksAtMs = atMs + look.everyMs;
        const said = look.look({ atMs, remaining: memory.toSend, round: round + 1, roundMs: atMs - beganMs, listed });
        if (said === 'pause') return { totalMs: Number.POSITIVE_INFINITY, bytes, downtimeMs: 0, postcopyMs: 0 };
        isFlipDue = said === 'flip';
        if (isFlipDue) break;
      }
      if (memory.next() === undefined) break;
      const ms = guest.pageBytes / rate(atMs);
      atMs += ms;
      bytes += guest.pageBytes;
      memory.pass(ms, guest.writesPerMs, frees);
      if (atMs > patienceMs) return { totalMs: Number.POSITIVE_INFINITY, bytes, downtimeMs: 0, postcopyMs: 0 };
    }
    if (isFlipDue || way.flipAfterRounds === round) {
      memory.sync();
      const fromMs = atMs;
      atMs += flipMs;
      for (let page = memory.next(); page !== undefined; page = memory.next()) {
        atMs += guest.pageBytes / rate(atMs);
        bytes += guest.pageBytes;
      }
      return { totalMs: atMs, bytes, downtimeMs: flipMs, postcopyMs: atMs - fromMs };
    }
    memory.sync();
    const left = memory.toSend * guest.pageBytes;
    const stopMs = left / rate(atMs);
    if (stopMs <= downtimeLimitMs) {
      return { totalMs: atMs + stopMs, bytes: bytes + left, downtimeMs: stopMs, postcopyMs: 0 };
    }
  }
}

class Memory {
  toSend: number;
  readonly #guest: Guest;
  readonly #random: () => number;
  /** QEMU's list of this round, and what was written since it was made. */
  readonly #listed: Uint8Array;
  readonly #written: Uint8Array;
  #writtenPages: number[] = [];
  readonly #writable: number[] = [];
  readonly #reclaimable: number[] = [];
  #cursor = 0;
  #at = 0;
  #writesDue = 0;
  #freesDue = 0;

  constructor(guest: Guest, seeded: () => number) {
    this.#guest = guest;
    this.#random = seeded;
    this.#listed = new Uint8Array(guest.pages).fill(1);
    this.#written = new Uint8Array(guest.pages);
    this.toSend = guest.pages;
    const order = Uint32Array.from({ length: guest.pages }, (_, page) => page);
    for (let last = guest.pages - 1; last > 0; last -= 1) {
      const other = Math.floor(seeded() * (last + 1));
      const page = order[last] ?? 0;
      order[last] = order[other] ?? 0;
      order[other] = page;
    }
    this.#reclaimable.push(...order.subarray(0, guest.reclaimable));
    this.#writable.push(...order.subarray(guest.reclaimable, guest.reclaimable + guest.workingSet));
  }

  /** The next page of the list, in the order of addresses as QEMU goes; none where the list is through. */
  next(): number | undefined {
    while (this.#cursor < this.#guest.pages && this.#listed[this.#cursor] === 0) this.#cursor += 1;
    if (this.#cursor >= this.#guest.pages) return undefined;
    this.#listed[this.#cursor] = 0;
    this.toSend -= 1;
    return this.#cursor;
  }

  pass(ms: number, writesPerMs: number, freesPerMs: number): void {
    this.#writesDue += ms * writesPerMs;
    this.#freesDue += ms * freesPerMs;
    const most = this.#guest.workingSet;
    let count = Math.floor(this.#writesDue);
    this.#writesDue -= count;
    // One after another, more than all of them is all of them.
    if (this.#guest.writes === 'one-after-another') count = Math.min(count, most);
    else count = Math.min(count, 6 * most);
    for (; count > 0; count -= 1) this.#write(most);
    for (; this.#freesDue >= 1 && this.#reclaimable.length > 0; this.#freesDue -= 1) {
      const page = this.#reclaimable.pop() ?? 0;
      if (this.#listed[page] === 1) this.toSend -= 1;
      this.#listed[page] = 0;
    }
  }

  /** What was written is the next round's list, beside what is left of this one. */
  sync(): void {
    for (const page of this.#writtenPages) {
      this.#written[page] = 0;
      if (this.#listed[page] === 0) this.toSend += 1;
      this.#listed[page] = 1;
    }
    this.#writtenPages = [];
    this.#cursor = 0;
  }

  #write(most: number): void {
    let index = this.#at;
    if (this.#guest.writes === 'anywhere') index = Math.floor(this.#random() * most);
    else this.#at = (this.#at + 1) % most;
    const page = this.#writable[index] ?? 0;
    if (this.#written[page] === 1) return;
    this.#written[page] = 1;
    this.#writtenPages.push(page);
  }
}
