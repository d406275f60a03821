interface Beat {
  readonly number: number;
  readonly atMs: number;
  readonly host: string;
}

/** The beats of one guest as they arrived: pure bookkeeping, on whatever clock the caller stamps them with. */
export class Beats {
  readonly #beats: Beat[] = [];
  readonly #seen = new Set<number>();
  #lowest = Number.POSITIVE_INFINITY;
  #highest = 0;
  #repeated = 0;

  heard(number: number, atMs: number, host: string): void {
    if (this.#seen.has(number)) this.#repeated++;
    this.#seen.add(number);
    this.#lowest = Math.min(this.#lowest, number);
    this.#highest = Math.max(this.#highest, number);
    this.#beats.push({ number, atMs, host });
  }

  get count(): number {
    return this.#beats.length;
  }

  get highest(): number {
    return this.#highest;
  }

  /** Name of the host the last beat came from. */
  get host(): string | undefined {
    return this.#beats.at(-1)?.host;
  }

  /** Numbers between the lowest and the highest that never came. */
  get lost(): number {
    return this.#beats.length === 0 ? 0 : this.#highest - this.#lowest + 1 - this.#seen.size;
  }

  /** Beats whose number had come before. */
  get repeated(): number {
    return this.#repeated;
  }

  /** Since the last beat, in ms; for ever where none came. */
  silentMs(nowMs: number): number {
    return nowMs - (this.#beats.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY);
  }

  /** Longest silence that touches the span, in ms; one that lasts until `toMs` counts. */
  longestGapMs(fromMs: number, toMs: number): number {
    let longest = 0;
    let before: number | undefined;
    for (const { atMs } of this.#beats) {
      if (before !== undefined && atMs >= fromMs && before <= toMs) longest = Math.max(longest, atMs - before);
      before = atMs;
    }
    return before !== undefined && before < toMs ? Math.max(longest, toMs - before) : longest;
  }
}
