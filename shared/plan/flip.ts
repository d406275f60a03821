/** When to flip a running pre-copy to post-copy (Hines, Deshpande, Gopalan §3; design §4.8). */
import type { Direction, Progress } from '../model/move.ts';

export interface FlipQuestion {
  readonly direction: Direction;
  /** Why post-copy is out of the question here, if it is. */
  readonly postcopyObstacle?: string | undefined;
  readonly askedByUser: boolean;
  readonly progress: Progress;
  /** Distinct bytes the guest wrote in one second just before the move; absent where not measured. */
  readonly dirtyBytesPerSec?: number | undefined;
  /** Guest memory in use when the move began. */
  readonly usedBytes: number;
  /** Measured through the link just before the move. */
  readonly linkBytesPerSec: number;
  /** How long the link has been up without a missed heartbeat. */
  readonly linkStableMs: number;
}

export interface FlipDecision {
  readonly action: 'wait' | 'flip';
  readonly reason: string;
}

/** A second round costs the working set again; from this share of the memory on, it is not worth sending twice. */
const workingSetShareToSkipPrecopy = 0.25;
/** Pre-copy converges only while the guest writes clearly slower than the link carries. */
const convergingShareOfLink = 0.8;
const outwardStableMs = 10_000;
/** What QEMU aims at by default (downtime-limit). */
const targetDowntimeMs = 300;

export function decideFlip(question: FlipQuestion): FlipDecision {
  const { progress, linkBytesPerSec } = question;
  if (question.postcopyObstacle !== undefined) return wait(question.postcopyObstacle);
  if (question.askedByUser) return flip('you asked to finish now');
  if (question.direction === 'out' && question.linkStableMs < outwardStableMs) {
    return wait('the link has not been steady for long enough to rest the VM on it');
  }
  const dirty = progress.dirtyBytesPerSec > 0 ? progress.dirtyBytesPerSec : (question.dirtyBytesPerSec ?? 0);
  const outruns = dirty > convergingShareOfLink * linkBytesPerSec;
  const workingSetBytes = question.dirtyBytesPerSec ?? 0;
  if (outruns && workingSetBytes > workingSetShareToSkipPrecopy * question.usedBytes) {
    return flip('the guest rewrites so much of its memory that sending it twice would only cost time');
  }
  if (progress.iteration < 2) return wait('first round');
  const remainingMs = (progress.remainingBytes / Math.max(1, progress.rateBytesPerSec || linkBytesPerSec)) * 1_000;
  if (outruns && remainingMs > targetDowntimeMs) return flip('the guest writes faster than the link carries');
  return wait('pre-copy is converging');
}

function flip(reason: string): FlipDecision {
  return { action: 'flip', reason };
}

function wait(reason: string): FlipDecision {
  return { action: 'wait', reason };
}
