/**
 * When a machine, or a link, is measured. A benchmark takes a second of the CPU and writes 64 MiB, and a link is filled for a
 * moment: nobody who works is to notice, and what is measured beside work tells of that work instead.
 */
import type { HostFacts } from '../model/host.ts';

/** What a machine does that waits for somebody to work at it. */
const idleShare = 0.1;
/** A machine changes with its updates and its seasons. */
const scoresLastMs = 7 * 24 * 3_600_000;
/** A laptop changes rooms. */
const linkLastsMs = 3_600_000;
/** Heartbeats, and a VM's disk that rests. */
const quietBytesPerSec = 50_000;

export function isIdle({ cores, busyCores }: Pick<HostFacts, 'busyCores' | 'cores'>): boolean {
  return busyCores <= idleShare * cores;
}

/** `takenAtMs`, `nowMs`: on the clock, which may have been set. */
export function areScoresDue(takenAtMs: number | undefined, nowMs: number): boolean {
  return takenAtMs === undefined || Math.abs(nowMs - takenAtMs) > scoresLastMs;
}

/**
 * The first time at once, since nothing can be foretold without; then only while nobody uses it.
 * @param sinceMs on a clock that never jumps, since it was measured last
 * @param bytesPerSec what it carries now, where that is known
 */
export function isLinkDue(sinceMs: number | undefined, bytesPerSec: number | undefined): boolean {
  if (sinceMs === undefined) return true;
  return sinceMs > linkLastsMs && bytesPerSec !== undefined && bytesPerSec < quietBytesPerSec;
}
