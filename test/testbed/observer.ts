import { setTimeout as sleep } from 'node:timers/promises';
import { Beats } from './beats.ts';
import type { Bed } from './bed.ts';
import { allStates, whereRunning } from './copies.ts';
import type { Guest } from './guest/define.ts';
import { type GuestProcess, guestProcesses, LineSocket } from './places.ts';

/** The guest's counters, as workload.c's `report` gives them, since the guest booted. */
export interface GuestReport {
  readonly beats: number;
  readonly disk_blocks_written: number;
  readonly disk_blocks_verified: number;
  readonly disk_errors: number;
  readonly memory_pages_written: number;
  readonly memory_pages_verified: number;
  readonly memory_errors: number;
  readonly grab_pages_taken: number;
  readonly grab_pages_verified: number;
  readonly grab_errors: number;
  readonly cache_pages_written: number;
  readonly cache_errors: number;
  readonly hold_pages_verified: number;
  readonly hold_errors: number;
  readonly cpu_rounds: number;
  readonly compress_rounds: number;
  readonly compress_errors: number;
  readonly echo_connects: number;
  readonly echo_sent: number;
  readonly echo_received: number;
  readonly echo_errors: number;
  readonly echo_worst_us: number;
}

/** What the guest's kernel says of its memory; pages and kills since it booted. */
export interface GuestMemory {
  readonly total_kib: number;
  readonly free_kib: number;
  /** Page cache. */
  readonly cache_kib: number;
  /** Of both, what the kernel would give to programs without swapping. */
  readonly available_kib: number;
  readonly swap_total_kib: number;
  readonly swap_in_pages: number;
  readonly swap_out_pages: number;
  readonly oom_kills: number;
}

/** One QEMU of the guest, and our two wires into it. */
interface Place {
  readonly qemu: GuestProcess;
  readonly beat: LineSocket;
  readonly control: LineSocket;
}

/** How often to look for a QEMU that is new; the one a move prepares is there long before it runs. */
const lookEveryMs = 200;
const replyPatienceMs = 4_000;

/**
 * Watches one guest from outside, wherever in the bed it runs: a guest does not notice its own stops, so gaps are
 * timed here, by arrival (performance.now()). Holds a wire to every QEMU that has the guest, running or waiting for
 * it, and so hears the first beat after a switch at once.
 */
export class Observer {
  readonly #bed: Bed;
  readonly #guest: Guest;
  readonly #places = new Map<number, Place>();
  readonly #beats = new Beats();
  readonly #replies = new Map<number, (reply: Record<string, unknown>) => void>();
  readonly #looking: NodeJS.Timeout;
  #nextId = 1;
  #maxCopies = 0;

  constructor(bed: Bed, guest: Guest) {
    this.#bed = bed;
    this.#guest = guest;
    this.#looking = setInterval(() => this.#look(), lookEveryMs);
    this.#look();
  }

  close(): void {
    clearInterval(this.#looking);
    for (const place of this.#places.values()) hangUp(place);
    this.#places.clear();
  }

  /** Name of the host the last beat came from. */
  get host(): string | undefined {
    return this.#beats.host;
  }

  get lastBeat(): number {
    return this.#beats.highest;
  }

  /** Numbers never heard between the first beat and the last: sent while no wire was up, or by nobody. */
  get lostBeats(): number {
    return this.#beats.lost;
  }

  /** Numbers heard twice. Anything but 0 means the guest was restarted, or ran twice at once. */
  get repeatedBeats(): number {
    return this.#beats.repeated;
  }

  /** Longest silence that touches the span between two moments (performance.now()). */
  longestGapMs(from = 0, to = performance.now()): number {
    return this.#beats.longestGapMs(from, to);
  }

  /** Resolves when a beat newer than all so far has arrived, on `host` if given. */
  async nextBeat(options: { readonly host?: string; readonly timeoutMs?: number } = {}): Promise<void> {
    const before = this.#beats.count;
    const deadline = performance.now() + (options.timeoutMs ?? 30_000);
    while (this.#beats.count === before || (options.host !== undefined && this.host !== options.host)) {
      if (performance.now() > deadline) throw new Error(`${this.#guest.name} sent no beat in time.`);
      await sleep(5);
    }
  }

  /** One of workload.c's commands, e.g. `memory 128 flatout`. Repeated elsewhere if the guest moves meanwhile. */
  async command(words: string, timeoutMs = 60_000): Promise<Record<string, unknown>> {
    const deadline = performance.now() + timeoutMs;
    const id = this.#nextId++;
    try {
      return await new Promise((resolve, reject) => {
        this.#replies.set(id, (reply) => {
          if (reply['ok'] === true) resolve(reply);
          else reject(new Error(`The guest refused "${words}": ${String(reply['error'])}`));
        });
        void this.#ask(`${id} ${words}\n`, id, deadline, reject);
      });
    } finally {
      this.#replies.delete(id);
    }
  }

  async report(): Promise<GuestReport> {
    const number = await this.#numbers('report');
    return {
      beats: number('beats'),
      disk_blocks_written: number('disk_blocks_written'),
      disk_blocks_verified: number('disk_blocks_verified'),
      disk_errors: number('disk_errors'),
      memory_pages_written: number('memory_pages_written'),
      memory_pages_verified: number('memory_pages_verified'),
      memory_errors: number('memory_errors'),
      grab_pages_taken: number('grab_pages_taken'),
      grab_pages_verified: number('grab_pages_verified'),
      grab_errors: number('grab_errors'),
      cache_pages_written: number('cache_pages_written'),
      cache_errors: number('cache_errors'),
      hold_pages_verified: number('hold_pages_verified'),
      hold_errors: number('hold_errors'),
      cpu_rounds: number('cpu_rounds'),
      compress_rounds: number('compress_rounds'),
      compress_errors: number('compress_errors'),
      echo_connects: number('echo_connects'),
      echo_sent: number('echo_sent'),
      echo_received: number('echo_received'),
      echo_errors: number('echo_errors'),
      echo_worst_us: number('echo_worst_us'),
    };
  }

  async memory(): Promise<GuestMemory> {
    const number = await this.#numbers('mem');
    return {
      total_kib: number('total_kib'),
      free_kib: number('free_kib'),
      cache_kib: number('cache_kib'),
      available_kib: number('available_kib'),
      swap_total_kib: number('swap_total_kib'),
      swap_in_pages: number('swap_in_pages'),
      swap_out_pages: number('swap_out_pages'),
      oom_kills: number('oom_kills'),
    };
  }

  /** Domains of this guest in state running, over every libvirtd of the bed, sandboxed ones too. */
  async runningCopies(): Promise<number> {
    return (await this.runningOn()).length;
  }

  /** Names of the hosts these run on. */
  async runningOn(): Promise<readonly string[]> {
    const hosts = await whereRunning(this.#bed.hosts, this.#guest.uuid);
    this.#maxCopies = Math.max(this.#maxCopies, hosts.length);
    return hosts;
  }

  /** What each libvirtd of the bed says of the guest, for people. */
  states(): Promise<readonly string[]> {
    return allStates(this.#bed.hosts, this.#guest.uuid);
  }

  /** How long ago the last beat came, in ms. */
  silentMs(now = performance.now()): number {
    return this.#beats.silentMs(now);
  }

  /** The most that `runningCopies` and `runningOn` have seen. */
  get maxRunningCopies(): number {
    return this.#maxCopies;
  }

  async #numbers(command: string): Promise<(name: string) => number> {
    const reply = await this.command(command);
    return (name) => {
      const value = reply[name];
      if (typeof value !== 'number') throw new Error(`The guest's answer to ${command} has no ${name}.`);
      return value;
    };
  }

  async #ask(line: string, id: number, deadline: number, reject: (error: Error) => void): Promise<void> {
    while (this.#replies.has(id)) {
      if (performance.now() > deadline) {
        reject(new Error(`${this.#guest.name} did not answer "${line.trim()}".`));
        return;
      }
      const place = this.#current();
      place?.control.write(line);
      // A move may swallow a command or its answer; then it is asked again where the guest is now.
      const patience = performance.now() + (place === undefined ? 50 : replyPatienceMs);
      while (this.#replies.has(id) && performance.now() < patience && this.#current() === place) await sleep(5);
    }
  }

  /** Where the guest runs: the place of the latest beat. */
  #current(): Place | undefined {
    const running = this.host;
    return [...this.#places.values()].find(({ qemu }) => qemu.host === running);
  }

  #look(): void {
    const found = guestProcesses(this.#bed.hosts, this.#guest.uuid);
    for (const [pid, place] of this.#places) {
      if (found.some(({ pid: other }) => other === pid)) continue;
      hangUp(place);
      this.#places.delete(pid);
    }
    for (const qemu of found) {
      if (this.#places.has(qemu.pid)) continue;
      const beat = new LineSocket(qemu, this.#guest.beatPath, (line) => this.#heard(line, qemu.host));
      const control = new LineSocket(qemu, this.#guest.controlPath, (line) => this.#answered(line));
      this.#places.set(qemu.pid, { qemu, beat, control });
    }
  }

  #heard(line: string, host: string): void {
    const number = Number(/^B (\d+)$/.exec(line)?.[1]);
    if (!Number.isInteger(number)) return; // the end of a line that began before we listened
    this.#beats.heard(number, performance.now(), host);
  }

  #answered(line: string): void {
    try {
      const reply: unknown = JSON.parse(line);
      if (typeof reply === 'object' && reply !== null && 'id' in reply) {
        this.#replies.get(Number(reply.id))?.(Object.fromEntries(Object.entries(reply)));
      }
    } catch {
      // half a line, from before we listened
    }
  }
}

function hangUp({ beat, control }: Place): void {
  beat.close();
  control.close();
}
