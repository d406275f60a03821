import type { MachineScores } from '../../shared/model/host.ts';
import type { MachineBenchmark } from '../host/index.ts';

export interface HomeBenchmarkOptions {
  readonly own: Pick<MachineBenchmark, 'read'>;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** A machine that works now may rest in a minute. */
const everyMs = 60_000;

/** This machine's own scores, kept fresh while somebody decides by them. */
export class HomeBenchmark {
  readonly #options: HomeBenchmarkOptions;
  #latest: MachineScores | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: HomeBenchmarkOptions) {
    this.#options = options;
  }

  /** The newest known; asks for newer ones without waiting. */
  latest(): MachineScores | undefined {
    if (performance.now() - this.#askedAtMs > everyMs) {
      this.#askedAtMs = performance.now();
      this.#ask().catch((thrown: unknown) => this.#options.onFault('measuring this computer', thrown));
    }
    return this.#latest;
  }

  async #ask(): Promise<void> {
    this.#latest = await this.#options.own.read();
  }
}
