import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  backoffMs,
  type GuestMemory,
  intervalMs,
  type MemorySample,
  selfBalloon,
  selfBalloonMarginBytes,
  selfBalloonStart,
} from '../../../shared/plan/self-balloon.ts';
import { MiB } from '../samples.ts';

const GiB = 1024 * MiB;
/** What the guest's kernel keeps from everybody, so that memory ends before `usable` says so. */
const reservedBytes = 24 * MiB;
const stepMs = 50;

interface GuestOptions {
  readonly fullBytes: number;
  readonly usedBytes: number;
  readonly cacheBytes?: number;
  /** How fast its balloon driver gives back. */
  readonly deflateBytesPerSec?: number;
}

/** A guest in steps of 50 ms, sampled once a second, with a driver that reports once a second half a second off. */
class SimulatedGuest {
  readonly fullBytes: number;
  readonly #deflateBytesPerSec: number;
  usedBytes: number;
  cacheBytes: number;
  balloonBytes = 0;
  allocateBytesPerSec = 0;
  swappedBytes = 0;
  /** What its kernel took back from the balloon instead of killing somebody. */
  deflatedOnOomBytes = 0;
  killed = false;
  mode: MemorySample['mode'] = 'balloon';
  reports = true;
  readonly targets: { readonly atMs: number; readonly bytes: number; readonly reason: string }[] = [];
  #wantedBytes: number;
  #state = selfBalloonStart;
  #atMs = 0;
  #report: GuestMemory = { currentBytes: 0 };

  constructor({ fullBytes, usedBytes, cacheBytes = 0, deflateBytesPerSec = 512 * MiB }: GuestOptions) {
    this.fullBytes = fullBytes;
    this.usedBytes = usedBytes + reservedBytes;
    this.cacheBytes = cacheBytes;
    this.#deflateBytesPerSec = deflateBytesPerSec;
    this.#wantedBytes = fullBytes;
  }

  get currentBytes(): number {
    return this.fullBytes - this.balloonBytes;
  }

  get freeBytes(): number {
    return this.currentBytes - this.usedBytes - this.cacheBytes;
  }

  get isInflating(): boolean {
    return this.balloonBytes < this.fullBytes - this.#wantedBytes;
  }

  get atMs(): number {
    return this.#atMs;
  }

  run(seconds: number): void {
    for (let steps = (seconds * 1_000) / stepMs; steps > 0; steps -= 1) this.#step();
  }

  #step(): void {
    this.#atMs += stepMs;
    this.#moveBalloon();
    this.#allocate();
    if (this.#atMs % 1_000 === 500 && this.reports) this.#reportNow();
    if (this.#atMs % 1_000 === 0) this.#sample();
  }

  #moveBalloon(): void {
    const wanted = this.fullBytes - this.#wantedBytes;
    if (wanted < this.balloonBytes) {
      this.balloonBytes = Math.max(wanted, this.balloonBytes - (this.#deflateBytesPerSec * stepMs) / 1_000);
      return;
    }
    const more = Math.min(wanted - this.balloonBytes, Math.max(0, this.freeBytes + this.cacheBytes), 32 * MiB);
    this.cacheBytes -= Math.max(0, more - Math.max(0, this.freeBytes));
    this.balloonBytes += more;
  }

  #allocate(): void {
    const bytes = Math.min((this.allocateBytesPerSec * stepMs) / 1_000, this.fullBytes - this.usedBytes);
    const short = bytes - Math.max(0, this.freeBytes);
    const dropped = Math.max(0, Math.min(short, this.cacheBytes));
    this.cacheBytes -= dropped;
    const still = Math.max(0, short - dropped);
    // A byte for rounding.
    if (still > this.balloonBytes + 1) this.killed = true;
    this.balloonBytes -= Math.min(still, this.balloonBytes);
    this.deflatedOnOomBytes += still;
    this.usedBytes += bytes;
  }

  #reportNow(): void {
    const usable = Math.max(0, this.currentBytes - this.usedBytes);
    this.#report = {
      currentBytes: 0,
      availableBytes: this.fullBytes - reservedBytes,
      usableBytes: usable,
      unusedBytes: Math.max(0, Math.min(usable, this.freeBytes)),
      swapInBytes: 0,
      swapOutBytes: this.swappedBytes,
      majorFaults: 0,
      lastUpdateS: 1 + Math.floor(this.#atMs / 1_000),
    };
  }

  #sample(): void {
    const memory = { ...this.#report, currentBytes: this.currentBytes };
    const { atMs, fullBytes, mode } = this;
    const { state, targetBytes, reason } = selfBalloon(this.#state, { atMs, memory, fullBytes, mode });
    this.#state = state;
    if (targetBytes === undefined) return;
    this.#wantedBytes = targetBytes;
    this.targets.push({ atMs, bytes: targetBytes, reason });
  }
}

const guests = fc
  .record({
    fullMiB: fc.integer({ min: 512, max: 64 * 1024 }),
    usedShare: fc.double({ min: 0.05, max: 0.8, noNaN: true }),
    cacheShare: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ fullMiB, usedShare, cacheShare }): GuestOptions => {
    const fullBytes = fullMiB * MiB;
    const usedBytes = Math.floor(fullBytes * usedShare);
    return { fullBytes, usedBytes, cacheBytes: Math.floor((fullBytes - usedBytes - reservedBytes) * cacheShare * 0.9) };
  });

/** Within three minutes free memory and cold cache have gone. */
function rested(options: GuestOptions): SimulatedGuest {
  const guest = new SimulatedGuest(options);
  guest.run(180);
  return guest;
}

const spareBytes = (guest: SimulatedGuest): number => guest.currentBytes - guest.usedBytes;

describe('a guest at rest', () => {
  it('gives up 95 % of its free memory at the first interval, and never what it uses and the margin', () => {
    const guest = new SimulatedGuest({ fullBytes: 16 * GiB, usedBytes: 2 * GiB });
    const free = guest.freeBytes;
    guest.run(5);
    expect(guest.targets).toEqual([
      { atMs: 4_000, bytes: expect.any(Number), reason: expect.stringMatching(/does not use/) },
    ]);
    const [{ bytes } = { bytes: 0 }] = guest.targets;
    expect(16 * GiB - bytes).toBeLessThanOrEqual(0.95 * free);
    expect(bytes).toBe(16 * GiB - Math.floor((16 * GiB - guest.usedBytes - 2 * GiB) / MiB) * MiB);
  });

  it('ends with little more than it uses and the margin, its page cache given a part at a time', () => {
    fc.assert(
      fc.property(guests, (options) => {
        const guest = rested(options);
        const margin = selfBalloonMarginBytes(options.fullBytes);
        const spare = spareBytes(guest);
        expect(spare).toBeGreaterThanOrEqual(Math.min(margin, options.fullBytes - guest.usedBytes) - MiB);
        expect(spare).toBeLessThanOrEqual(margin + 8 * 8 * MiB + 0.1 * (options.cacheBytes ?? 0));
        expect(guest.killed || guest.deflatedOnOomBytes > 0).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('is asked at most once in five seconds', () => {
    const guest = rested({ fullBytes: 8 * GiB, usedBytes: GiB, cacheBytes: 6 * GiB });
    const gaps = guest.targets.slice(1).map(({ atMs }, index) => atMs - (guest.targets[index]?.atMs ?? 0));
    expect(gaps.length).toBeGreaterThan(5);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(intervalMs);
  });
});

describe('a guest that suddenly allocates', () => {
  it('loses nothing at any rate, and has all of it back', () => {
    fc.assert(
      fc.property(
        guests,
        fc.integer({ min: 1, max: 1024 }),
        fc.integer({ min: 32, max: 2048 }),
        (options, rate, deflate) => {
          const guest = rested({ ...options, deflateBytesPerSec: deflate * MiB });
          guest.allocateBytesPerSec = rate * MiB;
          guest.run(Math.min(60, (0.9 * (options.fullBytes - guest.usedBytes)) / (rate * MiB)));
          guest.allocateBytesPerSec = 0;
          // What it was asked for before it grew may still be on its way, and its need shows only when it has less.
          while (guest.isInflating) guest.run(1);
          guest.run(3);
          expect(guest.killed).toBe(false);
          const margin = selfBalloonMarginBytes(options.fullBytes);
          expect(spareBytes(guest)).toBeGreaterThanOrEqual(
            Math.min(margin * 0.75, options.fullBytes - guest.usedBytes, deflate * MiB) - MiB,
          );
        },
      ),
      {
        numRuns: 60,
        // It grew while a large step of the balloon was under way.
        examples: [[{ fullBytes: 11_420_041_216, usedBytes: 571_002_060, cacheBytes: 0 }, 86, 976]],
      },
    );
  });

  it('up to three quarters of its margin in two seconds, it never comes near the end of its memory', () => {
    fc.assert(
      fc.property(guests, fc.double({ min: 0.05, max: 1, noNaN: true }), (options, share) => {
        const guest = rested(options);
        const rate = (share * 0.75 * selfBalloonMarginBytes(options.fullBytes)) / 2;
        // The guest gives back faster than it takes, as real ones do.
        const quick = rested({ ...options, deflateBytesPerSec: 2 * rate });
        quick.allocateBytesPerSec = rate;
        quick.run(Math.min(30, (0.9 * (options.fullBytes - guest.usedBytes)) / rate));
        expect(quick.deflatedOnOomBytes).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('is asked for nothing for ten intervals', () => {
    const guest = rested({ fullBytes: 4 * GiB, usedBytes: GiB });
    guest.allocateBytesPerSec = 300 * MiB;
    guest.run(3);
    guest.allocateBytesPerSec = 0;
    const back = guest.targets.at(-1);
    expect(back).toMatchObject({ bytes: 4 * GiB, reason: 'little of its memory is left' });
    guest.run(backoffMs / 1_000 - 2);
    expect(guest.targets.at(-1)).toBe(back);
    guest.run(10);
    expect(guest.targets.at(-1)?.bytes).toBeLessThan(4 * GiB);
  });
});

describe('a ballooned guest', () => {
  const ballooned = (): SimulatedGuest => rested({ fullBytes: 4 * GiB, usedBytes: GiB });

  it('has all back when it swaps', () => {
    const guest = ballooned();
    guest.swappedBytes += 4096;
    guest.run(2);
    expect(guest.targets.at(-1)).toMatchObject({ bytes: 4 * GiB, reason: 'it swaps' });
  });

  it('has all back when its driver falls silent, as in a reboot', () => {
    const guest = ballooned();
    guest.reports = false;
    guest.run(12);
    expect(guest.targets.at(-1)).toMatchObject({ bytes: 4 * GiB, reason: expect.stringMatching(/does not say/) });
  });

  it('has all back when ballooning is turned off', () => {
    const guest = ballooned();
    guest.mode = 'off';
    guest.run(8);
    expect(guest.currentBytes).toBe(4 * GiB);
  });

  it('grows with what it uses, a little at a time', () => {
    const guest = ballooned();
    guest.allocateBytesPerSec = 10 * MiB;
    guest.run(30);
    expect(guest.targets.at(-1)?.reason).toBe('the guest uses more than before');
    expect(guest.currentBytes).toBeLessThan(2.2 * GiB);
  });

  it('gives nothing more on the move, and has what it needs', () => {
    const guest = ballooned();
    guest.mode = 'guard';
    const before = guest.targets.length;
    guest.run(30);
    expect(guest.targets.length).toBe(before);
    guest.allocateBytesPerSec = 600 * MiB;
    guest.run(2);
    expect(guest.targets.at(-1)?.bytes).toBe(4 * GiB);
    expect(guest.killed).toBe(false);
  });
});

describe('figures', () => {
  const figure = fc.oneof(
    fc.constant(undefined),
    fc.constantFrom(-1, 0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 63),
    fc.integer({ min: 0, max: 8 * 1024 }).map((mib) => mib * MiB),
  );
  const lies = fc.record({
    currentBytes: fc.integer({ min: 0, max: 4 * 1024 }).map((mib) => mib * MiB),
    availableBytes: figure,
    usableBytes: figure,
    unusedBytes: figure,
    swapInBytes: figure,
    swapOutBytes: figure,
    majorFaults: figure,
    lastUpdateS: figure,
  });

  it('whatever they are, the guest is asked for whole MiB between its margin and all it has', () => {
    fc.assert(
      fc.property(fc.array(lies, { minLength: 1, maxLength: 40 }), (memories) => {
        const fullBytes = 4 * GiB;
        let state = selfBalloonStart;
        for (const [index, memory] of memories.entries()) {
          const step = selfBalloon(state, { atMs: index * 3_000, memory, fullBytes, mode: 'balloon' });
          state = step.state;
          const { targetBytes } = step;
          if (targetBytes === undefined) continue;
          expect(targetBytes % MiB).toBe(0);
          expect(targetBytes).toBeLessThanOrEqual(fullBytes);
          if (targetBytes >= memory.currentBytes) continue;
          const usable = memory.usableBytes ?? memory.unusedBytes ?? 0;
          expect(targetBytes).toBeGreaterThanOrEqual(memory.currentBytes - usable + selfBalloonMarginBytes(fullBytes));
        }
      }),
    );
  });

  it('where they are missing, nothing is ever taken', () => {
    for (const missing of ['availableBytes', 'lastUpdateS'] as const) {
      const all = { currentBytes: 4 * GiB, availableBytes: 4 * GiB, usableBytes: 3 * GiB, unusedBytes: 3 * GiB };
      let state = selfBalloonStart;
      for (let second = 1; second < 30; second += 1) {
        const memory = { ...all, lastUpdateS: second, [missing]: undefined };
        const step = selfBalloon(state, { atMs: second * 1_000, memory, fullBytes: 4 * GiB, mode: 'balloon' });
        state = step.state;
        expect(step.targetBytes).toBeUndefined();
      }
    }
  });

  it('a guest that keeps what it was asked for is not pressed further', () => {
    let state = selfBalloonStart;
    const asked: number[] = [];
    for (let second = 1; second < 40; second += 1) {
      const memory = {
        ...{ currentBytes: 3 * GiB, availableBytes: 4 * GiB, usableBytes: 2 * GiB, unusedBytes: 2 * GiB },
        lastUpdateS: second,
      };
      const step = selfBalloon(state, { atMs: second * 1_000, memory, fullBytes: 4 * GiB, mode: 'balloon' });
      state = step.state;
      if (step.targetBytes !== undefined) asked.push(step.targetBytes);
    }
    expect(asked).toEqual([expect.any(Number), 3 * GiB]);
  });
});
