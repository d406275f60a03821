import type { Readings } from '../../shared/model/signal.ts';
import { atMost } from './at-most.ts';
import { Inhibitor, type InhibitorOptions } from './inhibitor.ts';

export interface LastWordOptions extends InhibitorOptions {
  /** What is to be done before this computer sleeps or ends. */
  readonly say: () => Promise<void>;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** Of logind's patience, for releasing the lock and for logind to notice. */
const marginShare = 0.2;
const leastMarginMs = 500;

/**
 * A moment between "this computer goes to sleep" and sleep: a delay lock, which logind waits for InhibitDelayMaxSec (5 s unless
 * set otherwise) at most. Never enough for a move, enough to pause and to write down.
 */
export class LastWord {
  readonly #lock: Inhibitor;
  readonly #options: LastWordOptions;
  #wanted = false;
  #ending = false;
  #last: Promise<void> = Promise.resolve();

  constructor(options: LastWordOptions) {
    this.#options = options;
    this.#lock = new Inhibitor(
      { what: 'sleep:shutdown', mode: 'delay', why: 'A virtual machine that is away is told first' },
      options,
    );
  }

  /** Wanted or not, from now on; where logind refuses, sleep comes without a last word. */
  want(wanted: boolean): Promise<void> {
    if (this.#wanted === wanted) return this.#last;
    this.#wanted = wanted;
    return this.#next(() => this.#settle());
  }

  /** A lock that logind forgot, or refused, is taken again. */
  recheck(): Promise<void> {
    return this.#next(async () => {
      if (this.#lock.held && !(await this.#lock.isListed())) await this.#lock.release();
      await this.#settle();
    });
  }

  /** From each look: when the system has begun to sleep, the word is said and the lock let go. */
  heard(ending: Readings['ending']): void {
    if ((ending !== undefined) === this.#ending) return;
    this.#ending = ending !== undefined;
    void this.#next(async () => {
      try {
        if (ending !== undefined && this.#lock.held) await atMost(lastWordMs(ending.delayMs), this.#options.say());
      } finally {
        await this.#settle();
      }
    });
  }

  /** Taken again after the sleep: logind lets nobody delay one that has begun. */
  async #settle(): Promise<void> {
    if (this.#wanted && !this.#ending) await this.#lock.take();
    else await this.#lock.release();
  }

  #next(step: () => Promise<void>): Promise<void> {
    this.#last = this.#last
      .then(step)
      .catch((thrown: unknown) => this.#options.onFault('the lock that delays sleep', thrown));
    return this.#last;
  }
}

/** How much of logind's delay may be used, ms. */
function lastWordMs(delayMs: number): number {
  return Math.max(0, delayMs - Math.max(leastMarginMs, delayMs * marginShare));
}
