/**
 * How a move goes best, before it and again at each look while it copies: how far to shrink the guest, pre-copy or the flip
 * and when, or the safe end (design §4.8, §5 I6). Every possibility is put through the same model and judged by the same
 * cost; what comes next is data, in order, so that whoever carries it out asks only what is due.
 */
import type { Planned } from '../model/move.ts';
import type { Copy } from './copy-model.ts';
import {
  type Candidate,
  flipObstacle,
  isOutOfPatience,
  judge,
  linkSpread,
  type MoveFacts,
  missedMs,
  optionsOf,
  patientRounds,
  pauseLeadMs,
  predicted,
} from './ways.ts';

export interface PlanStep {
  /** From now. */
  readonly atMs: number;
  readonly do: 'flip' | 'pause';
  readonly reason: string;
}

export interface MovePlan {
  readonly mode: 'pre-copy' | 'post-copy' | 'safe-end';
  /** Rounds from now to the flip, with post-copy. */
  readonly flipAfterRounds?: number | undefined;
  /** Size to shrink the guest to, and how long to wait for it before the copy begins. */
  readonly balloon?: { readonly targetBytes: number; readonly waitMs: number } | undefined;
  /** Leaves the guest its own share of the link. */
  readonly capBytesPerSec?: number | undefined;
  /** Until the VM is there, from now; absent with the safe end. */
  readonly totalMs?: number | undefined;
  readonly bytes?: number | undefined;
  readonly downtimeMs?: number | undefined;
  /** Chance that the VM is there in time, or at all in one go where nobody waits: 0..1; with the safe end next to none. */
  readonly confidence: number;
  /** Why so: a clause. */
  readonly reason: string;
  /** What to do from here on, each unless the move is over by then; soonest first. */
  readonly steps: readonly PlanStep[];
}

/** Below it a way home is none. */
const leastChance = 0.05;
/** A guest that uses less of the link is not noticed; one that uses more gets what it uses and half as much again. */
const leastGuestShare = 0.02;
const guestRoom = 1.5;
const mostSlowedByCap = 1.3;

export function planMove(facts: MoveFacts): MovePlan {
  const candidates = optionsOf(facts).map((option) => judge(facts, option));
  const best = candidates.reduce((least, next) => (isBetter(next, least) ? next : least));
  const { deadlineMs } = facts;
  const isNone = deadlineMs !== undefined && (best.chance < leastChance || best.cost >= missedMs(deadlineMs));
  return isNone ? safeEnd(facts, candidates) : planOf(facts, best, candidates);
}

/** Where no way has an end, at least the one that sends the least. */
function isBetter(one: Candidate, other: Candidate): boolean {
  return one.cost === other.cost ? one.copy.bytes < other.copy.bytes : one.cost < other.cost;
}

/** Why a move was called off, or not begun, that would not have been over in time: the VM waits where it is. */
export const outOfTime = 'there was not enough time for it';

/** The plan as people are told of it. */
export function planned({ mode, totalMs, bytes, confidence, reason }: MovePlan): Planned {
  return {
    mode,
    confidence,
    reason,
    ...(totalMs === undefined ? {} : { totalMs: Math.round(totalMs) }),
    ...(bytes === undefined ? {} : { bytes: Math.round(bytes) }),
  };
}

/** What the plan says to do now, if anything. */
export function dueStep(plan: MovePlan): PlanStep | undefined {
  return plan.steps.find(({ atMs }) => atMs <= 0);
}

function planOf(facts: MoveFacts, best: Candidate, all: readonly Candidate[]): MovePlan {
  const { option, copy, chance } = best;
  const flip = option.flipAfterRounds;
  const steps: PlanStep[] = [];
  const reason = flip === undefined ? whyPrecopy(facts) : whyFlip(facts, best, all);
  if (flip !== undefined) steps.push({ atMs: flipAtMs(copy, flip, facts), do: 'flip', reason });
  if (facts.deadlineMs !== undefined) {
    if (flip === undefined) steps.push(...lastFlip(facts, best, all));
    steps.push(pauseStep(facts.deadlineMs, steps[0]?.atMs));
  }
  return {
    mode: flip === undefined ? 'pre-copy' : 'post-copy',
    ...(flip === undefined ? {} : { flipAfterRounds: flip }),
    ...(option.shrinking === undefined || facts.balloon === undefined
      ? {}
      : { balloon: { targetBytes: facts.balloon.targetBytes, waitMs: option.shrinking.headStartMs } }),
    ...capOf(facts, best),
    ...(Number.isFinite(copy.totalMs) ? { totalMs: copy.totalMs, bytes: copy.bytes, downtimeMs: copy.downtimeMs } : {}),
    confidence: chance,
    reason,
    steps,
  };
}

/** Where nobody waits, the guest's own disk and network go first, if that costs little. */
function capOf(facts: MoveFacts, { option, copy }: Candidate): { capBytesPerSec?: number } {
  const { guestBytesPerSec = 0, linkBytesPerSec, deadlineMs } = facts;
  if (deadlineMs !== undefined || option.flipAfterRounds !== undefined || facts.direction === 'out') return {};
  if (guestBytesPerSec < leastGuestShare * linkBytesPerSec) return {};
  const capBytesPerSec = linkBytesPerSec - guestRoom * guestBytesPerSec;
  if (capBytesPerSec <= 0) return {};
  const capped = predicted(facts, option, capBytesPerSec / linkBytesPerSec);
  return capped.totalMs <= mostSlowedByCap * copy.totalMs ? { capBytesPerSec } : {};
}

function safeEnd(facts: MoveFacts, candidates: readonly Candidate[]): MovePlan {
  const deadlineMs = facts.deadlineMs ?? 0;
  const chance = Math.max(...candidates.map((candidate) => candidate.chance));
  return {
    mode: 'safe-end',
    confidence: chance,
    reason: 'no way of copying its memory would be over in time',
    steps: [pauseStep(deadlineMs)],
  };
}

/** @param flipAtMs a flip before the deadline comes first: after it there is nothing to pause */
function pauseStep(deadlineMs: number, flipAtMs = 0): PlanStep {
  return {
    atMs: Math.max(flipAtMs, deadlineMs - pauseLeadMs),
    do: 'pause',
    reason: 'time is up before the VM is home: it waits where it is and goes on when this computer is back',
  };
}

function flipAtMs({ totalMs, postcopyMs }: Copy, flipAfterRounds: number, { copying }: MoveFacts): number {
  if (flipAfterRounds === 0 && copying !== undefined) return 0;
  return totalMs - postcopyMs;
}

/** Should pre-copy take longer than expected, the last moment at which the rest of it would still be there in time. */
function lastFlip(facts: MoveFacts, { copy }: Candidate, all: readonly Candidate[]): PlanStep[] {
  const atOnce = all.find(({ option }) => option.flipAfterRounds === 1);
  if (atOnce === undefined || facts.deadlineMs === undefined) return [];
  const atMs = facts.deadlineMs - atOnce.copy.postcopyMs * Math.exp(linkSpread);
  if (atMs <= copy.totalMs) return [];
  return [{ atMs, do: 'flip', reason: 'pre-copy takes longer than expected, and the rest must be there in time' }];
}

function whyPrecopy(facts: MoveFacts): string {
  const obstacle = flipObstacle(facts);
  if (obstacle !== undefined) return obstacle;
  return facts.copying === undefined ? 'the link carries more than the guest writes' : 'pre-copy is converging';
}

function whyFlip(facts: MoveFacts, best: Candidate, all: readonly Candidate[]): string {
  if (facts.finishNowAsked) return 'you asked to finish now';
  if (isOutOfPatience(facts)) return `after ${patientRounds} rounds there is still too much left to stop the guest for`;
  const precopy = all.find(({ option }) => option.flipAfterRounds === undefined);
  if (precopy !== undefined && !Number.isFinite(precopy.copy.totalMs)) {
    return best.option.flipAfterRounds === 0 && (facts.copying?.round ?? 0) < 2
      ? 'the guest rewrites so much of its memory that sending it twice would only cost time'
      : 'the guest writes faster than the link carries';
  }
  if (facts.deadlineMs !== undefined && precopy !== undefined && precopy.chance < best.chance) {
    return 'pre-copy alone would not be over in time';
  }
  return 'the guest writes so fast that further rounds would take longer than the rest does in post-copy';
}
