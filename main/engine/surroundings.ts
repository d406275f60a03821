import { leavesInS } from '../../shared/model/leaving.ts';
import type { Readings } from '../../shared/model/signal.ts';
import type { Surroundings as Known } from '../../shared/policy/index.ts';
import type { Power } from '../power/index.ts';
import type { SettingsStore } from './settings.ts';

export interface SurroundingsOptions {
  readonly power: Pick<Power, 'watch'>;
  readonly settings: Pick<SettingsStore, 'current'>;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** Not asked for so long, nobody decides any more. */
const unaskedMs = 60_000;

/** What this computer runs on and over, and when its user usually leaves: kept fresh while somebody decides by it. */
export class Surroundings {
  readonly #options: SurroundingsOptions;
  #readings: Readings = {};
  #unasked: NodeJS.Timeout | undefined;

  constructor(options: SurroundingsOptions) {
    this.#options = options;
  }

  onReadings(readings: Readings): void {
    this.#readings = readings;
  }

  /** The newest known; nothing of power and network at the first time, from which on it is watched. */
  latest(): Known {
    if (this.#unasked === undefined) {
      this.#watch(true);
      this.#unasked = setTimeout(() => this.stop(), unaskedMs).unref();
    } else this.#unasked.refresh();
    const { onMains, network } = this.#readings;
    return {
      onBattery: onMains === undefined ? undefined : !onMains,
      metered: network?.metered,
      leavesInS: leavesInS(this.#options.settings.current.leaving, new Date()),
    };
  }

  stop(): void {
    clearTimeout(this.#unasked);
    this.#unasked = undefined;
    // What is not watched may be otherwise by the next time.
    this.#readings = {};
    this.#watch(false);
  }

  #watch(isWanted: boolean): void {
    const { power, onFault } = this.#options;
    power.watch(isWanted).catch((thrown: unknown) => onFault('watching power and network', thrown));
  }
}
