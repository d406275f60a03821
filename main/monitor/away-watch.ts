import type { DomainStatsRecord } from '../libvirt/index.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { Reading } from './rates.ts';

export interface AwayWatchOptions {
  readonly uuid: string;
  /** Figures of all domains at the libvirt of the visit. */
  readonly poll: () => Promise<readonly DomainStatsRecord[]>;
  readonly clock: Clock;
  readonly onReading: (reading: Reading) => void;
  readonly onState: () => void;
}

/** One VM that is away, through the connection of its visit. */
export class AwayWatch {
  readonly #options: AwayWatchOptions;
  readonly #backoff: Backoff;
  #stateNumber: number | undefined;
  #isBusy = false;
  #isClosed = false;

  constructor(options: AwayWatchOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
  }

  /** virDomainState as of the last answer; absent while there is none. */
  get stateNumber(): number | undefined {
    return this.#stateNumber;
  }

  async tick(): Promise<void> {
    if (this.#isBusy || this.#isClosed || !this.#backoff.isDue) return;
    this.#isBusy = true;
    const { uuid, poll, clock, onReading } = this.#options;
    try {
      const records = await poll();
      const record = records.find((candidate) => candidate.uuid === uuid);
      this.#setState(record?.stats.stateNumber);
      this.#backoff.succeeded();
      if (record !== undefined && !this.#isClosed) {
        onReading({ at: clock.now(), monotonicMs: clock.monotonicMs(), stats: record.stats });
      }
    } catch {
      // The link is down or the visit is ending: whoever owns them knows and says so. Here it is a hole.
      this.#setState(undefined);
      this.#backoff.failed();
    } finally {
      this.#isBusy = false;
    }
  }

  lookAgain(): void {
    this.#backoff.succeeded();
  }

  close(): void {
    this.#isClosed = true;
  }

  #setState(stateNumber: number | undefined): void {
    if (this.#isClosed || stateNumber === this.#stateNumber) return;
    this.#stateNumber = stateNumber;
    this.#options.onState();
  }
}
