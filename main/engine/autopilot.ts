import { type ErrorCode, HomewardError } from '../../shared/errors.ts';
import type { HostFacts } from '../../shared/model/host.ts';
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
/** Said for the moment only. */
const passing: ReadonlySet<ErrorCode> = new Set(['host-unreachable', 'timeout', 'vm-busy']);

/** Once a second: asks the policy about each VM whose level allows more than `off`, and acts or suggests. */
export class Autopilot {
  readonly #options: AutopilotOptions;
  readonly #last = new Map<string, Decision>();
  /** Until when a suggestion, named by `suggestionKey`, is not made again; on the clock. */
  readonly #dismissed = new Map<string, number>();
  /** Moves out that were refused, named by `wayKey`: why, and until when that is believed; on the clock. */
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

  /** Room that VMs on their way out will take. */
  #claims(vms: readonly Vm[]): Claim[] {
    const out = this.#options.moves.underWay().filter(({ direction }) => direction === 'out');
    return out.flatMap(({ vm, host }) => {
      const moving = vms.find(({ uuid }) => uuid === vm);
      return moving === undefined ? [] : [{ host, vcpus: moving.vcpus, memoryBytes: moving.memoryBytes }];
    });
  }

  #consider(vm: Vm, judged: Judged): void {
    const decision = this.#held(
      this.#unlessLeaving({ ...judged, at: new Date().toISOString(), vm: vm.uuid, vmName: vm.name }),
    );
    const before = this.#last.get(vm.uuid);
    this.#last.set(vm.uuid, decision);
    if (decision.action === 'stay') return;
    const isNew = before?.outcome !== 'suggested' || suggestionKey(before) !== suggestionKey(decision);
    if (decision.outcome === 'suggested' && isNew) this.#tell(decision);
    if (decision.outcome === 'acted') {
      if (decision.action === 'home') this.#options.experience.noteHome(vm, Date.now());
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

  /** What moved out now would have to be brought home at once. */
  #unlessLeaving(decision: Decision): Decision {
    const leaving = decision.action === 'offload' ? this.#options.leaving() : undefined;
    if (leaving === undefined) return decision;
    const { host: _host, hostName: _hostName, ...stays } = decision;
    return { ...stays, action: 'stay', outcome: 'noted', reason: leaving };
  }

  #case(vm: Vm, { all, home, around }: Moment): Case {
    const { monitor, settings, hosts, journal, experience } = this.#options;
    const { policy, cooldownS } = settings.current;
    const now = Date.now();
    const moves = journal.moves().filter(({ move }) => move.vm === vm.uuid && move.endedAt !== undefined);
    const ended = moves.map(({ move }) => Date.parse(move.endedAt ?? ''));
    // Whoever asked for the room back would find it taken again after the cooldown.
    const sentFrom = new Set(
      moves.flatMap(({ move }) =>
        move.askedBy === 'host' && now - Date.parse(move.endedAt ?? '') < leftAloneMs ? [move.host] : [],
      ),
    );
    const candidates = hosts
      .list()
      .filter(({ fingerprint }) => vm.place.kind === 'away' || !sentFrom.has(fingerprint ?? ''))
      .flatMap((host) =>
        candidateOf(
          host,
          this.#refusalOf(vm.uuid, host.fingerprint),
          experience.followHost(host, vm, ownCores(all, host.fingerprint), performance.now()),
        ),
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
    if (action === 'home') {
      await moves.home(vm, { by: 'policy', reason });
      return;
    }
    try {
      await moves.offload(vm, host, { by: 'policy', reason });
    } catch (thrown) {
      // Nothing has begun, so no cooldown holds: asked every second, it would say no every second.
      if (!(thrown instanceof HomewardError && passing.has(thrown.code))) {
        const why = sentencesOf(thrown).replace(/\.$/, '');
        this.#refused.set(wayKey(vm.uuid, host), { why, until: Date.now() + refusalHoldsMs });
      }
      throw thrown;
    }
  }

  #refusalOf(vm: string, host: string | undefined): string | undefined {
    const refused = this.#refused.get(wayKey(vm, host));
    return refused !== undefined && Date.now() < refused.until ? refused.why : undefined;
  }

  #tell(decision: Decision): void {
    const { journal, onDecision, onFault } = this.#options;
    onDecision(decision);
    journal.append({ kind: 'decision', decision }).catch((thrown: unknown) => onFault('journal', thrown));
  }
}

/** What our own VMs take of a host, in cores: that nobody else does. */
function ownCores(vms: readonly Vm[], host: string | undefined): number {
  const there = vms.filter(({ place }) => place.kind === 'away' && place.host === host);
  return there.reduce((cores, { sample }) => cores + (sample?.busyVcpus ?? 0), 0);
}

/** Who sends a VM out by hand shortly before the usual time of leaving stays longer today. */
function isSentByHand(moves: ReturnType<Journal['moves']>, now: number): boolean {
  return moves.some(
    ({ move: { direction, askedBy, endedAt = '' } }) =>
      direction === 'out' && askedBy === 'user' && now - Date.parse(endedAt) < hourMs,
  );
}

function wayKey(vm: string, host: string | undefined): string {
  return `${vm} ${host}`;
}

function suggestionKey({ vm, action, host }: Decision): string {
  return [vm, action, host].join(' ');
}

function candidateOf(
  host: ReturnType<Hosts['list']>[number],
  obstacle: string | undefined,
  followed: Partial<HostCandidate>,
): HostCandidate[] {
  if (host.fingerprint === undefined) return [];
  return [
    {
      ...followed,
      fingerprint: host.fingerprint,
      name: host.name,
      reachable: host.reachable,
      paired: host.paired,
      obstacle,
      facts: host.facts,
      benchmark: host.benchmark,
      linkBytesPerSec: host.benchmark?.linkOutBytesPerSec,
      roundTripMs: host.roundTripMs,
    },
  ];
}
