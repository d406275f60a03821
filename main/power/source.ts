/** How long a service that was not there is left in peace, unless it shows up; asking may start it in vain. */
const missingEveryMs = 60_000;

/** One service's figures: read now and then, at once when nudged, and kept until they are read again. */
export class Source<T> {
  readonly #read: () => Promise<T>;
  readonly #everyMs: number;
  #value: T | undefined;
  #missing = false;
  #nextMs = 0;

  constructor(read: () => Promise<T>, everyMs: number) {
    this.#read = read;
    this.#everyMs = everyMs;
  }

  /** Undefined where it could not be read the last time. */
  get value(): T | undefined {
    return this.#value;
  }

  get missing(): boolean {
    return this.#missing;
  }

  /** It has changed, or has come or gone. */
  nudge(): void {
    this.#nextMs = 0;
  }

  async refresh(nowMs: number): Promise<void> {
    if (nowMs < this.#nextMs) return;
    const nextMs = nowMs + this.#everyMs;
    this.#nextMs = nextMs;
    try {
      this.#value = await this.#read();
      this.#missing = false;
    } catch {
      this.#value = undefined;
      this.#missing = true;
      // Unless it has shown up while it was being asked.
      if (this.#nextMs === nextMs) this.#nextMs = nowMs + Math.max(this.#everyMs, missingEveryMs);
    }
  }
}
