/**
 * How fast this VM's present work would go at a host, compared with home.
 *
 * A second of its time is spent on CPU, waiting for the disk, or waiting for something no machine makes faster. CPU
 * time shrinks with the speed of a core there and with the cores it gets; each disk request has a longer way, since the
 * disk stays at home.
 */
import type { HostFacts } from '../model/host.ts';
import { type Activity, tellingRequestsPerSec, undisturbedFrom } from './activity.ts';
import { assumedLinkBytesPerSec } from './estimate.ts';
import { hasRoom } from './score.ts';
import type { HomeLoad, HostCandidate } from './types.ts';

/** Of a second of the VM's time. */
export interface Mix {
  readonly cpuShare: number;
  readonly diskShare: number;
  /** vCPUs wanted while the CPU is used. */
  readonly threads: number;
  /** Of the vCPU time wanted, what it gets where it runs. What a full machine keeps from others shows nowhere else. */
  readonly granted: number;
  /** What it got at home before it left, which may be less than what is free there: others, or a limit on that VM. */
  readonly homeGranted?: number | undefined;
  readonly waitedRequestsPerSec: number;
  readonly waitedBytesPerSec: number;
}

export interface Pace {
  /** Home seconds of work done there in a second. */
  readonly pace: number;
  /** Of CPU work alone. */
  readonly cpuPace: number;
  /** What the way to the disk adds to a second. */
  readonly wayS: number;
  /** What `pace` may turn out to be, and how likely; probabilities add up to 1. */
  readonly possible: readonly PossiblePace[];
}

export interface PossiblePace {
  readonly pace: number;
  readonly probability: number;
}

/** Where a request's way was never measured: a wired network and two user-space hops. */
const assumedRoundTripMs = 1;
/** Of a request's way, what is waited for, others being under way at the same time: before anything was measured. */
const assumedWayShare = 0.5;
/** A run has to be watched for so long away. */
const tellingMs = 20_000;
/** How far a figure may be off, as a share of it. */
const doubts = { shownCore: 0.1, claimedCore: 0.25, knownWay: 0.25, assumedWay: 0.6 } as const;
/** Clocks and loads are rough, so a host is believed to be at most this much faster or slower per core. */
const mostCoreRatio = 8;
/** Where only clocks are known, which a host may say what it likes of. */
const mostClockRatio = 2;

export function paceAway(mix: Mix, vcpus: number, home: HomeLoad, host: HostCandidate, place: 'home' | 'away'): Pace {
  if (host.facts === undefined) return { pace: 0, cpuPace: 0, wayS: 0, possible: [{ pace: 0, probability: 1 }] };
  const wanted = Math.min(vcpus, Math.max(1, mix.threads));
  const granted = Math.max(0.1, wanted * mix.granted);
  const here = place === 'home' ? granted : coresAtHome(mix, wanted, home);
  // A lull of a host that is busy as a rule is not counted on.
  const others = Math.max(host.facts.busyCores, host.usualBusyCores ?? 0);
  const there = place === 'away' ? granted : coresFor(wanted, host.facts, others);
  const core = coreRatio(home, host, wanted);
  const cpuPace = core.ratio * (there / here);
  const wayS = diskWayS(mix, host);
  const waitShare = Math.max(0, 1 - mix.cpuShare - mix.diskShare);
  // At home a second is cpu + disk + wait; there it takes cpu ÷ cpuPace + disk + way + wait. Away the way is seen as disk.
  const paceOf = (cpu: number, way: number): number =>
    place === 'home'
      ? 1 / (mix.cpuShare / cpu + mix.diskShare + way + waitShare)
      : mix.cpuShare * cpu + Math.max(0, mix.diskShare - way) + waitShare;
  const pace = paceOf(cpuPace, wayS);
  const wayDoubt = host.wayShare === undefined ? doubts.assumedWay : doubts.knownWay;
  const possible = [
    { pace: paceOf(cpuPace * (1 - core.doubt), wayS * (1 + wayDoubt)), probability: 0.25 },
    { pace, probability: 0.5 },
    { pace: paceOf(cpuPace * (1 + core.doubt), wayS * (1 - wayDoubt)), probability: 0.25 },
  ];
  return { pace, cpuPace, wayS, possible };
}

/**
 * How fast work of that mix goes away: where it is, or at the best of the hosts with room. Undefined where the moment
 * says nothing of the work.
 */
export function paceOfWork(
  mix: Mix,
  vcpus: number,
  home: HomeLoad,
  hosts: readonly HostCandidate[],
  at: string | undefined,
): number | undefined {
  if (at !== undefined) {
    const host = hosts.find(({ fingerprint }) => fingerprint === at);
    const isDisturbed = mix.granted < undisturbedFrom;
    return host?.facts === undefined || isDisturbed ? undefined : paceAway(mix, vcpus, home, host, 'away').pace;
  }
  const paces = hosts
    .filter(({ facts }) => facts !== undefined && hasRoom(facts, vcpus))
    .map((host) => paceAway(mix, vcpus, home, host, 'home').pace);
  return paces.length === 0 ? undefined : Math.max(...paces);
}

/** Others, who come and go, leave a VM more than this; less is a limit that it will find there again. */
const limitedBelow = 0.6;

function coresAtHome({ homeGranted = 1 }: Mix, wanted: number, { facts }: HomeLoad): number {
  const free = coresFor(wanted, facts, facts.busyCores);
  return homeGranted < limitedBelow ? Math.max(0.1, Math.min(free, wanted * homeGranted)) : free;
}

/** A fair share of a busy machine, all that is free of another. */
function coresFor(wanted: number, { cores }: HostFacts, others: number): number {
  const free = cores - others;
  const fairShare = (cores * wanted) / (wanted + others);
  return Math.max(0.1, Math.min(wanted, Math.max(free, fairShare)));
}

function coreRatio(home: HomeLoad, host: HostCandidate, wanted: number): { ratio: number; doubt: number } {
  const measured = ratio(opsPerCore(host, wanted), opsPerCore(home, wanted));
  const clocks = ratio(host.facts?.cpuMhz, home.facts.cpuMhz);
  const nominal = clocks && Math.min(mostClockRatio, clocks);
  return {
    ratio: Math.min(mostCoreRatio, Math.max(1 / mostCoreRatio, measured ?? nominal ?? 1)),
    doubt:
      measured === undefined || host.benchmark?.shownOpsPerSec === undefined ? doubts.claimedCore : doubts.shownCore,
  };
}

/** A core alone runs at its highest clock, all together share heat and caches: in between, in proportion. */
function opsPerCore(
  { facts, benchmark }: Pick<HostCandidate, 'benchmark' | 'facts'>,
  busy: number,
): number | undefined {
  const { cpuSingleOpsPerSec: single, cpuMultiOpsPerSec: multi } = benchmark ?? {};
  const cores = facts?.cores ?? 1;
  if (single === undefined || multi === undefined || cores < 2) return single;
  const others = Math.min(1, Math.max(0, (busy - 1) / (cores - 1)));
  // All together are no faster than one alone, whatever is said of them.
  return single + Math.min(0, multi / cores - single) * others;
}

function ratio(there: number | undefined, here: number | undefined): number | undefined {
  return there !== undefined && here !== undefined && there > 0 && here > 0 ? there / here : undefined;
}

/** Each request makes a round trip, and its bytes cross the link, on top of what the disk itself takes. */
function diskWayS({ waitedRequestsPerSec, waitedBytesPerSec }: Mix, host: HostCandidate): number {
  const link = host.linkBytesPerSec ?? host.benchmark?.linkOutBytesPerSec ?? assumedLinkBytesPerSec;
  const roundTripS = (host.roundTripMs ?? assumedRoundTripMs) / 1_000;
  return (
    (host.wayShare ?? assumedWayShare) * (waitedRequestsPerSec * roundTripS + waitedBytesPerSec / Math.max(1, link))
  );
}

/** Of a request's way, what a run that moved out was seen to wait for; undefined where it did not tell. */
export function seenWayShare(run: NonNullable<Activity['run']>, host: HostCandidate): number | undefined {
  const { homeRequestS, seenMs, waitedRequestsPerSec, diskShare } = run;
  if (homeRequestS === undefined || seenMs < tellingMs || waitedRequestsPerSec < tellingRequestsPerSec)
    return undefined;
  const wayS = diskWayS(run, { ...host, wayShare: 1 }) / waitedRequestsPerSec;
  return Math.max(0.05, Math.min(1.5, (diskShare / waitedRequestsPerSec - homeRequestS) / wayS));
}
