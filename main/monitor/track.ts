import type { Sample } from '../../shared/model/vm.ts';
import { type Reading, sampleBetween } from './rates.ts';

/** Ten minutes: enough for a load average and for use that outlasts a slow move. */
const mostSamples = 600;
/** virDomainState: running, blocked on a resource. */
const runningStates: ReadonlySet<number | undefined> = new Set([1, 2]);

/** The recent samples of one VM, wherever it was. */
export class Track {
  readonly samples: Sample[] = [];
  #previous: Reading | undefined;

  /** The sample this reading completes, if it does. A VM that stands still leaves a hole, not idleness. */
  add(reading: Reading): Sample | undefined {
    const previous = this.#previous;
    if (!runningStates.has(reading.stats.stateNumber)) {
      this.#previous = undefined;
      return undefined;
    }
    const sample = previous === undefined ? undefined : sampleBetween(previous, reading);
    // Too soon after the last one to say anything: measure on from there.
    const isTooSoon = previous !== undefined && sample === undefined && isWithin(previous, reading, 250);
    if (!isTooSoon) this.#previous = reading;
    if (sample === undefined) return undefined;
    this.samples.push(sample);
    if (this.samples.length > mostSamples) this.samples.shift();
    return sample;
  }

  /** Counters begin anew: the VM is elsewhere now. */
  interrupt(): void {
    this.#previous = undefined;
  }
}

function isWithin(previous: Reading, current: Reading, ms: number): boolean {
  const intervalMs = current.monotonicMs - previous.monotonicMs;
  return intervalMs >= 0 && intervalMs < ms;
}
