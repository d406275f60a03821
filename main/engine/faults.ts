import type { Finding } from '../../shared/rpc.ts';
import { sentencesOf } from '../migrate/index.ts';

interface Fault {
  readonly sentence: string;
  readonly at: Date;
  readonly count: number;
}

const keptForMs = 60 * 60_000;
const keptAtMost = 10;

/** What went wrong lately with nobody waiting for it, so that `doctor` can tell. */
export class Faults {
  readonly #faults = new Map<string, Fault>();
  readonly #now: () => Date;

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  heard(what: string, thrown: unknown): void {
    const count = (this.#faults.get(what)?.count ?? 0) + 1;
    this.#faults.delete(what);
    this.#faults.set(what, { sentence: sentencesOf(thrown), at: this.#now(), count });
    const [oldest] = this.#faults.keys();
    if (this.#faults.size > keptAtMost && oldest !== undefined) this.#faults.delete(oldest);
  }

  findings(): Finding[] {
    const now = this.#now().getTime();
    return [...this.#faults]
      .filter(([, { at }]) => now - at.getTime() < keptForMs)
      .map(([what, { sentence, at, count }]) => ({
        id: `fault-${what.replaceAll(/\W+/g, '-')}`,
        severity: 'note',
        title: `There was trouble lately: ${what}`,
        detail: `${sentence} (${count === 1 ? 'once' : `${count} times`}, last at ${at.toISOString()})`,
        remedy: 'If it goes on, the log of the engine says more.',
      }));
  }
}
