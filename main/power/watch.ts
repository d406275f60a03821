import { Bus } from '../bus/index.ts';
import { Armed, type MissingService, type Pace, type PowerWatchOptions } from './armed.ts';
import { type ListedLock, readLocks } from './logind.ts';

/** Watches lid, sleep, battery, network and displays while armed; costs nothing otherwise. */
export class PowerWatch {
  readonly #options: PowerWatchOptions;
  #armed: Armed | undefined;
  #stopping: Promise<void> = Promise.resolve();

  constructor(options: PowerWatchOptions) {
    this.#options = options;
  }

  get armed(): boolean {
    return this.#armed !== undefined;
  }

  /** Or, where it is armed, another pace. */
  arm(pace: Pace): void {
    this.#armed ??= new Armed(this.#options);
    this.#armed.setPace(pace);
  }

  /** Resolves when nothing of it is left. */
  async disarm(): Promise<void> {
    const armed = this.#armed;
    this.#armed = undefined;
    if (armed !== undefined) this.#stopping = armed.stop();
    await this.#stopping;
  }

  /** What is not there, from a look of its own where nothing is being watched. */
  async missing(): Promise<readonly MissingService[]> {
    if (this.#armed !== undefined) return this.#armed.missing();
    const passing = new Armed({
      onReadings: () => undefined,
      onLogindAnew: () => undefined,
      onFault: this.#options.onFault,
    });
    try {
      return await passing.missing();
    } finally {
      await passing.stop();
    }
  }

  /** Everybody's locks; undefined where logind cannot be asked. */
  async locks(): Promise<readonly ListedLock[] | undefined> {
    if (this.#armed !== undefined) return this.#armed.locks();
    const bus = await Bus.system();
    try {
      return bus === undefined ? undefined : await readLocks(bus).catch(() => undefined);
    } finally {
      await bus?.close();
    }
  }
}
