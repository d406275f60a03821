/**
 * Every way to make a move, with what is to be expected of it: how long it takes, how likely it is to be in time, and what
 * that costs the user.
 */
import type { Direction } from '../model/move.ts';
import { type Copy, type CopyOption, predictCopy, type Shrinking, targetDowntimeMs } from './copy-model.ts';

/** Memory the guest could do without (shared/plan/balloon.ts). */
interface BalloonFacts {
  readonly targetBytes: number;
  readonly freedBytes: number;
  /** How fast the guest gives it. */
  readonly bytesPerSec: number;
}

export interface MoveFacts {
  readonly direction: Direction;
  /** Memory that has to cross, as far as is known: all the guest has ever touched. */
  readonly touchedBytes: number;
  /** What the balloon could take of it; absent where nothing is to be had, or once the copy has begun. */
  readonly balloon?: BalloonFacts | undefined;
  /** Distinct memory written in one second; absent where not measured. */
  readonly dirtyBytesPerSec?: number | undefined;
  /** All it writes to; absent where not seen yet. */
  readonly workingSetBytes?: number | undefined;
  readonly linkBytesPerSec: number;
  /** Relative change of that in a second. */
  readonly linkTrendPerSec: number;
  /** The guest's own disk and network, over the same link while it is away. */
  readonly guestBytesPerSec?: number | undefined;
  /** How long the link has been up without a missed heartbeat. */
  readonly linkStableMs: number;
  /** From now; absent where nobody waits. A VM that is not there by then is paused where it runs. */
  readonly deadlineMs?: number | undefined;
  /** Why post-copy is out of the question here, if it is. */
  readonly postcopyObstacle?: string | undefined;
  readonly finishNowAsked: boolean;
  /** Absent before the copy has begun. */
  readonly copying?: CopyingFacts | undefined;
}

export interface CopyingFacts {
  readonly remainingBytes: number;
  /** Pre-copy rounds begun. */
  readonly round: number;
  /** Since this round began. */
  readonly roundMs: number;
}

/** What a move takes beside its copy: both ends made ready, the migrate call under way, the switch. */
export const setupMs = 1_500;
/** Off the copy, both ends looked at, the guest paused: before the deadline, not after it. */
export const pauseLeadMs = 3_000;
const outwardStableMs = 10_000;
/** Rounds after which what is left does not get less by another: what was measured was too hopeful. */
export const patientRounds = 5;
/** Where the guest's whole working set was not seen: so much of its memory, if it writes for long enough. */
const workingSetShare = 0.5;
/** A guest gives memory back several times faster than most links carry it: what it gives later, it gives meanwhile. */
const shortWaitMs = 800;
const longestWaitMs = 6_000;
/** Each ms in post-copy, beside the time itself: the guest waits for its pages and gets on at about half its speed. */
const postcopyWeight = 0.5;
/** A flip cannot be called off, and from it on either machine's end is the VM's: pre-copy may take twice as long instead. */
const flipWeight = 1;
/** A link that breaks in post-copy stops the guest until it is back. */
const brokenPostcopyMs = 30_000;
/** What it is worth not to leave the VM paused at the host: more than any way home; and how much worse half-way is. */
export const missedMs = (deadlineMs: number): number => 600_000 + 4 * Math.max(0, deadlineMs);
const halfwayWeight = 2;
/** Spread of what a link carries about what was measured, as ln: a probe is short, Wi-Fi is shared. */
export const linkSpread = 0.25;

/** Chance that the link holds so long: the longer it has held the longer it will, and a new one breaks within minutes. */
export function holds(linkStableMs: number, ms: number): number {
  const age = 6_000 + linkStableMs;
  // A deadline that is past asks nothing more of the link.
  return (age / (age + Math.max(0, ms))) ** 0.1;
}

/** One way to make the move, with what is to be expected of it. */
export interface Candidate {
  readonly option: CopyOption;
  readonly copy: Copy;
  readonly chance: number;
  readonly cost: number;
}

/** Every way there is, whether good or not. */
export function optionsOf(facts: MoveFacts): CopyOption[] {
  return shrinkingsOf(facts.balloon).flatMap((shrinking) =>
    flipsOf(facts).map((flipAfterRounds) => ({ flipAfterRounds, shrinking })),
  );
}

/** None, some of it before the copy and the rest meanwhile, or all of it before: after a flip the guest can give no more. */
function shrinkingsOf(balloon: BalloonFacts | undefined): (Shrinking | undefined)[] {
  if (balloon === undefined) return [undefined];
  const { freedBytes, bytesPerSec } = balloon;
  const wholeMs = Math.min(longestWaitMs, (freedBytes / bytesPerSec) * 1_000);
  const waits = wholeMs > shortWaitMs ? [shortWaitMs, wholeMs] : [wholeMs];
  return [undefined, ...waits.map((headStartMs) => ({ freedBytes, bytesPerSec, headStartMs }))];
}

function flipsOf(facts: MoveFacts): (number | undefined)[] {
  if (flipObstacle(facts) !== undefined) return [undefined];
  return facts.finishNowAsked || isOutOfPatience(facts) ? [0] : [undefined, 0, 1, 2];
}

/** Why there is no flip now. */
export function flipObstacle(facts: MoveFacts): string | undefined {
  if (facts.postcopyObstacle !== undefined) return facts.postcopyObstacle;
  if (facts.finishNowAsked || facts.direction === 'home' || facts.linkStableMs >= outwardStableMs) return undefined;
  return 'the link has not been steady for long enough to rest the VM on it';
}

export function judge(facts: MoveFacts, option: CopyOption): Candidate {
  const copy = predicted(facts, option, 1);
  const chance = chanceOf(facts, option, copy);
  const own = costOf(copy, facts.linkStableMs);
  if (facts.deadlineMs === undefined) return { option, copy, chance, cost: own };
  const paused = missedMs(facts.deadlineMs);
  const missed = option.flipAfterRounds === undefined ? paused : halfwayWeight * paused;
  return { option, copy, chance, cost: chance * Math.min(own, paused) + (1 - chance) * missed };
}

/** What a copy costs its user, as time: never the bytes alone. */
export function costOf({ totalMs, postcopyMs, downtimeMs }: Copy, linkStableMs: number): number {
  const breaks = 1 - holds(linkStableMs, postcopyMs);
  const isFlipped = postcopyMs > 0;
  const ownMs = isFlipped ? (1 + flipWeight) * totalMs : totalMs;
  return ownMs + postcopyWeight * postcopyMs + breaks * brokenPostcopyMs + downtimeMs;
}

export function predicted(facts: MoveFacts, option: CopyOption, linkFactor: number): Copy {
  const { copying, touchedBytes, dirtyBytesPerSec = 0 } = facts;
  const { workingSetBytes } = facts;
  const goesInCircles = workingSetBytes === undefined || workingSetBytes < 2 * dirtyBytesPerSec;
  const isHopeless = option.flipAfterRounds === undefined && isOutOfPatience(facts);
  const copy = predictCopy(
    {
      remainingBytes: copying?.remainingBytes ?? touchedBytes,
      sinceSyncMs: copying?.roundMs ?? 0,
      dirtyBytesPerSec,
      workingSetBytes: workingSetBytes ?? workingSetShare * touchedBytes,
      burstMs: goesInCircles ? 500 : 1_000,
      linkBytesPerSec: facts.linkBytesPerSec,
      linkTrendPerSec: facts.linkTrendPerSec,
    },
    option,
    linkFactor,
  );
  const before = copying === undefined ? setupMs : 0;
  return { ...copy, totalMs: isHopeless ? Number.POSITIVE_INFINITY : before + copy.totalMs };
}

export function isOutOfPatience({ copying, linkBytesPerSec }: MoveFacts): boolean {
  if (copying === undefined || copying.round <= patientRounds) return false;
  // A look may come late in every round; one that is not the last begins with more than may be left.
  if (copying.round > 2 * patientRounds) return true;
  return (copying.remainingBytes / Math.max(1, linkBytesPerSec)) * 1_000 > targetDowntimeMs;
}

/** Pre-copy must leave time to pause the guest; after the flip there is nothing left to call off. */
function limitMs(deadlineMs: number, { flipAfterRounds }: CopyOption): number {
  return flipAfterRounds === undefined ? deadlineMs - pauseLeadMs : deadlineMs;
}

/** That the link holds until then, and carries as much as the option needs to be in time. */
function chanceOf(facts: MoveFacts, option: CopyOption, copy: Copy): number {
  const { deadlineMs, linkStableMs } = facts;
  if (deadlineMs === undefined) return Number.isFinite(copy.totalMs) ? holds(linkStableMs, copy.totalMs) : 0;
  const limit = limitMs(deadlineMs, option);
  const least = leastFactor((factor) => predicted(facts, option, factor).totalMs <= limit);
  return normalTail(Math.log(least) / linkSpread) * holds(linkStableMs, Math.min(limit, copy.totalMs));
}

const widest = 4 * linkSpread;

/** By bisection of its logarithm; infinite where no link would do. */
function leastFactor(isEnough: (factor: number) => boolean): number {
  if (!isEnough(Math.exp(widest))) return Number.POSITIVE_INFINITY;
  let [low, high] = [-widest, widest];
  for (let step = 0; step < 10; step += 1) {
    const middle = (low + high) / 2;
    if (isEnough(Math.exp(middle))) high = middle;
    else low = middle;
  }
  return Math.exp(high);
}

/** P(N(0,1) > z), by a logistic curve that is right within 0.01. */
function normalTail(z: number): number {
  return 1 / (1 + Math.exp(1.5976 * z + 0.070566 * z ** 3));
}
