import type { Readings } from '../../shared/model/signal.ts';
import type { MissingService } from './armed.ts';
import { Guard, type GuardState } from './guard.ts';
import { LastWord } from './last-word.ts';
import { PowerWatch } from './watch.ts';

/** Nobody announces that polkit would agree by now, as once somebody has logged in. */
const recheckEveryMs = 30_000;

export interface PowerOptions {
  /** One look at everything: about once a second while armed, now and then while only watched; and at each change. */
  readonly onReadings: (readings: Readings) => void;
  /** What is to be done before this computer sleeps or ends; it waits for seconds at most. */
  readonly beforeSleep: () => Promise<void>;
  readonly onGuard: (state: GuardState) => void;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** Where the program that holds locks is looked for; usually the engine's own PATH. */
  readonly searchPath?: string | undefined;
}

/** The machine's power: what it says, and the locks that make sleep wait. Costs nothing while nobody wants to know. */
export class Power {
  readonly #watch: PowerWatch;
  readonly #guard: Guard;
  readonly #lastWord: LastWord;
  #armed = false;
  #watched = false;
  #recheckedMs = 0;

  constructor({ onReadings, beforeSleep, onGuard, onFault, searchPath }: PowerOptions) {
    const lock = { listed: () => this.#watch.locks(), searchPath, onFault };
    this.#guard = new Guard({ ...lock, onChange: onGuard });
    this.#lastWord = new LastWord({ ...lock, say: beforeSleep });
    this.#watch = new PowerWatch({
      onReadings: (readings) => {
        onReadings(readings);
        this.#lastWord.heard(readings.ending);
        if (this.#armed && performance.now() - this.#recheckedMs >= recheckEveryMs) this.#recheck();
      },
      onLogindAnew: () => this.#recheck(),
      onFault,
    });
  }

  get guard(): GuardState {
    return this.#guard.state;
  }

  /** Begins to look, and asks for a last word before sleep. */
  arm(): void {
    this.#armed = true;
    this.#recheckedMs = performance.now();
    void this.#look();
    void this.#lastWord.want(true);
  }

  /** Resolves when no lock is left, and no connection unless it is watched. */
  async disarm(): Promise<void> {
    this.#armed = false;
    await Promise.all([this.#guard.release(), this.#lastWord.want(false)]);
    // Unless the next VM has set out meanwhile.
    await this.#look();
  }

  /** Whether somebody wants the readings though nothing is armed. Resolves when no connection is left that nobody wants. */
  async watch(isWanted: boolean): Promise<void> {
    this.#watched = isWanted;
    await this.#look();
  }

  /** Closing the lid waits. Resolves when logind has agreed, or has not. */
  hold(): Promise<void> {
    return this.#guard.hold();
  }

  /** Closing the lid waits no longer; where it is closed, logind suspends now. */
  release(): Promise<void> {
    return this.#guard.release();
  }

  /** Services that are not there. */
  missing(): Promise<readonly MissingService[]> {
    return this.#watch.missing();
  }

  /** Whether the lid could be held: as it is while it is held, else by trying for a moment. */
  async tryGuard(): Promise<GuardState> {
    if (this.#guard.state.state !== 'off') return this.#guard.state;
    return this.#guard.probe();
  }

  #recheck(): void {
    this.#recheckedMs = performance.now();
    void Promise.all([this.#guard.recheck(), this.#lastWord.recheck()]);
  }

  async #look(): Promise<void> {
    if (this.#armed) this.#watch.arm('close');
    else if (this.#watched) this.#watch.arm('easy');
    else await this.#watch.disarm();
  }
}
