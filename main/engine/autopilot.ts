import { type ErrorCode, HomewardError } from '../../shared/errors.ts';
import type { HostFacts } from '../../shared/model/host.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import {
  type Case,
  type Claim,
  decideAll,
  defaultPolicySettings,
  type HomeLoad,
  type HostCandidate,
  type Decision as Judged,
  type Surroundings,
} from '../../shared/policy/index.ts';
import type { Decision } from '../../shared/rpc.ts';
import { wasCancelled } from '../../shared/view/index.ts';
import { sentencesOf } from '../migrate/index.ts';
import type { Monitor } from '../monitor/index.ts';
import type { Experience } from './experience.ts';
import type { Fleet } from './fleet.ts';
import type { Hosts } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';
import type { SettingsStore } from './settings.ts';

export interface AutopilotOptions {
  readonly fleet: Pick<Fleet, 'list'>;
  readonly hosts: Pick<Hosts, 'list'>;
  readonly moves: Pick<Moves, 'home' | 'isMoving' | 'offload' | 'underWay'>;
  readonly monitor: Pick<Monitor, 'samples'>;
  readonly journal: Pick<Journal, 'append' | 'moves'>;
  readonly settings: Pick<SettingsStore, 'current'>;
  readonly experience: Experience;
  readonly homeFacts: () => HostFacts | undefined;
  readonly homeBenchmark: () => HomeLoad['benchmark'];
  readonly surroundings: () => Surroundings;
  /** Why nothing should move out now, where that is so. */
  readonly leaving: () => string | undefined;
  readonly onDecision: (decision: Decision) => void;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** What is the same for all VMs at one tick. */
interface Moment {
  readonly all: readonly Vm[];
  readonly home: HomeLoad;
  readonly around: Surroundings;
}

const everyMs = 1_000;
const hourMs = 3_600_000;
/** How long a "not now" holds, and how long a host whose owner sent a VM home is not thought of for it. */
const leftAloneMs = 30 * 60_000;
/** What a host, or a VM's definition, says no to may have been changed after that. */
const refusalHoldsMs = 10 * 60_000;
/** A host tells its load every ten seconds, as a mean over the time before. */
const factsLagMs = 25_000;
/** Said for the moment only, and believed no longer than this. */
const passingHoldsMs = 30_000;
const passing: ReadonlySet<ErrorCode> = new Set(['host-unreachable', 'timeout', 'vm-busy']);

/** Once a second: asks the policy about each VM whose level allows more than `off`, and acts or suggests. */
export class Autopilot {
  readonly #options: AutopilotOptions;
  readonly #last = new Map<string, Decision>();
  /** Until when a suggestion, named by `suggestionKey`, is not made again; on the clock. */
  readonly #dismissed = new Map<string, number>();
  /** Moves that were refused, named by `wayKey`: why, and until when that is believed; on the clock. */
  readonly #refused = new Map<string, { readonly why: string; readonly until: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AutopilotOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The latest word on each VM that is watched. */
  latest(): Decision[] {
    return [...this.#last.values()];
  }

  /** What the user is being asked now. */
  suggestions(): Decision[] {
    return [...this.#last.values()].filter(({ outcome }) => outcome === 'suggested');
  }

  /**
   * "Not now": the same is not suggested again for half an hour. What a VM may do by itself goes on. "Never"
   * (`isForEver`): that host is not thought of for that VM, until the user moves it there or has it forgotten.
   * @throws HomewardError `bad-input` where nothing is suggested
   */
  dismiss(vm: Pick<Vm, 'name' | 'uuid'>, isForEver = false): void {
    const decision = this.#last.get(vm.uuid);
    if (decision?.outcome !== 'suggested') {
      throw new HomewardError('bad-input', `Nothing is suggested for ${vm.name} now.`, {
        hint: 'See what is suggested with: homeward status',
      });
    }
    const now = Date.now();
    for (const [key, until] of this.#dismissed) if (until <= now) this.#dismissed.delete(key);
    this.#dismissed.set(suggestionKey(decision), now + leftAloneMs);
    if (decision.host !== undefined && decision.action === 'offload') {
      this.#options.experience.noteNotNow(vm.uuid, decision.host, now, isForEver);
    }
    this.#last.set(vm.uuid, { ...decision, outcome: 'noted' });
  }

  #tick(): void {
    const { fleet, moves, homeFacts, homeBenchmark, surroundings, onFault } = this.#options;
    const all = fleet.list();
    const vms = all.filter((vm) => {
      const isWatched = vm.level !== 'off' && vm.state === 'running' && !moves.isMoving(vm.uuid);
      if (!isWatched) this.#last.delete(vm.uuid);
      return isWatched;
    });
    // Asked for here, so that a machine on which nothing is to be decided is not looked at either.
    const facts = vms.length === 0 ? undefined : homeFacts();
    if (facts === undefined) return;
    const now: Moment = { all, home: { facts, benchmark: homeBenchmark() }, around: surroundings() };
    const cases = vms.flatMap((vm) => {
      try {
        return [{ vm, input: this.#case(vm, now) }];
      } catch (thrown) {
        onFault(`deciding about ${vm.name}`, thrown);
        return [];
      }
    });
    const decisions = decideAll(
      cases.map(({ input }) => input),
      this.#claims(all),
    );
    for (const [index, { vm }] of cases.entries()) {
      const judged = decisions[index];
      if (judged !== undefined) this.#consider(vm, judged);
    }
  }

  /** Room that VMs on their way out will take, or that have come so lately that the host's facts do not show it. */
  #claims(vms: readonly Vm[]): Claim[] {
    const { moves, journal } = this.#options;
    const now = Date.now();
    const arrived = journal
      .moves()
      .map(({ move }) => move)
      .filter(({ phase, endedAt = '' }) => phase === 'done' && now - Date.parse(endedAt) < factsLagMs);
    const out = [...moves.underWay(), ...arrived].filter(({ direction }) => direction === 'out');
    return out.flatMap(({ vm, host }) => {
      const moving = vms.find(({ uuid }) => uuid === vm);
      return moving === undefined ? [] : [{ host, vcpus: moving.vcpus, memoryBytes: moving.memoryBytes }];
    });
  }

  #consider(vm: Vm, judged: Judged): void {
    const asked = { ...judged, at: new Date().toISOString(), vm: vm.uuid, vmName: vm.name };
    const against = this.#whyNot(asked, vm);
    const decision = this.#held(against === undefined ? asked : staying(asked, against));
    const before = this.#last.get(vm.uuid);
    this.#last.set(vm.uuid, decision);
    if (decision.action === 'stay') return;
    const isNew = before?.outcome !== 'suggested' || suggestionKey(before) !== suggestionKey(decision);
    if (decision.outcome === 'suggested' && isNew) this.#tell(decision);
    if (decision.outcome === 'acted') {
      this.#tell(decision);
      this.#act(vm, decision).catch((thrown: unknown) => this.#options.onFault(`moving ${vm.name}`, thrown));
    }
  }

  /** A suggestion that was dismissed lately is only noted. */
  #held(decision: Decision): Decision {
    if (decision.outcome !== 'suggested') return decision;
    const until = this.#dismissed.get(suggestionKey(decision)) ?? 0;
    return Date.now() < until ? { ...decision, outcome: 'noted' } : decision;
  }

  /** What the policy does not know of. */
  #whyNot({ action }: Pick<Decision, 'action'>, { uuid, name }: Vm): string | undefined {
    // What moved out now would have to be brought home at once.
    if (action === 'offload') return this.#options.leaving();
    if (action === 'stay') return undefined;
    const refusal = this.#refusalOf(wayKey(uuid, 'home'));
    if (refusal !== undefined) return `${name} could not come home a moment ago: ${refusal}.`;
    const now = Date.now();
    const isCalledOff = this.#options.journal
      .moves()
      .some(({ move }) => move.vm === uuid && move.direction === 'home' && isCalledOffLately(move, now));
    return isCalledOff ? `You called its way home off, so ${name} is left there for half an hour.` : undefined;
  }

  #case(vm: Vm, { all, home, around }: Moment): Case {
    const { monitor, settings, hosts, journal, experience } = this.#options;
    const { policy, cooldownS } = settings.current;
    const now = Date.now();
    const moves = journal.moves().filter(({ move }) => move.vm === vm.uuid && move.endedAt !== undefined);
    const ended = moves.map(({ move }) => Date.parse(move.endedAt ?? ''));
    const lately = moves.map(({ move }) => move).filter((move) => isLately(move, now));
    const candidates = hosts.list().flatMap((host) =>
      candidateOf(host, {
        ...experience.followHost(host, vm, ownCores(all, host.fingerprint), performance.now()),
        obstacle: this.#refusalOf(wayKey(vm.uuid, host.fingerprint)),
        heldBack: vm.place.kind === 'away' ? undefined : whyHeldBack(lately, host.fingerprint, now),
      }),
    );
    const samples = monitor.samples(vm.uuid);
    const activity = experience.followVm(vm, samples, home, candidates);
    return {
      policy,
      now,
      vm: {
        ...vm,
        usedMemoryBytes: vm.sample?.usedMemoryBytes ?? vm.memoryBytes,
        samples,
        activity,
        lastMoveEndedAt: ended.length === 0 ? undefined : Math.max(...ended),
        movesRecent: ended.filter((at) => now - at < hourMs).length,
      },
      hosts: candidates,
      home,
      settings: { ...defaultPolicySettings, cooldownMs: cooldownS * 1_000 },
      learned: experience.learned(vm.uuid),
      surroundings: isSentByHand(moves, now) ? { ...around, leavesInS: undefined } : around,
    };
  }

  async #act(vm: Vm, { action, host, reason }: Decision): Promise<void> {
    const { moves } = this.#options;
    try {
      if (action === 'home') await moves.home(vm, { by: 'policy', reason });
      else await moves.offload(vm, host, { by: 'policy', reason });
    } catch (thrown) {
      // Nothing has begun, so no cooldown holds: asked every second, it would say no every second.
      const isPassing = thrown instanceof HomewardError && passing.has(thrown.code);
      const why = sentencesOf(thrown).replace(/\.$/, '');
      const until = Date.now() + (isPassing ? passingHoldsMs : refusalHoldsMs);
      this.#refused.set(wayKey(vm.uuid, action === 'home' ? 'home' : host), { why, until });
      throw thrown;
    }
    if (action === 'home') this.#options.experience.noteHome(vm, Date.now());
  }

  #refusalOf(way: string): string | undefined {
    const refused = this.#refused.get(way);
    return refused !== undefined && Date.now() < refused.until ? refused.why : undefined;
  }

  #tell(decision: Decision): void {
    const { journal, onDecision, onFault } = this.#options;
    onDecision(decision);
    journal
      .append({ kind: 'decision', decision: nameless(decision) })
      .catch((thrown: unknown) => onFault('journal', thrown));
  }
}

/** What our own VMs take of a host, in cores: that nobody else does. */
function ownCores(vms: readonly Vm[], host: string | undefined): number {
  const there = vms.filter(({ place }) => place.kind === 'away' && place.host === host);
  return there.reduce((cores, { sample }) => cores + (sample?.busyVcpus ?? 0), 0);
}

/** An automatic move that the user cancelled. */
function isCalledOffLately(move: Move, now: number): boolean {
  return move.askedBy === 'policy' && wasCancelled(move) && isLately(move, now);
}

function isLately({ endedAt = '' }: Move, now: number): boolean {
  return now - Date.parse(endedAt) < leftAloneMs;
}

/** Of what ended lately, as a clause about the host. Whoever asked for the room back would find it taken again after the cooldown. */
function whyHeldBack(lately: readonly Move[], host: string | undefined, now: number): string | undefined {
  const there = lately.filter((move) => move.host === host);
  if (there.some(({ askedBy }) => askedBy === 'host')) return 'is left alone for a while, since its owner sent it home';
  return there.some((move) => move.direction === 'out' && isCalledOffLately(move, now))
    ? 'is left alone for a while, since you called a move there off'
    : undefined;
}

function staying({ host: _host, hostName: _hostName, ...decision }: Decision, reason: string): Decision {
  return { ...decision, action: 'stay', outcome: 'noted', reason };
}

/** Who sends a VM out by hand shortly before the usual time of leaving stays longer today. */
function isSentByHand(moves: ReturnType<Journal['moves']>, now: number): boolean {
  return moves.some(
    ({ move: { direction, askedBy, endedAt = '' } }) =>
      direction === 'out' && askedBy === 'user' && now - Date.parse(endedAt) < hourMs,
  );
}

/** What a VM runs is kept among the lessons only, where "forget" erases it. */
function nameless({ calculation, ...decision }: Decision): Decision {
  if (calculation === undefined) return decision;
  const { program: _program, ...figures } = calculation;
  return { ...decision, calculation: figures };
}

function wayKey(vm: string, host: string | undefined): string {
  return `${vm} ${host}`;
}

function suggestionKey({ vm, action, host }: Decision): string {
  return [vm, action, host].join(' ');
}

function candidateOf(host: ReturnType<Hosts['list']>[number], more: Partial<HostCandidate>): HostCandidate[] {
  if (host.fingerprint === undefined) return [];
  return [
    {
      ...more,
      fingerprint: host.fingerprint,
      name: host.name,
      reachable: host.reachable,
      paired: host.paired,
      facts: host.facts,
      benchmark: host.benchmark,
      linkBytesPerSec: host.benchmark?.linkOutBytesPerSec,
      roundTripMs: host.roundTripMs,
    },
  ];
}
