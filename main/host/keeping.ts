import type { VisitEndReason } from '../../shared/model/visit-end.ts';
import { formatDuration, visitorEndWords } from '../../shared/view/index.ts';
import type { VisitInfo } from '../../shared/wire.ts';
import { bootId } from '../process/index.ts';
import { type Lease, leaseOf } from './lease.ts';
import { VisitBook } from './visit-book.ts';
import type { VisitState } from './visit-state.ts';

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds since the machine's start, its sleep included. */
  sinceBootMs(): number;
}

export interface KeepingOptions {
  /** Where it is written down what is remembered. */
  readonly file: string;
  readonly clock: Clock;
  /** How long a visitor is kept whose laptop is silent. */
  readonly leaseMs: () => number;
  /** A sentence for the owner about one of the visitors. */
  readonly onNews: (sentence: string) => void;
  readonly onFault: (error: unknown) => void;
}

/** A visitor as a sweep sees it. */
interface Kept {
  readonly id: string;
  readonly vmName: string;
  readonly connected: boolean;
}

/** Longer between two sweeps, and this machine slept or this process stood still: nobody could be heard meanwhile. */
const deafAfterMs = 60_000;

/** How long visitors are kept, and what is remembered of them afterwards. */
export class Keeping {
  readonly #options: KeepingOptions;
  readonly #book: VisitBook;
  /** Since when a laptop could have been heard, on the clock since boot. */
  #listeningSinceMs: number;
  #sweptAtMs: number;
  /** Visits whose lease runs out soon, as was told. */
  readonly #warned = new Set<string>();

  static async open(options: KeepingOptions): Promise<Keeping> {
    const { file, clock, onFault } = options;
    const book = await VisitBook.open({ file, bootId: await bootId(), clock, onFault });
    return new Keeping(options, book);
  }

  private constructor(options: KeepingOptions, book: VisitBook) {
    this.#options = options;
    this.#book = book;
    this.#listeningSinceMs = options.clock.sinceBootMs();
    this.#sweptAtMs = this.#listeningSinceMs;
  }

  /**
   * Compares what is remembered with the visits that were found: what ended while no engine looked is written down.
   * Returns those whose end was decided before a crash, and not carried out.
   */
  compare(found: ReadonlyMap<string, VisitState>): string[] {
    for (const id of this.#book.open()) {
      if ((found.get(id) ?? 'gone') === 'gone') this.#tell(this.#book.foundEnded(id));
    }
    return [...found].flatMap(([id, state]) => (isInhabited(state) && this.#book.endOf(id) !== undefined ? [id] : []));
  }

  /** Something happened in a visit; `end` where it is over, unless its VM moved on: then there is no end to tell of. */
  note(info: VisitInfo, peer: string, end: VisitEndReason | undefined): void {
    if (isInhabited(info.state)) this.#book.arrived(info, peer);
    if (end !== undefined) this.#tell(this.#book.ended(info.visit, end));
    else if (info.state === 'gone') this.#book.movedOn(info.visit);
  }

  /** It is to end, for this reason; on the disk once this resolves. */
  async decide(id: string, why: VisitEndReason): Promise<void> {
    this.#tell(this.#book.ended(id, why));
    await this.#book.written();
  }

  /** Its laptop knows that it is over; `why` where it was the laptop that ended it otherwise than by taking it home. */
  settle(id: string, why: VisitEndReason | undefined): void {
    this.#tell(this.#book.settled(id, why));
  }

  /** Returns those whose lease has run out. */
  sweep(visitors: readonly Kept[]): string[] {
    const nowMs = this.#options.clock.sinceBootMs();
    if (nowMs - this.#sweptAtMs > deafAfterMs) this.#listeningSinceMs = nowMs;
    this.#sweptAtMs = nowMs;
    this.#book.heard(visitors.filter(({ connected }) => connected).map(({ id }) => id));
    return visitors.filter((visitor) => this.#isOver(visitor)).map(({ id }) => id);
  }

  /** With how it ended, or how long its laptop has been silent. */
  told(info: VisitInfo): VisitInfo {
    const end = info.state === 'gone' ? this.#book.endOf(info.visit) : undefined;
    if (end !== undefined) return { ...info, end };
    const lease = isInhabited(info.state) ? this.#leaseOf(info.visit) : undefined;
    if (lease?.isSilent !== true) return info;
    const at = (fromNowMs: number): string => new Date(this.#options.clock.now() + fromNowMs).toISOString();
    return { ...info, silence: { since: at(-lease.silentMs), leaseEndsAt: at(lease.leftMs) } };
  }

  /** Visits of that laptop that are over, as long as it does not know. */
  untold(peer: string): VisitInfo[] {
    return this.#book.untold(peer);
  }

  /** What ended in the last day otherwise than by going home, newest first. */
  past(): VisitInfo[] {
    return this.#book.past();
  }

  written(): Promise<void> {
    return this.#book.written();
  }

  #isOver({ id, vmName }: Kept): boolean {
    const lease = this.#leaseOf(id);
    if (lease === undefined) return false;
    if (lease.runsOutSoon && lease.leftMs > 0 && !this.#warned.has(id)) {
      this.#options.onNews(
        `${vmName}'s computer has not been heard from for ${formatDuration(lease.silentMs)}. The VM is ended in ${formatDuration(lease.leftMs)} unless that computer comes back; to keep it longer: homeward host on --lease`,
      );
    }
    if (lease.runsOutSoon) this.#warned.add(id);
    else this.#warned.delete(id);
    return lease.leftMs <= 0;
  }

  #leaseOf(id: string): Lease | undefined {
    const heardAtMs = this.#book.heardAtMs(id);
    if (heardAtMs === undefined) return undefined;
    const { clock, leaseMs } = this.#options;
    return leaseOf({
      nowMs: clock.sinceBootMs(),
      heardAtMs,
      listeningSinceMs: this.#listeningSinceMs,
      leaseMs: leaseMs(),
    });
  }

  #tell(over: VisitInfo | undefined): void {
    if (over?.end !== undefined) this.#options.onNews(visitorEndWords(over.vmName, over.end));
  }
}

/** A VM lives in it. */
export function isInhabited(state: VisitState): boolean {
  return state === 'running' || state === 'paused';
}
