/**
 * What the policy has learnt about one VM. Plain data: kept in one private file on this computer, and erased by one
 * command.
 */
import { z } from 'zod';
import { Fingerprint } from '../model/identifiers.ts';
import type { Direction } from '../model/move.ts';
import { type Activity, undisturbedFrom } from './activity.ts';
import { Lifetimes, noLifetimes, withRun } from './lifetimes.ts';
import { Correction, corrected, priorSpread } from './move-cost.ts';

const halfLifeMs = 7 * 24 * 3_600_000;
const mostReluctance = 8;
/** How the user's word changes what the policy demands before it asks, or acts, again. */
const steps = { 'not-now': 1, reversed: 2, accepted: -1 } as const;
export type Reaction = keyof typeof steps;

/** Nothing known: one run in five is better off at home, as two earlier ones would have told. */
const priorMix = { runs: 2, homeWork: 0.2 } as const;
/** Away a run has to be at least a little faster for the VM to wait for it there. */
const fasterFrom = 1.05;
const leastMixWeight = 0.05;
/** Shorter ones do not matter to where it rests. */
const shortestMixedRunS = 5;

const wayWeight = 0.25;
/** Hosts remembered per VM. */
const mostHosts = 50;

const HostLesson = z.object({
  out: Correction.optional(),
  home: Correction.optional(),
  /** Of the way of its disk's requests, what its work was seen to wait for. */
  wayShare: z.number().min(0).max(2).optional(),
  /** Grows with each "not now" and each move undone at once, and halves every week. */
  reluctance: z.number().min(0).max(mostReluctance),
  reluctanceAt: z.number(),
  /** "Never": this VM is not moved there by itself, nor is it suggested. */
  never: z.boolean(),
});
type HostLesson = z.infer<typeof HostLesson>;

export const Learned = z.object({
  runs: Lifetimes,
  /** How long the VM rests between two runs. */
  rests: Lifetimes,
  /** Runs that were judged so, and the share of them that would go no faster away. */
  judgedRuns: z.number().min(0),
  homeWork: z.number().min(0).max(1),
  hosts: z.record(Fingerprint, HostLesson),
});
export type Learned = z.infer<typeof Learned>;

export function nothingLearned(): Learned {
  return {
    runs: noLifetimes(),
    rests: noLifetimes(),
    judgedRuns: priorMix.runs,
    homeWork: priorMix.homeWork,
    hosts: {},
  };
}

/**
 * What the newest sample completed: a run that ended, a rest that ended. The same object where it completed nothing.
 * `endedPace`: how fast the run that ended would go away, where some host can tell.
 */
export function learnedFrom(known: Learned, { ended, restedS }: Activity, endedPace?: number): Learned {
  if (ended === undefined && restedS === undefined) return known;
  return {
    ...known,
    ...(ended === undefined || ended.workS < shortestMixedRunS
      ? {}
      : judged(known, endedPace === undefined ? ended.diskShare > ended.cpuShare : endedPace < fasterFrom)),
    runs: ended === undefined ? known.runs : withRun(known.runs, ended.workS, ended.program),
    rests: restedS === undefined ? known.rests : withRun(known.rests, restedS),
  };
}

function judged({ judgedRuns, homeWork }: Learned, isForHome: boolean): Pick<Learned, 'homeWork' | 'judgedRuns'> {
  const weight = Math.max(leastMixWeight, 1 / (judgedRuns + 1));
  return { judgedRuns: judgedRuns + 1, homeWork: homeWork + weight * (Number(isForHome) - homeWork) };
}

/** How likely the next run is better off at home. */
export function homeWorkOf(known: Learned | undefined): number {
  return known?.homeWork ?? priorMix.homeWork;
}

export function learnedMove(
  known: Learned,
  host: Fingerprint,
  direction: Direction,
  predictedS: number,
  actualS: number,
): Learned {
  const lesson = lessonOf(known, host);
  const before = correctionOf(known, host, direction);
  return withLesson(known, host, { ...lesson, [direction]: corrected(before, predictedS, actualS) });
}

/** One way tells of the other until that was gone too: it is the same link between the same machines. */
export function correctionOf(
  known: Learned | undefined,
  host: Fingerprint,
  direction: Direction,
): Correction | undefined {
  const lesson = known?.hosts[host];
  const other = lesson?.[direction === 'out' ? 'home' : 'out'];
  return lesson?.[direction] ?? (other && { moves: 0, bias: other.bias, spread: priorSpread });
}

/** The first time counts whole. */
export function learnedWayShare(known: Learned, host: Fingerprint, seen: number): Learned {
  const lesson = lessonOf(known, host);
  const before = lesson.wayShare ?? seen;
  return withLesson(known, host, { ...lesson, wayShare: before + wayWeight * (seen - before) });
}

export function learnedReaction(known: Learned, host: Fingerprint, reaction: Reaction, now: number): Learned {
  const reluctance = reluctanceOf(known, host, now) + steps[reaction];
  return withLesson(known, host, {
    ...lessonOf(known, host),
    reluctance: Math.min(mostReluctance, Math.max(0, reluctance)),
    reluctanceAt: now,
  });
}

/** "Never" holds until `learned` is erased, or the user moves the VM there. */
export function learnedNever(known: Learned, host: Fingerprint, never: boolean): Learned {
  return withLesson(known, host, { ...lessonOf(known, host), never });
}

/** A move out that was a mistake is undone within so long. */
const quickMs = 10 * 60_000;

/** Whether coming home tells that it was wrong to move out: soon, and while the very work it was moved for goes on. */
export function isReversal(activity: Activity | undefined, awaySince: number, now: number): boolean {
  if (activity?.run === undefined || activity.quietSince !== undefined) return false;
  return activity.run.since < awaySince && now - awaySince < quickMs;
}

/** The policy's own way back tells so only where nobody came between. */
export function isMistake(activity: Activity | undefined, awaySince: number, now: number): boolean {
  return (activity?.run?.granted ?? 0) >= undisturbedFrom && isReversal(activity, awaySince, now);
}

export function reluctanceOf(known: Learned | undefined, host: Fingerprint, now: number): number {
  const lesson = known?.hosts[host];
  if (lesson === undefined) return 0;
  return lesson.reluctance * 0.5 ** (Math.max(0, now - lesson.reluctanceAt) / halfLifeMs);
}

function lessonOf(known: Learned, host: Fingerprint): HostLesson {
  return known.hosts[host] ?? { reluctance: 0, reluctanceAt: 0, never: false };
}

function withLesson(known: Learned, host: Fingerprint, lesson: HostLesson): Learned {
  const others = Object.entries(known.hosts).filter(([fingerprint]) => fingerprint !== host);
  return { ...known, hosts: Object.fromEntries([...others.slice(-(mostHosts - 1)), [host, lesson]]) };
}
