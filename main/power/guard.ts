import { Inhibitor, type InhibitorOptions, type LockRefusal } from './inhibitor.ts';
import { lidTakenBy } from './lid.ts';

/** `off`: no lock, and none wanted. `takenBy`: a desktop that has taken the lid too, and does not ask logind what to do about it. */
export type GuardState =
  | { readonly state: 'off' }
  | { readonly state: 'held'; readonly takenBy?: string }
  | ({ readonly state: 'refused' } & LockRefusal);

export interface GuardOptions extends InhibitorOptions {
  readonly onChange: (state: GuardState) => void;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/**
 * Keeps a closed lid from putting this computer to sleep. Taken before the lid is closed, since afterwards it is too late; when it is
 * released with the lid closed, logind suspends by itself.
 */
export class Guard {
  readonly #lock: Inhibitor;
  readonly #options: GuardOptions;
  #wanted = false;
  #state: GuardState = { state: 'off' };
  #last: Promise<void> = Promise.resolve();

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#lock = new Inhibitor(
      { what: 'handle-lid-switch', mode: 'block', why: 'A virtual machine is away and comes home first' },
      options,
    );
    this.#lock.onLost(() => this.#next(() => this.#settle()));
  }

  get state(): GuardState {
    return this.#state;
  }

  /** Resolves when it is held or refused. */
  hold(): Promise<void> {
    if (this.#wanted) return this.#last;
    this.#wanted = true;
    return this.#next(() => this.#settle());
  }

  /** Resolves when the lock is gone. */
  release(): Promise<void> {
    if (!this.#wanted) return this.#last;
    this.#wanted = false;
    return this.#next(() => this.#settle());
  }

  /** A lock that logind forgot, or refused, is taken again: it was started anew, or only now, or somebody has logged in since. */
  recheck(): Promise<void> {
    return this.#next(async () => {
      if (this.#lock.held && !(await this.#lock.isListed())) await this.#lock.release();
      await this.#settle();
    });
  }

  /** What taking it would come to. It is let go again at once, and nobody is told. */
  async probe(): Promise<GuardState> {
    let found = this.#state;
    await this.#next(async () => {
      if (this.#wanted) return;
      found = await this.#take();
      await this.#lock.release();
    });
    return found;
  }

  async #settle(): Promise<void> {
    if (!this.#wanted) {
      await this.#lock.release();
      return this.#tell({ state: 'off' });
    }
    this.#tell(await this.#take());
  }

  async #take(): Promise<GuardState> {
    const refusal = await this.#lock.take();
    if (refusal !== undefined) return { state: 'refused', ...refusal };
    const takenBy = lidTakenBy((await this.#options.listed()) ?? []);
    return takenBy === undefined ? { state: 'held' } : { state: 'held', takenBy };
  }

  #tell(state: GuardState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#options.onChange(state);
  }

  #next(step: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(step).catch((thrown: unknown) => this.#options.onFault('the lid’s lock', thrown));
    return this.#last;
  }
}
