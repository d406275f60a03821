/** What a program that reads its input shows of its rest. */
import type { Activity } from './activity.ts';
import type { Outcome } from './lifetimes.ts';

type Run = NonNullable<Activity['run']>;

/** A rate needs so much of the input, and so much work, between two looks. */
const leastShare = 0.02;
const leastWorkS = 10;
/** A program that took this much longer than foretold for the rest of its input has ended, or reads something else. */
const lateFrom = 1.5;
/** It may read another file after this one, or have read ahead. */
const belief = 0.8;
/** Of what is foretold: no input is alike all through. */
const spread = [
  { factor: 0.7, probability: 0.25 },
  { factor: 1, probability: 0.5 },
  { factor: 1.4, probability: 0.25 },
] as const;

/** Home seconds until its input is read; undefined where it shows none, not for long enough, or not any more. */
export function foretoldRestS({ progress, workS }: Run): number | undefined {
  if (progress === undefined) return undefined;
  const { firstShare, firstWorkS, share, workS: seenWorkS } = progress;
  if (share - firstShare < leastShare || seenWorkS - firstWorkS < leastWorkS) return undefined;
  const rate = (share - firstShare) / (seenWorkS - firstWorkS);
  const restS = (1 - share) / rate;
  const sinceS = workS - seenWorkS;
  return sinceS > lateFrom * restS + leastWorkS ? undefined : Math.max(0, restS - sinceS);
}

/** `outcomes` with what is foretold counted in, shortest first; probabilities still add up to 1. */
export function foretold(outcomes: readonly Outcome[], restS: number | undefined): readonly Outcome[] {
  if (restS === undefined) return outcomes;
  return [
    ...outcomes.map((one) => ({ ...one, probability: one.probability * (1 - belief) })),
    ...spread.map(({ factor, probability }) => ({ restS: restS * factor, probability: probability * belief })),
  ].sort((a, b) => a.restS - b.restS);
}
