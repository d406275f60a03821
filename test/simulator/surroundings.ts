/** Machines, links, loads and comings and goings that every family of workloads shares. */
import type { Random } from './random.ts';
import { type Job, type Scenario, type SimHost, type Stage, tickS } from './world.ts';

export const hourS = 3_600;
/** Five days of ten hours each, from arriving to leaving, put end to end. */
const days = 5;
const dayS = 10 * hourS;
/** Nothing new is begun in the last two hours, so that all jobs end. */
const endS = days * dayS;
const ticks = endS / tickS;

const gib = 1024 ** 3;
const mib = 1024 ** 2;
const gigabitBytesPerSec = 112e6;

/** A job being made up: its length counts in seconds at an idle home. */
export type MakeJob = (random: Random) => Pick<Job, 'program' | 'stages'>;

export interface Shape {
  readonly family: string;
  /** With the whole time to fill; in order of arrival. */
  readonly jobs: (random: Random, vcpus: number) => Job[];
  readonly busyHosts?: boolean;
  readonly flappingLink?: boolean;
  readonly onlyWiFi?: boolean;
}

export function scenarioOf(shape: Shape, seed: number, random: Random): Scenario {
  const vcpus = random.pick([2, 4]);
  const homeCores = 4;
  const memoryBytes = random.pick([2, 4, 8]) * gib;
  const isWired = shape.onlyWiFi !== true && random.chance(0.5);
  const link = isWired ? wired() : wiFi(random);
  if (shape.flappingLink === true) flap(link, random);
  const saysWhen = random.chance(0.5);
  return {
    family: shape.family,
    seed,
    ticks,
    vcpus,
    memoryBytes,
    usedMemoryBytes: memoryBytes * random.between(0.25, 0.7),
    homeCores,
    homeOthers: lowLoad(random, 0.4),
    hosts: Array.from({ length: random.whole(1, 2) }, (_, index) => hostOf(`host${index}`, shape, random)),
    link,
    roundTripMs: isWired ? random.between(0.3, 0.8) : random.between(2, 8),
    diskOverlap: random.between(0.2, 0.7),
    near: nearness(random),
    slowdown: random.between(0.04, 0.2),
    downtimeS: random.between(0.2, 0.8),
    handoverS: random.between(1.5, 4),
    sentOut: random.between(0.8, 1.3),
    sentHome: random.between(0.3, 0.9),
    jobs: shape.jobs(random, vcpus),
    saidToLeaveS: saysWhen
      ? Array.from({ length: days }, (_, day) => (day + 0.9) * dayS + random.between(-600, 600))
      : [],
    hasAgent: random.chance(0.5),
  };
}

function hostOf(name: string, shape: Shape, random: Random): SimHost {
  const cores = random.pick([8, 12, 16]);
  const coreRatio = random.between(1.25, 2.2);
  return {
    name,
    cores,
    coreRatio,
    benchmarkedRatio: coreRatio * random.between(0.9, 1.1),
    others: shape.busyHosts === true ? tenants(random, cores) : lowLoad(random, cores / 10),
  };
}

/** Small, and now and then a little more. */
function lowLoad(random: Random, mean: number): Float64Array {
  return piecewise(() => ({ value: random.exponential(mean), lengthS: random.exponential(120) }));
}

/** Somebody else's work takes the machine for minutes to an hour at a time, about half of the time. */
function tenants(random: Random, cores: number): Float64Array {
  let busy = random.chance(0.5);
  return piecewise(() => {
    busy = !busy;
    return {
      value: busy ? cores * random.between(0.7, 1.4) : random.exponential(cores / 12),
      lengthS: random.logNormal(900, 0.9),
    };
  });
}

function wired(): Float64Array {
  return new Float64Array(ticks).fill(gigabitBytesPerSec);
}

function wiFi(random: Random): Float64Array {
  const usual = random.between(18e6, 60e6);
  return piecewise(() => ({ value: usual * random.between(0.5, 1.15), lengthS: random.between(10, 200) }));
}

function flap(link: Float64Array, random: Random): void {
  for (let tick = 0; tick < ticks; ) {
    tick += Math.ceil(random.between(60, 1_500) / tickS);
    const until = tick + Math.ceil(random.between(5, 120) / tickS);
    for (; tick < Math.min(until, ticks); tick += 1) link[tick] = 0;
  }
}

/** Gone in the last tenth of each day, and on some days at noon. */
function nearness(random: Random): Uint8Array {
  const near = new Uint8Array(ticks).fill(1);
  const dayTicks = dayS / tickS;
  for (let day = 0; day < days; day += 1) {
    near.fill(0, (day + 0.9) * dayTicks, (day + 1) * dayTicks);
    if (random.chance(0.4)) near.fill(0, (day + 0.4) * dayTicks, (day + 0.5) * dayTicks);
  }
  return near;
}

function piecewise(next: () => { readonly value: number; readonly lengthS: number }): Float64Array {
  const values = new Float64Array(ticks);
  for (let tick = 0; tick < ticks; ) {
    const { value, lengthS } = next();
    const until = Math.min(ticks, tick + Math.max(1, Math.round(lengthS / tickS)));
    values.fill(value, tick, until);
    tick = until;
  }
  return values;
}

/** Jobs one after another, each some time after the one before would be done at home. */
export function oneByOne(random: Random, make: MakeJob, gap: (random: Random) => number): Job[] {
  const jobs: Job[] = [];
  let atS = random.exponential(300);
  while (atS < endS - 2 * hourS) {
    const job = { ...make(random), arrivesS: atS };
    jobs.push(job);
    atS += lengthOf(job) + gap(random);
  }
  return jobs;
}

/** All at once, worked off one after another; the next queue when this one would be done. */
export function inQueues(random: Random, make: MakeJob, length: (random: Random) => number): Job[] {
  const jobs: Job[] = [];
  let atS = random.exponential(1_800);
  while (atS < endS - 3 * hourS) {
    const queue = Array.from({ length: length(random) }, () => ({ ...make(random), arrivesS: atS }));
    jobs.push(...queue);
    atS += queue.reduce((sum, job) => sum + lengthOf(job), 0) + random.exponential(2 * hourS);
  }
  return jobs;
}

function lengthOf({ stages }: Pick<Job, 'stages'>): number {
  return stages.reduce((sum, { lengthS }) => sum + lengthS, 0);
}

interface Character {
  readonly cpu?: number;
  readonly disk?: number;
  readonly threads?: number;
  readonly requestsPerSec?: number;
  readonly bytesPerRequest?: number;
}

/** What is neither CPU nor disk is waiting for something else. */
export function stage(lengthS: number, { cpu = 0, disk = 0, threads = 1, ...io }: Character): Stage {
  const requestsPerSec = io.requestsPerSec ?? 400;
  return {
    lengthS,
    cpu,
    disk,
    wait: Math.max(0, 1 - cpu - disk),
    threads,
    requestsPerSec,
    bytesPerSec: requestsPerSec * (io.bytesPerRequest ?? 64 * 1024),
  };
}

export const largeReads = { requestsPerSec: 150, bytesPerRequest: 0.5 * mib } as const;
export const smallFiles = { requestsPerSec: 1_500, bytesPerRequest: 8 * 1024 } as const;
