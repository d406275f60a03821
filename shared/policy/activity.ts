/**
 * What a VM is doing, followed sample by sample: a pure reducer, so that judging it costs the same however long it has
 * been watched.
 *
 * A *run* is a stretch of use: it begins when the demand for CPU or disk has been high for about three seconds, and
 * ends ten quiet seconds later, so that neither a spike nor the pause between two compilers is taken for a trend.
 * Work is counted in home seconds: what would have taken a second at home, wherever it was done.
 */
import { z } from 'zod';
import type { Sample } from '../model/vm.ts';

/** Of the level that begins and ends runs: long enough that one odd sample in three does not. */
const levelTauMs = 3_000;
/** Of what a run consists of: covers several rounds of "compile, then write", none of which is to decide alone. */
const mixTauMs = 90_000;
/** Of the long view that tells a person at work from nobody. */
const usualTauMs = 120_000;
const beginsAbove = 0.6;
const risesFrom = 0.25;
const quietBelow = 0.25;
const endsAfterQuietMs = 10_000;
/** No sample stands for more than this: what lies in a hole is unknown. */
const longestStepMs = 5_000;
/** After a hole this long the run that was seen before it may be another one. */
const holeMs = 30_000;
/** Under this use in the long view nobody is there; housekeeping takes a twentieth of a vCPU. */
const interactiveFrom = 0.08;
const mostlyFrom = 0.6;
const partlyFrom = 0.25;
/** Memory rewritten per second, as a share of what is in use, from which on a copy of it never ends. */
const churningFrom = 0.1;
/** Of a vCPU, what a guest does besides its work. */
const housekeeping = 0.15;
/** From so many requests on their mean time says something. */
export const tellingRequestsPerSec = 5;
/** Got less than this of the CPU it wanted: others were there, which nobody could know and which says nothing of its work. */
export const undisturbedFrom = 0.9;
/** A guest's housekeeping, and errors of measurement, hide idle time; a little of it is assumed always. */
const cpuTolerance = 0.06;
/** vCPUs this busy are all taken; how many tasks queue behind them is not seen from outside. */
const saturatedFrom = 0.85;

/** What one would call it when watching for a while. */
export const Kind = z.enum(['idle', 'interactive', 'cpu-bound', 'io-bound', 'mixed', 'memory-churning']);
export type Kind = z.infer<typeof Kind>;

const Share = z.number().min(0).max(1);
const Run = z.object({
  /** Epoch milliseconds of the first sample of the rise that led to it. */
  since: z.number(),
  /** Home seconds of work so far. */
  workS: z.number().min(0),
  /** How long it has been measured where it runs now; all that follows is a mean over that, at most over some minutes. */
  seenMs: z.number().min(0),
  /** Of its time, as it is spent there. */
  cpuShare: Share,
  diskShare: Share,
  /** vCPUs wanted while the CPU is used. */
  threads: z.number().min(0),
  /** Of the vCPU time it wanted, what it got where it runs now. */
  granted: Share,
  /** The same where it was before it moved away; absent where it began there. */
  homeGranted: Share.optional(),
  /** Disk requests, and their bytes, that something waited for, per second. */
  waitedRequestsPerSec: z.number().min(0),
  waitedBytesPerSec: z.number().min(0),
  /** Disk time per such request while it was at home; absent where it never was, or there were too few. */
  homeRequestS: z.number().min(0).optional(),
  /** That used most CPU in most of its samples, and by how many: a vote that holds only the leader and its lead. */
  program: z.string().optional(),
  programLead: z.int().min(0),
  /** How far a program had read its input when that was first seen and when it last grew, and the home seconds of work by then. */
  progress: z
    .object({
      program: z.string().optional(),
      firstShare: Share,
      firstWorkS: z.number().min(0),
      share: Share,
      workS: z.number().min(0),
    })
    .optional(),
});

export const Activity = z.object({
  /** Of the newest sample. */
  at: z.number(),
  level: Share,
  /** Mean use over some minutes. */
  usual: Share,
  risingSince: z.number().optional(),
  quietSince: z.number().optional(),
  run: Run.optional(),
  /** The latest run that ended, once, with the sample that ended it. */
  ended: Run.optional(),
  /** Since when there has been no run, where there is none. */
  restingSince: z.number().optional(),
  /** How long it had rested when a run began, once, with the sample that began it. */
  restedS: z.number().optional(),
  memoryChurn: z.number().min(0),
});
export type Activity = z.infer<typeof Activity>;

/**
 * What one sample says, each 0..1: at least one task on (or waiting for) a CPU; waiting for a disk and doing nothing
 * else. How many tasks share the busy time is not seen: as few as could have used it are assumed, so that a task that
 * wanders between vCPUs counts whole, except for time in which the disk was busy, when all may have paused for it.
 */
function demandOf(sample: Sample): { cpu: number; disk: number } {
  const wanted = Math.min(sample.vcpus, Math.max(0, sample.busyVcpus + sample.waitingVcpus));
  const tasks = tasksIn(wanted);
  const busiest = sample.busiestVcpu + sample.waitingVcpus / sample.vcpus;
  const cpu = Math.min(1, Math.max(busiest, Math.min(wanted / tasks, 1 - sample.diskBusy)));
  const outside = Math.min(sample.diskBusy, 1 - cpu);
  // The guest knows which requests nobody waits for. It can only lower the figure: a guest that lies cannot invent a wait.
  const guest = sample.guestIowait === undefined ? 1 : sample.guestIowait * sample.vcpus;
  return { cpu, disk: Math.max(0, Math.min(outside, guest)) };
}

/** As few as could want so many vCPUs, besides a guest's housekeeping. */
export function tasksIn(wantedVcpus: number): number {
  return Math.max(1, Math.ceil(wantedVcpus - housekeeping));
}

/** Share of the requests that something waited for: of the disk's busy time, as much as the CPU may have been idle in. */
function waitedShare({ diskBusy }: Sample, cpu: number): number {
  return diskBusy > 0 ? Math.min(1, (1 - cpu + cpuTolerance) / diskBusy) : 0;
}

/**
 * `before` with one more sample, which must be newer. `pace`: home seconds of work done per second where the VM is, 1
 * at home.
 */
export function watch(before: Activity | undefined, sample: Sample, pace = 1): Activity {
  const gapMs = before === undefined ? Number.POSITIVE_INFINITY : sample.at - before.at;
  if (before === undefined || gapMs > holeMs || gapMs < -holeMs) return fresh(sample);
  if (gapMs <= 0) return before;
  const { cpu, disk } = demandOf(sample);
  const use = cpu + disk;
  const stepMs = Math.min(gapMs, longestStepMs);
  const level = toward(before.level, use, stepMs, levelTauMs);
  const next: Activity = {
    at: sample.at,
    level,
    usual: toward(before.usual, use, stepMs, usualTauMs),
    memoryChurn: churn(sample) ?? before.memoryChurn,
  };
  if (use >= risesFrom) next.risingSince = before.risingSince ?? sample.at - stepMs;
  else if (before.risingSince !== undefined && level >= risesFrom) next.risingSince = before.risingSince;
  if (level < quietBelow) next.quietSince = before.quietSince ?? sample.at - stepMs;
  if (before.run === undefined) {
    if (level < beginsAbove) {
      next.restingSince = before.restingSince ?? before.at;
      return next;
    }
    const since = next.risingSince ?? sample.at - stepMs;
    next.run = begun(sample, since, cpu, disk, pace);
    if (before.restingSince !== undefined) next.restedS = Math.max(0, since - before.restingSince) / 1_000;
    return next;
  }
  if (next.quietSince !== undefined && sample.at - next.quietSince >= endsAfterQuietMs) {
    next.restingSince = next.quietSince;
    next.ended = before.run;
    // The next run may rewrite as little as this one did much.
    next.memoryChurn = churn(sample) ?? 0;
    return next;
  }
  // Quiet seconds are part of the run only if it goes on after them, which nobody knows yet.
  const goesOn = next.quietSince === undefined;
  const caughtUpMs = goesOn && before.quietSince !== undefined ? sample.at - before.quietSince : stepMs;
  next.run = goesOn ? grown(before.run, sample, caughtUpMs, cpu, disk, pace) : before.run;
  // A run keeps the moment of its own first quiet second.
  if (!goesOn) next.quietSince = before.quietSince ?? next.quietSince;
  return next;
}

/** The VM is elsewhere now: its work goes on, and what it consists of is measured anew. */
export function afterMove(activity: Activity, from: 'home' | 'away'): Activity {
  const { run } = activity;
  if (run === undefined) return activity;
  const { waitedRequestsPerSec, diskShare } = run;
  const isTelling = from === 'home' && waitedRequestsPerSec >= tellingRequestsPerSec;
  return {
    ...activity,
    run: {
      ...run,
      seenMs: 0,
      ...(from === 'home' && { homeGranted: run.granted }),
      ...(isTelling && { homeRequestS: diskShare / waitedRequestsPerSec }),
    },
  };
}

/** From a window of samples alone, in order of time. */
export function watchAll(samples: readonly Sample[]): Activity | undefined {
  let activity: Activity | undefined;
  for (const sample of samples) activity = watch(activity, sample);
  return activity;
}

export function kindOf({ run, usual, memoryChurn }: Activity): Kind {
  if (run === undefined) return usual >= interactiveFrom ? 'interactive' : 'idle';
  if (memoryChurn >= churningFrom && run.cpuShare >= partlyFrom) return 'memory-churning';
  if (run.cpuShare >= mostlyFrom && run.diskShare < partlyFrom) return 'cpu-bound';
  if (run.diskShare >= mostlyFrom || (run.diskShare >= partlyFrom && run.cpuShare < partlyFrom)) return 'io-bound';
  return 'mixed';
}

function fresh(sample: Sample): Activity {
  const { cpu, disk } = demandOf(sample);
  const use = cpu + disk;
  return {
    at: sample.at,
    level: Math.min(use, quietBelow),
    usual: Math.min(use, interactiveFrom),
    restingSince: sample.at,
    memoryChurn: churn(sample) ?? 0,
    ...(use >= risesFrom ? { risingSince: sample.at } : { quietSince: sample.at }),
  };
}

type Run = z.infer<typeof Run>;

function begun(sample: Sample, since: number, cpu: number, disk: number, pace: number): Run {
  const use = Math.max(cpu + disk, risesFrom);
  return {
    since,
    workS: (Math.max(0, sample.at - since) / 1_000) * pace,
    seenMs: 0,
    cpuShare: Math.min(1, cpu / use),
    diskShare: Math.min(1, disk / use),
    threads: threadsOf(sample),
    granted: grantedOf(sample),
    waitedRequestsPerSec: sample.diskRequestsPerSec * waitedShare(sample, cpu),
    waitedBytesPerSec: sample.diskBytesPerSec * waitedShare(sample, cpu),
    ...voted(undefined, 0, sample.guestProgram),
  };
}

function grown(run: Run, sample: Sample, stepMs: number, cpu: number, disk: number, pace: number): Run {
  const ownMs = Math.min(stepMs, longestStepMs);
  // A plain mean at first, which turns into an exponential one.
  const share = Math.max(1 - Math.exp(-ownMs / mixTauMs), ownMs / (run.seenMs + ownMs));
  const step = (from: number, to: number, weight = 1): number => from + (to - from) * share * weight;
  const workS = run.workS + (stepMs / 1_000) * pace;
  return {
    ...run,
    workS,
    seenMs: run.seenMs + ownMs,
    cpuShare: step(run.cpuShare, cpu),
    diskShare: step(run.diskShare, disk),
    threads: step(run.threads, threadsOf(sample), cpu),
    granted: step(run.granted, grantedOf(sample), cpu),
    waitedRequestsPerSec: step(run.waitedRequestsPerSec, sample.diskRequestsPerSec * waitedShare(sample, cpu)),
    waitedBytesPerSec: step(run.waitedBytesPerSec, sample.diskBytesPerSec * waitedShare(sample, cpu)),
    ...voted(run.program, run.programLead, sample.guestProgram),
    progress: readOn(run.progress, sample, workS),
  };
}

/** Begins anew where less was read than before: another input, or another program. */
function readOn(
  before: Run['progress'],
  { guestProgress: share, guestProgram: program }: Sample,
  workS: number,
): Run['progress'] {
  if (share === undefined) return before;
  if (before === undefined || program !== before.program || share < before.share) {
    return { ...(program !== undefined && { program }), firstShare: share, firstWorkS: workS, share, workS };
  }
  if (share === before.share) return before;
  return { ...before, share, workS };
}

/** Boyer and Moore's majority vote. */
function voted(
  leader: string | undefined,
  lead: number,
  vote: string | undefined,
): { program?: string; programLead: number } {
  if (vote === undefined) return { ...(leader !== undefined && { program: leader }), programLead: lead };
  if (lead === 0 || leader === undefined) return { program: vote, programLead: 1 };
  return { program: leader, programLead: vote === leader ? lead + 1 : lead - 1 };
}

function threadsOf({ busyVcpus, waitingVcpus, vcpus }: Sample): number {
  const wanted = Math.min(vcpus, busyVcpus + waitingVcpus);
  return wanted >= saturatedFrom * vcpus ? vcpus : Math.max(Math.min(1, vcpus), wanted);
}

function grantedOf({ busyVcpus, waitingVcpus }: Sample): number {
  const wanted = busyVcpus + waitingVcpus;
  return wanted > 0 ? busyVcpus / wanted : 1;
}

function churn({ dirtyBytesPerSec, usedMemoryBytes }: Sample): number | undefined {
  return dirtyBytesPerSec === undefined ? undefined : dirtyBytesPerSec / Math.max(1, usedMemoryBytes);
}

/** One step of an exponential average with time constant `tauMs`. */
function toward(from: number, to: number, stepMs: number, tauMs: number): number {
  return from + (to - from) * (1 - Math.exp(-stepMs / tauMs));
}
