import type { HostFacts } from '../../shared/model/host.ts';
import { LocalFacts } from '../host/index.ts';
import type { Connection } from '../libvirt/index.ts';

export interface HomeFactsOptions {
  readonly folder: string;
  readonly name: () => string;
  readonly version: string;
  readonly connect: () => Promise<Connection>;
  readonly onFault: (what: string, thrown: unknown) => void;
}

const everyMs = 5_000;

/** This machine's own facts, kept fresh while somebody decides by them. */
export class HomeFacts {
  readonly #options: HomeFactsOptions;
  readonly #facts: LocalFacts;
  #latest: HostFacts | undefined;
  #readAt = 0;

  constructor(options: HomeFactsOptions) {
    this.#options = options;
    this.#facts = new LocalFacts(options);
  }

  async read(): Promise<HostFacts> {
    this.#readAt = performance.now();
    this.#latest = await this.#facts.read();
    return this.#latest;
  }

  /** The newest known, at most some seconds old; asks for newer ones without waiting. */
  latest(): HostFacts | undefined {
    if (performance.now() - this.#readAt > everyMs) {
      this.read().catch((thrown: unknown) => this.#options.onFault('looking at this computer', thrown));
    }
    return this.#latest;
  }
}
