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

/** What became of the looks at a host. */
export interface Shown {
  /** How often it showed something. */
  readonly looks: number;
  /** The best of that, in steps of the CPU benchmark per second; 0 before the first. */
  readonly opsPerSec: number;
  readonly refusals: number;
}

const nothingShown: Shown = { looks: 0, opsPerSec: 0, refusals: 0 };

/** @param opsPerSec undefined where it refused to show anything */
export function lookedAt(before: Shown = nothingShown, opsPerSec?: number): Shown {
  if (opsPerSec === undefined) return { ...before, refusals: before.refusals + 1 };
  return { ...before, looks: before.looks + 1, opsPerSec: Math.max(before.opsPerSec, opsPerSec) };
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
  const { looks, ...rest } = shown ?? nothingShown;
  const isSettled = looks >= looksBeforeDoubt || (looks > 0 && !isMoreThanShown(claimedOpsPerSec, rest));
  return sinceMs > nextLookMs[isSettled ? 'settled' : 'open'];
}

/** Its figures as they are believed: the CPU's no higher than it could show, and not at all where it keeps refusing to. */
export function believed(claimed: Partial<MachineScores>, shown: Shown = nothingShown): Benchmark {
  const { cpuSingleOpsPerSec: single, cpuMultiOpsPerSec: multi, ...others } = claimed;
  if (shown.looks === 0) {
    return shown.refusals < looksBeforeDoubt || single === undefined
      ? claimed
      : { ...others, claimedOpsPerSec: single };
  }
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

function isMoreThanShown(claimedOpsPerSec: number | undefined, { opsPerSec }: Pick<Shown, 'opsPerSec'>): boolean {
  return claimedOpsPerSec !== undefined && claimedOpsPerSec > honestUpTo * opsPerSec;
}
