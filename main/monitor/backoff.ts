import type { Clock } from './clock.ts';

const firstDelayMs = 1_000;
const longestDelayMs = 120_000;
/** Steep, since a try starts a thread and costs about 50 ms of CPU. */
const growth = 4;

/** When to try again what failed: after 1 s, then four times as long each time, up to two minutes. */
export class Backoff {
  readonly #clock: Clock;
  #delayMs = 0;
  #notBeforeMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isDue(): boolean {
    return this.#clock.monotonicMs() >= this.#notBeforeMs;
  }

  failed(): void {
    this.#delayMs = Math.min(longestDelayMs, Math.max(firstDelayMs, this.#delayMs * growth));
    this.#notBeforeMs = this.#clock.monotonicMs() + this.#delayMs;
  }

  succeeded(): void {
    this.#delayMs = 0;
    this.#notBeforeMs = 0;
  }
}
