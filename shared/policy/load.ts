/**
 * The load average of a VM seen from outside, and its trend (Muda §6.3.1, §6.4).
 *
 * Linux counts, every 5 s, the tasks that run, wait for a CPU or wait for a disk, and damps the count by
 * e^(-5/60) for its one-minute average (kernel/sched/loadavg.c). From outside a running task is vCPU time,
 * a waiting one is time a vCPU thread was runnable without running, and a disk wait is time with a disk
 * request in flight. Tasks that queue inside the guest for a vCPU stay hidden: a saturated guest shows
 * as many as it has vCPUs, however many there are. So this is a lower bound of what the guest would say,
 * and it approaches the number of vCPUs without ever passing it (77 % after 90 s, 95 % after 3 minutes).
 */
import type { Sample } from '../model/vm.ts';
import { diskWait } from './workload.ts';

const tickMs = 5_000;
const windowMs = 60_000;
const decayPerTick = Math.exp(-tickMs / windowMs);
/** With so many ticks missing the past says nothing any more, and the average begins anew. */
const forgetAfterTicks = windowMs / tickMs;

/** The kernel prints two decimals; smaller changes are no change. */
const leastDip = 0.01;
/** Three dips in a row are measuring errors, the fourth is a fall (Muda §6.4). */
const dipsThatMakeAFall = 4;

/**
 * The load counts as "all vCPUs taken" from this share of them on when it was derived from outside: the
 * bound is approached slowly and from below, and the thesis too allows for a vCPU thread's use
 * being reported smaller than it is.
 */
const outsideTolerance = 0.75;

export interface LoadAverage {
  /** Tasks, averaged over about a minute. */
  readonly value: number;
  readonly falling: boolean;
  /** From this value on the VM counts as loaded. */
  readonly loadedFrom: number;
  readonly source: 'guest' | 'outside';
}

/** `samples` in order of time, none later than `now`. */
export function loadAverage(samples: readonly Sample[], vcpus: number, now: number): LoadAverage {
  const newest = samples.findLast(({ guestLoad1 }) => guestLoad1 !== undefined);
  if (newest?.guestLoad1 !== undefined && now - newest.at <= 3 * tickMs) {
    const told = samples.filter(({ guestLoad1 }) => guestLoad1 !== undefined);
    const series = perTick(told, now, ({ guestLoad1 = 0 }) => guestLoad1).map(({ mean }) => mean);
    return { value: newest.guestLoad1, falling: isFalling(series), loadedFrom: vcpus, source: 'guest' };
  }
  const series = damped(perTick(samples, now, demand));
  return {
    value: series.at(-1) ?? 0,
    falling: isFalling(series),
    loadedFrom: outsideTolerance * vcpus,
    source: 'outside',
  };
}

function demand(sample: Sample): number {
  return Math.min(sample.busyVcpus + sample.waitingVcpus, sample.vcpus) + diskWait(sample);
}

interface Tick {
  readonly number: number;
  readonly mean: number;
}

/** Mean per finished tick; ticks lie on whole multiples of 5 s so that a moving window keeps them. */
function perTick(samples: readonly Sample[], now: number, figure: (sample: Sample) => number): Tick[] {
  const ticks: Tick[] = [];
  let number = 0;
  let sum = 0;
  let count = 0;
  for (const sample of samples) {
    const own = Math.ceil(sample.at / tickMs);
    if (own * tickMs > now) break;
    if (own !== number && count > 0) {
      ticks.push({ number, mean: sum / count });
      sum = 0;
      count = 0;
    }
    number = own;
    sum += figure(sample);
    count += 1;
  }
  if (count > 0) ticks.push({ number, mean: sum / count });
  return ticks;
}

/** One value per tick that has samples; a hole leaves the average where it was. */
function damped(ticks: readonly Tick[]): number[] {
  let series: number[] = [];
  let value = 0;
  let previous: number | undefined;
  for (const { number, mean } of ticks) {
    if (previous !== undefined && number - previous > forgetAfterTicks) {
      value = 0;
      series = [];
    }
    value = value * decayPerTick + mean * (1 - decayPerTick);
    series.push(value);
    previous = number;
  }
  return series;
}

export function isFalling(series: readonly number[]): boolean {
  const recent = series.slice(-(dipsThatMakeAFall + 1));
  if (recent.length <= dipsThatMakeAFall) return false;
  return recent.every((value, index) => index === 0 || value <= (recent[index - 1] ?? value) - leastDip);
}
