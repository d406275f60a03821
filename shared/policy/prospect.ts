/** A move out to one host, weighed: how fast the work would go there, what the moves cost, what is gained. */
import type { Activity } from './activity.ts';
import { expectedGain, type Gain, type GainQuestion, isBetterLater } from './gain.ts';
import { correctionOf, homeWorkOf, type Learned, reluctanceOf } from './learned.ts';
import { type Outcome, restOf, runsKnown } from './lifetimes.ts';
import { type MoveCost, predictMove } from './move-cost.ts';
import { type Pace, paceAway } from './pace.ts';
import type { Calculation, HostCandidate, PolicyInput, PolicyVm } from './types.ts';

/** A host that is hardly faster is not worth a look; how rough paces are is counted in the gain. */
export const leastPace = 1.05;
/** Of the time it takes to notice that others have taken the host, and to come back. */
const takeoverShare = 0.5;
/** A VM whose work so often goes better at home had better rest there. */
export const homeWorkFrom = 0.15;
/** Each move that was undone, or not wanted, takes so much off what a host promises. */
const disbelief = 0.1;
/** Seconds that a move must bring at least, and for each second that it costs. */
const leastGainS = 3;
const gainPerCost = 0.5;
/**
 * What a job that ends later for having been moved weighs, in seconds that others gain: nobody thanks for the average.
 * A suggestion may come earlier, since a person judges it.
 */
const lossWeighsS = { automatic: 300, suggest: 30 } as const;
/** On battery, or where bytes cost money, a doubtful move is not made. */
const batteryFactor = 2;
const meteredFactor = 6;
/** As long as this where it had better be at home. */
export const shortRestS = 15;
/** Runs thought of beyond the present one, and the beginning of each that would be spent at home deciding. */
const mostFollowers = 4;
const beginningS = 60;
/** Room before the usual time of leaving, beyond what the way home may take. */
export const leavingRoomS = 60;
/** Of a VM whose rests are not known, as many are over sooner as are not. */
const unknownRestS = 20;
/** What "the next run begins soon" means. */
export const soonS = 1_800;

export type Run = NonNullable<Activity['run']>;

export interface Prospect {
  readonly host: HostCandidate;
  readonly pace: Pace;
  readonly cost: MoveCost;
  readonly wayBack: MoveCost;
  readonly gain: Gain;
  readonly neededS: number;
  readonly isBetterLater: boolean;
}

export function prospect(
  input: PolicyInput,
  activity: Activity,
  run: Run,
  outcomes: readonly Outcome[],
  host: HostCandidate,
): Prospect {
  const { vm, home, learned, now, surroundings } = input;
  const lesson = learned?.hosts[host.fingerprint];
  const cost = moveCost(input, activity, host, 'out');
  const wayBack = moveCost(input, activity, host, 'home');
  const reluctance = reluctanceOf(learned, host.fingerprint, now);
  const pace = believed(paceAway(run, vm.vcpus, home, host, 'home'), reluctance);
  const leavesInS = surroundings?.leavesInS;
  const stayAtMostS =
    leavesInS === undefined ? undefined : Math.max(0, leavesInS - cost.lastsS - wayBack.atMostS - leavingRoomS);
  const question: GainQuestion = {
    outcomes,
    ageS: run.workS,
    paceHere: 1,
    pacesThere: pace.possible,
    cost,
    wayBack,
    stayAtMostS,
    hazards: hazardsOf(host, wayBack),
    followersGainS: followersGainS(learned, pace.pace),
  };
  const gain = expectedGain(question);
  // Back at rest, the next work may be for home and find it still away.
  const caught = homeWorkOf(learned) * endsWithin(learned, 0, shortRestS + wayBack.lastsS);
  const care =
    (1 + reluctance) *
    (surroundings?.onBattery === true ? batteryFactor : 1) *
    (surroundings?.metered === true ? meteredFactor : 1) *
    // A first move over an unknown link may take anything.
    (lesson?.out === undefined && host.linkBytesPerSec === undefined ? 2 : 1);
  const weight = lossWeightS(vm);
  return {
    host,
    pace,
    cost,
    wayBack,
    gain,
    neededS: care * (needed(cost) + weight * (gain.lossChance + caught)),
    isBetterLater: isBetterLater(question, gain, weight),
  };
}

/** What the runs after this one gain from finding the VM there already. */
function followersGainS(learned: Learned | undefined, pace: number): number {
  if (learned === undefined || homeWorkOf(learned) > homeWorkFrom || pace <= 1) return 0;
  const again = endsWithin(learned, 0, soonS);
  const runs = Math.min(mostFollowers, again / (1 - again + 0.01));
  const eachS = restOf(learned.runs, 1).reduce(
    (sum, { restS, probability }) => sum + probability * Math.min(restS, beginningS),
    0,
  );
  return runs * eachS * (1 - 1 / pace);
}

export function lossWeightS({ level }: PolicyVm): number {
  return lossWeighsS[level === 'suggest' ? 'suggest' : 'automatic'];
}

export function needed(cost: MoveCost): number {
  return leastGainS + gainPerCost * (cost.slowdown * cost.lastsS + cost.downtimeS);
}

/** What proved wrong there before is believed the less. */
function believed(pace: Pace, reluctance: number): Pace {
  const less = 1 / (1 + disbelief * reluctance);
  const possible = pace.possible.map((one) => ({ ...one, pace: Math.max(0.01, one.pace * less) }));
  return { ...pace, pace: pace.pace * less, possible };
}

/** A VM stands still while the link is down, and is slow until it is back where others take the host. */
function hazardsOf({ linkBreaks, takeovers }: HostCandidate, wayBack: MoveCost): GainQuestion['hazards'] {
  return [
    ...(linkBreaks === undefined ? [] : [{ perS: linkBreaks.perS, costS: linkBreaks.lengthS }]),
    ...(takeovers === undefined ? [] : [{ perS: takeovers.perS, costS: takeoverShare * wayBack.lastsS }]),
  ];
}

export function isGood({ pace, gain, neededS, isBetterLater }: Prospect): boolean {
  return pace.pace >= leastPace && gain.gainS >= neededS && !isBetterLater;
}

/** How likely a rest that has lasted so long is over within so many seconds. */
export function endsWithin(learned: Learned | undefined, restedS: number, withinS: number): number {
  const rests = learned?.rests;
  return restOf(rests, runsKnown(rests) < 1 ? Math.max(restedS, unknownRestS) : restedS)
    .filter(({ restS }) => restS <= withinS)
    .reduce((sum, { probability }) => sum + probability, 0);
}

export function moveCost(
  { vm, learned }: PolicyInput,
  activity: Activity,
  host: HostCandidate | undefined,
  direction: 'out' | 'home',
): MoveCost {
  const benchmark = direction === 'out' ? host?.benchmark?.linkOutBytesPerSec : host?.benchmark?.linkHomeBytesPerSec;
  return predictMove({
    direction,
    usedMemoryBytes: vm.usedMemoryBytes,
    linkBytesPerSec: (direction === 'out' ? host?.linkBytesPerSec : undefined) ?? benchmark ?? host?.linkBytesPerSec,
    dirtyBytesPerSec: activity.memoryChurn > 0 ? activity.memoryChurn * vm.usedMemoryBytes : undefined,
    correction: host && correctionOf(learned, host.fingerprint, direction),
  });
}

export function prospectFigures({ pace, cost, wayBack, gain, neededS }: Prospect): Partial<Calculation> {
  return {
    pace: pace.pace,
    moveS: cost.lastsS,
    moveAtMostS: cost.atMostS,
    moveBytes: cost.bytes,
    wayBackS: wayBack.lastsS,
    gainS: gain.gainS,
    neededS,
    lossChance: gain.lossChance,
  };
}
