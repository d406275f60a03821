/** One policy on one scenario, fed what the engine would feed it. */
import type { Place, Sample } from '../../shared/model/vm.ts';
import { type Activity, afterMove, watch } from '../../shared/policy/activity.ts';
import { decide, type HostCandidate, type PolicyInput } from '../../shared/policy/index.ts';
import {
  isMistake,
  type Learned,
  learnedFrom,
  learnedMove,
  learnedReaction,
  learnedWayShare,
  nothingLearned,
} from '../../shared/policy/learned.ts';
import { paceOfWork, seenWayShare } from '../../shared/policy/pace.ts';
import { type BreakRecord, breaksOf, followBreaks } from '../../shared/policy/steadiness.ts';
import { benchmark, factsOf, fingerprintOf } from './machines.ts';
import { nothingSeen, Observer } from './observe.ts';
import { Random } from './random.ts';
import { home, Progress, type Scenario, tickS, World } from './world.ts';

export const cooldownMs = 120_000;
/** Ten minutes, as the monitor keeps. */
const mostSamples = 600;
const startMs = 1_700_000_000_000;
const hourMs = 3_600_000;
/** An idle VM at home is not looked at until shortly before its next job: no policy does anything with it. */
const idleBeforeSkipS = 300;
const lookAgainBeforeS = 60;
const usualTauS = 600;

export function runNever(scenario: Scenario): Progress {
  const world = new World(scenario);
  const progress = new Progress();
  for (let tick = 0; tick < scenario.ticks && progress.job < scenario.jobs.length; tick += 1) {
    world.tick(progress, tick, home, 'no');
  }
  return progress;
}

interface Moving {
  readonly direction: 'out' | 'home';
  readonly host: number;
  readonly from: number;
  readonly end: number;
  readonly predictedS: number | undefined;
}

/** Called with how long each decision took, in milliseconds. */
export type OnDecision = (ms: number) => void;

export function runPolicy(scenario: Scenario, policy: 'homeward' | 'muda', onDecision?: OnDecision): Progress {
  return new Simulation(scenario, policy, onDecision).run();
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #policy: 'homeward' | 'muda';
  readonly #onDecision: OnDecision | undefined;
  readonly #world: World;
  readonly #observer: Observer;
  readonly #random: Random;
  readonly #progress = new Progress();
  readonly #samples: Sample[] = [];
  readonly #usual: number[];
  readonly #linkBytesPerSec: number;
  #activity: Activity | undefined;
  #learned: Learned = nothingLearned();
  #place = home;
  #since = 0;
  #moving: Moving | undefined;
  #ended: number[] = [];
  #own = 0;
  #quietS = 0;
  #link: BreakRecord | undefined;
  readonly #room: (BreakRecord | undefined)[] = [];

  constructor(scenario: Scenario, policy: 'homeward' | 'muda', onDecision: OnDecision | undefined) {
    this.#scenario = scenario;
    this.#policy = policy;
    this.#onDecision = onDecision;
    this.#world = new World(scenario);
    this.#observer = new Observer(scenario);
    this.#random = new Random(scenario.seed * 13 + 5);
    this.#usual = scenario.hosts.map(({ others }) => others[0] ?? 0);
    const up = scenario.link.filter((rate) => rate > 0).sort();
    this.#linkBytesPerSec = (up[up.length >> 1] ?? 0) * this.#random.between(0.85, 1.15);
  }

  run(): Progress {
    const { ticks, jobs } = this.#scenario;
    for (let tick = 0; tick < ticks && this.#progress.job < jobs.length; tick += 1) {
      const skipTo = this.#skipTo(tick);
      if (skipTo > tick) {
        this.#followHosts(skipTo, (skipTo - tick) * tickS);
        tick = skipTo;
        this.#samples.length = 0;
        this.#quietS = 0;
      }
      this.#arrive(tick);
      this.#leave(tick);
      this.#followHosts(tick, tickS);
      this.#followBreaks(tick);
      if (this.#moving === undefined && this.#world.isUp(tick)) this.#decide(tick);
      this.#live(tick);
    }
    return this.#progress;
  }

  #skipTo(tick: number): number {
    if (this.#place !== home || this.#moving !== undefined || this.#quietS < idleBeforeSkipS) return tick;
    const next = this.#scenario.jobs[this.#progress.job];
    return next === undefined ? tick : Math.max(tick, Math.floor((next.arrivesS - lookAgainBeforeS) / tickS));
  }

  #arrive(tick: number): void {
    const moving = this.#moving;
    if (moving === undefined || tick < moving.end) return;
    this.#over(moving, tick);
    const host = moving.host;
    if (moving.predictedS !== undefined) {
      this.#learned = learnedMove(
        this.#learned,
        fingerprintOf(host),
        moving.direction,
        moving.predictedS,
        (moving.end - moving.from) * tickS,
      );
    }
  }

  #over(moving: Moving, tick: number): void {
    this.#moving = undefined;
    this.#since = tick;
    if (moving.direction === 'home') this.#learnWay(this.#activity?.run, tick);
    this.#activity &&= afterMove(this.#activity, moving.direction === 'out' ? 'home' : 'away');
    this.#place = moving.direction === 'out' && tick >= moving.end ? moving.host : home;
    this.#ended.push(startMs + tick * tickS * 1_000);
    this.#progress.past = {
      move: moving.direction,
      fromS: moving.from * tickS,
      endS: tick * tickS,
      before: this.#progress.past,
    };
  }

  #learnWay(run: Activity['run'], tick: number): void {
    const host = this.#candidates(tick)[this.#place];
    const seen = run && host && seenWayShare(run, host);
    if (host && seen !== undefined) this.#learned = learnedWayShare(this.#learned, host.fingerprint, seen);
  }

  /** The laptop is about to go: a move out is called off, a VM that is away is brought home. */
  #leave(tick: number): void {
    if (!this.#world.mustBeHome(tick)) return;
    if (this.#moving?.direction === 'out') this.#over(this.#moving, tick);
    else if (this.#place !== home && this.#moving === undefined) this.#begin(tick, 'home', this.#place, undefined);
  }

  #begin(tick: number, direction: 'out' | 'home', host: number, predictedS: number | undefined): void {
    this.#moving = { direction, host, from: tick, end: this.#world.moveEnd(tick, direction), predictedS };
  }

  /** What a host is as a rule, without this VM. */
  #followHosts(tick: number, lengthS: number): void {
    const step = 1 - Math.exp(-lengthS / usualTauS);
    for (const [index, { others }] of this.#scenario.hosts.entries()) {
      const before = this.#usual[index] ?? 0;
      this.#usual[index] = before + ((others[tick] ?? 0) - before) * step;
    }
  }

  #followBreaks(tick: number): void {
    const at = tick * tickS * 1_000;
    this.#link = followBreaks(this.#link, at, this.#world.isUp(tick), 600);
    for (const [index, { cores, others }] of this.#scenario.hosts.entries()) {
      const hasRoom = cores - (others[tick] ?? 0) >= 0.75 * this.#scenario.vcpus;
      this.#room[index] = followBreaks(this.#room[index], at, hasRoom, 7_200);
    }
  }

  #live(tick: number): void {
    const { jobs, downtimeS } = this.#scenario;
    const moving = this.#moving;
    const isLast = moving !== undefined && tick === moving.end - 1;
    const isReachable = this.#place === home || this.#world.isUp(tick);
    const pace =
      this.#policy === 'homeward' && this.#place !== home ? (this.#paceOfWork(this.#activity?.run, tick) ?? 1) : 1;
    this.#own = 0;
    for (let second = 0; second < tickS; second += 1) {
      const startS = tick * tickS + second;
      const program = jobs[this.#progress.job]?.program;
      const seen = nothingSeen();
      if (isLast && second === 0) {
        this.#world.advance(this.#progress, startS, downtimeS, this.#place, 2, seen);
        this.#world.advance(this.#progress, startS + downtimeS, 1 - downtimeS, this.#place, 1, seen);
      } else {
        this.#world.advance(this.#progress, startS, 1, this.#place, moving === undefined ? 0 : 1, seen);
      }
      this.#own += seen.cpuS / tickS;
      const sample = isReachable ? this.#observer.sample(startMs + (startS + 1) * 1_000, seen, program) : undefined;
      this.#quietS = seen.cpuS + seen.diskS > 0.01 ? 0 : this.#quietS + 1;
      if (sample === undefined) continue;
      this.#samples.push(sample);
      if (this.#samples.length > 2 * mostSamples) this.#samples.splice(0, mostSamples);
      if (this.#policy !== 'homeward') continue;
      this.#activity = watch(this.#activity, sample, pace);
      if (this.#place !== home) this.#learnWay(this.#activity.ended, tick);
      this.#learned = learnedFrom(this.#learned, this.#activity, this.#paceOfWork(this.#activity.ended, tick));
    }
  }

  #paceOfWork(run: Activity['run'], tick: number): number | undefined {
    if (run === undefined) return undefined;
    const at = this.#place === home ? undefined : fingerprintOf(this.#place);
    return paceOfWork(run, this.#scenario.vcpus, this.#home(tick), this.#candidates(tick), at);
  }

  #decide(tick: number): void {
    const { hosts } = this.#scenario;
    const input = this.#input(tick);
    const startedMs = this.#onDecision === undefined ? 0 : performance.now();
    const decision = decide({ ...input, policy: this.#policy });
    this.#onDecision?.(performance.now() - startedMs);
    if (decision.action === 'offload' && this.#place === home) {
      const host = hosts.findIndex((_host, index) => fingerprintOf(index) === decision.host);
      this.#begin(tick, 'out', host, decision.expectedCostS);
    }
    if (decision.action === 'home' && this.#place !== home) {
      if (isMistake(this.#activity, startMs + this.#since * tickS * 1_000, input.now)) {
        this.#learned = learnedReaction(this.#learned, fingerprintOf(this.#place), 'reversed', input.now);
      }
      this.#begin(tick, 'home', this.#place, decision.expectedCostS);
    }
  }

  #input(tick: number): PolicyInput {
    const { vcpus, memoryBytes, usedMemoryBytes, hosts, saidToLeaveS } = this.#scenario;
    const now = startMs + tick * tickS * 1_000;
    this.#ended = this.#ended.filter((at) => now - at < hourMs);
    const leaves = saidToLeaveS.find((at) => at > tick * tickS);
    const place: Place =
      this.#place === home
        ? { kind: 'home' }
        : {
            kind: 'away',
            host: fingerprintOf(this.#place),
            hostName: hosts[this.#place]?.name ?? '',
            visit: '0'.repeat(32),
            since: new Date(startMs + this.#since * tickS * 1_000).toISOString(),
          };
    return {
      now,
      vm: {
        uuid: '11111111-2222-3333-4444-555555555555',
        name: 'work',
        vcpus,
        memoryBytes,
        usedMemoryBytes,
        place,
        level: 'automatic',
        adopted: true,
        samples: this.#samples.length > mostSamples ? this.#samples.slice(-mostSamples) : this.#samples,
        activity: this.#activity,
        lastMoveEndedAt: this.#ended.at(-1),
        movesRecent: this.#ended.length,
      },
      hosts: this.#candidates(tick),
      home: this.#home(tick),
      settings: { cooldownMs, hysteresis: 0.1 },
      learned: this.#learned,
      surroundings: leaves === undefined ? undefined : { leavesInS: leaves - tick * tickS },
    };
  }

  /** Loads are averages over some seconds of another time. */
  #rough(busyCores: number): number {
    return busyCores * this.#random.between(0.9, 1.1);
  }

  #home(tick: number): PolicyInput['home'] {
    const { homeCores, homeOthers } = this.#scenario;
    const own = this.#place === home ? this.#own : 0;
    return {
      facts: factsOf('laptop', homeCores, this.#rough((homeOthers[tick] ?? 0) + own), 2_000),
      benchmark: { ...benchmark, cpuSingleOpsPerSec: 1_000 },
    };
  }

  #candidates(tick: number): HostCandidate[] {
    return this.#scenario.hosts.map(({ name, cores, benchmarkedRatio, others }, index) => ({
      fingerprint: fingerprintOf(index),
      name,
      reachable: this.#world.isUp(tick),
      paired: true,
      facts: factsOf(
        name,
        cores,
        this.#rough((others[tick] ?? 0) + (this.#place === index ? this.#own : 0)),
        2_000 * benchmarkedRatio,
      ),
      benchmark: {
        ...benchmark,
        cpuSingleOpsPerSec: 1_000 * benchmarkedRatio,
        shownOpsPerSec: 1_000 * benchmarkedRatio,
      },
      linkBytesPerSec: this.#linkBytesPerSec,
      wayShare: this.#learned.hosts[fingerprintOf(index)]?.wayShare,
      roundTripMs: this.#scenario.roundTripMs,
      linkBreaks: this.#link && breaksOf(this.#link),
      takeovers: this.#room[index] && breaksOf(this.#room[index]),
      usualBusyCores: this.#usual[index],
    }));
  }
}
