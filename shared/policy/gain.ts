/** What a move is expected to bring, over all lengths the rest of the work may have. */
import type { Outcome } from './lifetimes.ts';
import type { MoveCost } from './move-cost.ts';
import type { PossiblePace } from './pace.ts';

/** A job that ends later than this, compared with staying, has lost by the move. */
const lossFrom = 0.02;
/** On the way back the VM mostly rests; this share of that move's cost falls on work. */
const wayBackOnWork = 0.3;

interface Hazard {
  readonly perS: number;
  readonly costS: number;
}

export interface GainQuestion {
  readonly outcomes: readonly Outcome[];
  readonly ageS: number;
  /** Work done per second where the VM is, and what it may be where it would go. */
  readonly paceHere: number;
  readonly pacesThere: readonly PossiblePace[];
  readonly cost: MoveCost;
  /** Absent for a move home. */
  readonly wayBack?: MoveCost | undefined;
  /** What may befall it there: how often, and what it costs each time. */
  readonly hazards?: readonly Hazard[] | undefined;
  /** What the runs after this one gain from finding the VM there. */
  readonly followersGainS?: number;
  /** How long it could stay there before it has to be back. */
  readonly stayAtMostS?: number | undefined;
}

export interface Gain {
  readonly gainS: number;
  readonly lossChance: number;
}

/** Of a move in `waitS` seconds, if the work is still going on then. */
export function expectedGain(question: GainQuestion, waitS = 0): Gain {
  let gainS = 0;
  let lossChance = 0;
  for (const { pace, probability } of question.pacesThere) {
    const gain = gainAt(pace, question, waitS);
    gainS += probability * gain.gainS;
    lossChance += probability * gain.lossChance;
  }
  return { gainS, lossChance };
}

function gainAt(paceThere: number, question: GainQuestion, waitS: number): Gain {
  const { outcomes, ageS, paceHere, cost, wayBack } = question;
  const stayAtMostS = question.stayAtMostS ?? Number.POSITIVE_INFINITY;
  const hazards = question.hazards ?? [];
  const doneMeanwhile = paceHere * Math.max(0, cost.lastsS * (1 - cost.slowdown) - cost.downtimeS);
  const backS = wayBack === undefined ? 0 : wayBackOnWork * (wayBack.slowdown * wayBack.lastsS + wayBack.downtimeS);
  let gainS = 0;
  let lossChance = 0;
  for (const outcome of outcomes) {
    const { probability } = outcome;
    const restS = outcome.restS - waitS * paceHere;
    if (restS <= 0) continue;
    const stayS = restS / paceHere;
    let goS = stayS / (1 - cost.slowdown);
    let thereS = 0;
    if (restS > doneMeanwhile) {
      thereS = Math.min((restS - doneMeanwhile) / paceThere, stayAtMostS);
      const afterwards = restS - doneMeanwhile - thereS * paceThere;
      goS = cost.lastsS + thereS + backS + afterwards / paceHere;
    }
    gainS += probability * (stayS - goS + (question.followersGainS ?? 0));
    const bearableS = lossFrom * (ageS / paceHere + waitS + stayS) - (goS - stayS);
    if (bearableS < 0) lossChance += probability;
    for (const { perS, costS } of hazards) {
      gainS -= probability * perS * thereS * costS;
      if (bearableS >= 0 && bearableS < costS) lossChance += probability * (1 - Math.exp(-perS * thereS));
    }
  }
  return { gainS, lossChance: Math.min(1, lossChance) };
}

const waitsS = [5, 10, 20, 40, 80, 160] as const;

/**
 * Whether waiting is worth more than going now, with each loss weighed as `lossWeighsS` seconds of gain: what ends
 * meanwhile need not be moved, and what goes on is likelier to last.
 */
export function isBetterLater(question: GainQuestion, { gainS, lossChance }: Gain, lossWeighsS: number): boolean {
  const now = gainS - lossWeighsS * lossChance;
  return waitsS.some((waitS) => {
    const later = expectedGain(question, waitS);
    return later.gainS - lossWeighsS * later.lossChance > now;
  });
}

/** As likely longer as shorter. */
export function medianRestS(outcomes: readonly Outcome[]): number {
  let sum = 0;
  for (const { restS, probability } of outcomes) {
    sum += probability;
    if (sum >= 0.5) return restS;
  }
  return outcomes.at(-1)?.restS ?? 0;
}
