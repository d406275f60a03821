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
  const guest = samples.filter((sample) => sample.guestLoad1 !== undefined);
  const newest = guest.at(-1);
  if (newest?.guestLoad1 !== undefined && now - newest.at <= 3 * tickMs) {
    const series = [...ticks(guest, now, (sample) => sample.guestLoad1 ?? 0).values()];
    return { value: newest.guestLoad1, falling: isFalling(series), loadedFrom: vcpus, source: 'guest' };
  }
  const series = damped(ticks(samples, now, demand));
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

/** Mean per finished tick, by tick number; ticks lie on whole multiples of 5 s so that a moving window keeps them. */
function ticks(samples: readonly Sample[], now: number, figure: (sample: Sample) => number): Map<number, number> {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const sample of samples) {
    const tick = Math.ceil(sample.at / tickMs);
    if (tick * tickMs > now) continue;
    const entry = sums.get(tick) ?? { sum: 0, count: 0 };
    sums.set(tick, { sum: entry.sum + figure(sample), count: entry.count + 1 });
  }
  return new Map([...sums].map(([tick, { sum, count }]) => [tick, sum / count]));
}

/** One value per tick that has samples; a hole leaves the average where it was. */
function damped(counts: ReadonlyMap<number, number>): number[] {
  const series: number[] = [];
  let value = 0;
  let previous: number | undefined;
  for (const [tick, count] of counts) {
    if (previous !== undefined && tick - previous > forgetAfterTicks) {
      value = 0;
      series.length = 0;
    }
    value = value * decayPerTick + count * (1 - decayPerTick);
    series.push(value);
    previous = tick;
  }
  return series;
}

export function isFalling(series: readonly number[]): boolean {
  const recent = series.slice(-(dipsThatMakeAFall + 1));
  if (recent.length <= dipsThatMakeAFall) return false;
  return recent.every((value, index) => index === 0 || value <= (recent[index - 1] ?? value) - leastDip);
}
