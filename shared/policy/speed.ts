/**
 * What a host says of its speed, against what it has shown: it is a stranger's word on which VMs are sent away, and some
 * machines measure themselves while they are cool and alone.
 */
import type { Benchmark, HostFacts, MachineScores } from '../model/host.ts';
import { freeCores } from './score.ts';

/** A core shares heat and caches with others, and what it shows has a way to go. */
const honestUpTo = 1.5;
/** Whoever fails once may have been at work just then. */
const looksBeforeDoubt = 2;
/** Of hashes: long enough to tell, short enough not to be noticed. */
const lastsS = 0.3;
/** Where nothing is claimed. */
const assumedOpsPerSec = 5_000;
const nextLookMs = { open: 30_000, settled: 24 * 3_600_000 } as const;

/** How often a host was looked at, and the best it has shown, in steps of the CPU benchmark per second. */
export interface Shown {
  readonly looks: number;
  readonly opsPerSec: number;
}

export function lookedAt(before: Shown | undefined, opsPerSec: number): Shown {
  return { looks: (before?.looks ?? 0) + 1, opsPerSec: Math.max(before?.opsPerSec ?? 0, opsPerSec) };
}

/** As many hashes as it should take a moment for. */
export function hashesFor(claimedOpsPerSec: number | undefined, most: number): number {
  return Math.min(most, Math.max(100, Math.round(lastsS * (claimedOpsPerSec ?? assumedOpsPerSec))));
}

/** Only while it has a core to spare, by its own account. @param sinceMs the last look, on a clock that never jumps */
export function isLookDue(
  facts: HostFacts,
  claimedOpsPerSec: number | undefined,
  shown: Shown | undefined,
  sinceMs: number | undefined,
): boolean {
  if (freeCores(facts) < 1) return false;
  if (sinceMs === undefined) return true;
  const isSettled =
    shown !== undefined && (shown.looks >= looksBeforeDoubt || !isMoreThanShown(claimedOpsPerSec, shown));
  return sinceMs > nextLookMs[isSettled ? 'settled' : 'open'];
}

/** Its figures as they are believed: the CPU's no higher than it could show. */
export function believed(claimed: Partial<MachineScores>, shown: Shown | undefined): Benchmark {
  if (shown === undefined) return claimed;
  const { cpuSingleOpsPerSec: single, cpuMultiOpsPerSec: multi } = claimed;
  const shownOpsPerSec = shown.opsPerSec;
  if (single === undefined) return { ...claimed, cpuSingleOpsPerSec: shownOpsPerSec, shownOpsPerSec };
  if (shown.looks < looksBeforeDoubt || !isMoreThanShown(single, shown)) return { ...claimed, shownOpsPerSec };
  const share = shownOpsPerSec / single;
  return {
    ...claimed,
    cpuSingleOpsPerSec: shownOpsPerSec,
    ...(multi === undefined ? {} : { cpuMultiOpsPerSec: multi * share }),
    shownOpsPerSec,
    claimedOpsPerSec: single,
  };
}

function isMoreThanShown(claimedOpsPerSec: number | undefined, { opsPerSec }: Shown): boolean {
  return claimedOpsPerSec !== undefined && claimedOpsPerSec > honestUpTo * opsPerSec;
}
