const firstPauseMs = 250;
const longestPauseMs = 10_000;

/** Pauses between attempts, doubling with some randomness so that two machines do not keep step. */
export class Retry {
  #nextMs = firstPauseMs;
  #wake: (() => void) | undefined;
  #nudged = false;

  /** The attempt succeeded. */
  reset(): void {
    this.#nextMs = firstPauseMs;
  }

  /** Ends the pause under way, or leaves out the next one. */
  nudge(): void {
    this.#nextMs = firstPauseMs;
    this.#nudged = true;
    this.#wake?.();
  }

  async pause(): Promise<void> {
    const pauseMs = this.#nextMs * (0.5 + Math.random() / 2);
    this.#nextMs = Math.min(2 * this.#nextMs, longestPauseMs);
    if (!this.#nudged) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#nudged = false;
  }
}
