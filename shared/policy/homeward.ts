/**
 * Our own rule. It weighs what the rest of the present work may gain elsewhere, over all lengths that rest may have,
 * against what the moves cost; it moves a VM out when the expected gain is clear and a loss unlikely, and home when its
 * disk is what it waits for, when the host has become slow, when nothing runs, and before the user usually leaves.
 */
import type { HostFacts } from '../model/host.ts';
import type { Place } from '../model/vm.ts';
import { type Activity, kindOf, watchAll } from './activity.ts';
import { expectedGain, isBetterLater, medianRestS } from './gain.ts';
import { stay, whyCooling, whyNotAtAll, whyUnmeasured } from './holdoff.ts';
import { homeWorkOf } from './learned.ts';
import { type Outcome, restOf, runsKnown } from './lifetimes.ts';
import { paceAway } from './pace.ts';
import { foretold, foretoldRestS } from './progress.ts';
import {
  endsWithin,
  homeWorkFrom,
  isGood,
  leastPace,
  leavingRoomS,
  lossWeightS,
  moveCost,
  needed,
  type Prospect,
  prospect,
  prospectFigures,
  type Run,
  shortRestS,
  soonS,
} from './prospect.ts';
import { disqualify, hasRoom } from './score.ts';
import type { Calculation, HostCandidate, Judgement, PolicyInput, Surroundings } from './types.ts';
import { count, decimal, percent, seconds } from './words.ts';

/** A run younger than this may still be a start-up or a spike; nothing was learnt from fewer samples either. */
const leastAgeS = 5;
/** What home does in a second. */
const atHome = [{ pace: 1, probability: 1 }] as const;
/** Home is surer than away, so less is asked of it. */
const leastPaceHome = 1.05;
/**
 * Each move here has been weighed, so four round trips an hour are ordinary. Where the VM has just come to, what it
 * does has to be seen for half a minute.
 */
const patience = {
  home: { ordinaryMoves: 8, mostMs: Number.POSITIVE_INFINITY },
  away: { ordinaryMoves: 8, mostMs: 30_000 },
} as const;
/** Away, what a run consists of is measured anew; before that, its figures are those of home. */
const leastSeenMs = 10_000;
/** Nearer than this, a time of leaving is worth a word. */
const nearS = 3_600;
/** Left idle away no longer than this in any case, and at least this long. */
const longestRestS = 3_600;
const leastRestS = 60;
/** It waits there for the next run while one is so likely to begin soon. */
const likelyFrom = 0.3;

export function homeward(input: PolicyInput): Judgement {
  const { vm, now } = input;
  // Out again only after the whole cooldown; home as soon as it is clear that it was wrong to go, or over.
  const forbidden = whyNotAtAll(input) ?? whyCooling(input, vm.place.kind === 'away' ? patience.away : patience.home);
  if (forbidden !== undefined) return stay(forbidden);
  const activity = vm.activity ?? watchAll(vm.samples);
  const unmeasured = whyUnmeasured(vm.name, activity?.at, now);
  if (unmeasured !== undefined || activity === undefined) return stay(unmeasured ?? '');
  return vm.place.kind === 'away' ? judgeAway(input, vm.place, activity) : judgeAtHome(input, activity);
}

function judgeAtHome(input: PolicyInput, activity: Activity): Judgement {
  const { vm, hosts } = input;
  const { run } = activity;
  if (run === undefined) {
    const what = kindOf(activity) === 'interactive' ? 'is used in short bursts' : 'has nothing to do';
    return { ...stay(`${vm.name} ${what}, for which it need not go anywhere.`), calculation: bare(activity) };
  }
  const outcomes = restOfRun(input.learned, run);
  const known = figures(input, activity, run, outcomes);
  const work = `${vm.name} has been busy for ${seconds(run.workS)} (${mix(run)})`;
  if (hosts.length === 0) return { ...stay(`${work}, but no workstation is known.`), calculation: known };
  if (run.workS < leastAgeS)
    return { ...stay(`${work}, too short a time to tell how it goes on.`), calculation: known };
  const refusals: string[] = [];
  const prospects: Prospect[] = [];
  for (const host of hosts) {
    const refusal = refusalOf(input, host);
    if (refusal === undefined) prospects.push(prospect(input, activity, run, outcomes, host));
    else refusals.push(`${host.name} ${refusal}`);
  }
  prospects.sort((a, b) => b.gain.gainS - a.gain.gainS || (a.host.fingerprint < b.host.fingerprint ? -1 : 1));
  const best = prospects.find(isGood) ?? prospects[0];
  if (best === undefined) {
    return { ...stay(`${work}, but ${refusals.slice(0, 3).join('; ')}.`), calculation: known };
  }
  const calculation = { ...known, ...prospectFigures(best) };
  const doubt = doubtOf(input, outcomes, best);
  if (doubt !== undefined) return { ...stay(`${work}, but ${doubt}.`), calculation };
  return {
    action: 'offload',
    host: best.host.fingerprint,
    hostName: best.host.name,
    expectedCostS: best.cost.lastsS,
    expectedGainS: best.gain.gainS,
    reason: `${work} and is expected to go on for about ${seconds(calculation.restS)}; ${best.host.name} would do that work ${asFast(best.pace.pace)}, and the move takes about ${seconds(best.cost.lastsS)}.`,
    calculation,
  };
}

function refusalOf({ vm, learned }: PolicyInput, host: HostCandidate): string | undefined {
  if (learned?.hosts[host.fingerprint]?.never === true) return 'is not to be used for it, as you said';
  if (host.facts === undefined) return disqualify(host, vm) ?? 'has not described itself yet';
  return disqualify(host, vm);
}

/** To be read after "…, but". */
function doubtOf({ surroundings }: PolicyInput, outcomes: readonly Outcome[], best: Prospect): string | undefined {
  const { host, pace, cost, gain, neededS } = best;
  if (pace.pace < leastPace) {
    if (pace.cpuPace >= leastPace) return `its disk is here, and from ${host.name} it is farther away`;
    return `${host.name} would do that work no faster`;
  }
  const rest = seconds(medianRestS(outcomes));
  if (gain.gainS < neededS) {
    return `with about ${rest} of it left, a move to ${host.name}, which takes ${seconds(cost.lastsS)}, would gain only about ${seconds(Math.max(0, gain.gainS))}${timeLeft(surroundings)}, less than the ${seconds(neededS)} that are worth it${circumstances(surroundings)}`;
  }
  if (best.isBetterLater) {
    return `it is too early: with a chance of ${percent(gain.lossChance)} that work ends before a move to ${host.name} has paid off`;
  }
  return undefined;
}

/** To be read after what would be gained. */
function timeLeft({ leavesInS }: Surroundings = {}): string {
  return leavesInS !== undefined && leavesInS < nearS ? ' before you usually leave' : '';
}

/** To be read after "worth it". */
function circumstances({ onBattery, metered }: Surroundings = {}): string {
  const which = [...(onBattery === true ? ['on battery'] : []), ...(metered === true ? ['where data cost money'] : [])];
  return which.length === 0 ? '' : ` ${which.join(' and ')}`;
}

function judgeAway(input: PolicyInput, place: Extract<Place, { kind: 'away' }>, activity: Activity): Judgement {
  const { vm, hosts, home, learned, surroundings } = input;
  const host = hosts.find(({ fingerprint }) => fingerprint === place.host);
  const cost = moveCost(input, activity, host, 'home');
  const { run } = activity;
  const outcomes = run === undefined ? [] : restOfRun(learned, run);
  const goHome = (reason: string, more: Partial<Calculation>, gainS?: number): Judgement => ({
    action: 'home',
    reason,
    host: place.host,
    hostName: place.hostName,
    expectedCostS: cost.lastsS,
    ...(gainS === undefined ? {} : { expectedGainS: gainS }),
    calculation: { ...(run === undefined ? bare(activity) : figures(input, activity, run, outcomes)), ...more },
  });
  const wayHome = { moveS: cost.lastsS, moveAtMostS: cost.atMostS, moveBytes: cost.bytes };
  const leavesInS = surroundings?.leavesInS;
  if (leavesInS !== undefined && leavesInS < cost.atMostS + leavingRoomS) {
    return goHome(
      `${leavesInS > 0 ? `You usually leave in about ${seconds(leavesInS)}` : 'It is past the time at which you usually leave'}, and the way home may take ${seconds(cost.atMostS)}.`,
      wayHome,
    );
  }
  if (run === undefined) return judgeResting(input, place, activity, goHome, wayHome);

  const known = figures(input, activity, run, outcomes);
  if (host?.facts === undefined) {
    return {
      ...stay(`${vm.name} is working at ${place.hostName}, which says nothing of itself now.`),
      calculation: known,
    };
  }
  if (run.seenMs < leastSeenMs) {
    return {
      ...stay(
        `${vm.name} has been working at ${place.hostName} for a moment only, too short a time to judge it there.`,
      ),
      calculation: known,
    };
  }
  const pace = paceAway(run, vm.vcpus, home, host, 'away');
  const question = { outcomes, ageS: run.workS, paceHere: Math.max(0.01, pace.pace), pacesThere: atHome, cost };
  const gain = expectedGain(question);
  const weightS = lossWeightS(vm);
  const neededS = needed(cost) + weightS * gain.lossChance;
  const weighed = { ...wayHome, pace: pace.pace, gainS: gain.gainS, neededS, lossChance: gain.lossChance };
  if (pace.pace < 1 / leastPaceHome && gain.gainS >= neededS && !isBetterLater(question, gain, weightS)) {
    const why =
      run.diskShare > run.cpuShare
        ? `mostly waits for its disk, which is at home (${mix(run)})`
        : `gets too little CPU at ${place.hostName} now, where others work`;
    return goHome(`${vm.name} ${why}; here its work would go ${asFast(1 / pace.pace)}.`, weighed, gain.gainS);
  }
  return {
    ...stay(`${vm.name} is working at ${place.hostName} (${mix(run)}), ${asFast(pace.pace)} as it would here.`),
    calculation: { ...known, ...weighed },
  };
}

function judgeResting(
  { vm, now, learned, hosts }: PolicyInput,
  place: Extract<Place, { kind: 'away' }>,
  activity: Activity,
  goHome: (reason: string, more: Partial<Calculation>) => Judgement,
  wayHome: Partial<Calculation>,
): Judgement {
  const restedS = Math.max(0, now - (activity.restingSince ?? activity.at)) / 1_000;
  const soon = endsWithin(learned, restedS, soonS);
  const host = hosts.find(({ fingerprint }) => fingerprint === place.host);
  if (restedS >= shortRestS && host?.facts !== undefined && !hasRoom(othersOnly(host.facts, host), vm.vcpus)) {
    return goHome(`${vm.name} rests, and others need ${place.hostName} now, so it can come home.`, wayHome);
  }
  const resting = `${vm.name} has had no lasting work at ${place.hostName} for ${seconds(restedS)}`;
  const homeWork = homeWorkOf(learned);
  if (restedS >= shortRestS && homeWork > homeWorkFrom) {
    return goHome(
      `${resting}, and as what follows may go better here (as ${percent(homeWork)} of its work does), it can come home.`,
      wayHome,
    );
  }
  if (restedS >= longestRestS || (restedS >= leastRestS && soon < likelyFrom)) {
    return goHome(`${resting}, so it can come home.`, wayHome);
  }
  return {
    ...stay(
      restedS < leastRestS
        ? `${resting}; it comes home when that lasts.`
        : `${resting}, but with a chance of ${percent(soon)} more follows within ${seconds(soonS)}.`,
    ),
    calculation: { ...bare(activity), ...wayHome },
  };
}

/** Our own VMs there do not send one another home. */
function othersOnly(facts: HostFacts, { othersBusyCores = facts.busyCores }: HostCandidate): HostFacts {
  return { ...facts, busyCores: othersBusyCores };
}

function restOfRun(learned: PolicyInput['learned'], run: Run): readonly Outcome[] {
  return foretold(restOf(learned?.runs, run.workS, run.program), foretoldRestS(run));
}

function bare(activity: Activity): Calculation {
  return { kind: kindOf(activity), ageS: 0, restS: 0, runsKnown: 0 };
}

function figures({ learned }: PolicyInput, activity: Activity, run: Run, outcomes: readonly Outcome[]): Calculation {
  return {
    kind: kindOf(activity),
    ageS: run.workS,
    restS: medianRestS(outcomes),
    runsKnown: runsKnown(learned?.runs, run.program),
    ...(run.program === undefined ? {} : { program: run.program }),
    ...(foretoldRestS(run) === undefined ? {} : { inputRead: run.progress?.share }),
  };
}

function mix({ cpuShare, diskShare, threads }: Run): string {
  return `${percent(cpuShare)} CPU on ${count(threads, 'vCPU')}, ${percent(diskShare)} waiting for the disk`;
}

/** A speed as a ratio to another: "2.5 times as fast", "as fast". */
function asFast(pace: number): string {
  const times = decimal(pace);
  return times === '1' ? 'as fast' : `${times} times as fast`;
}
