import type { HostFacts } from '../../shared/model/host.ts';
import type { Vm } from '../../shared/model/vm.ts';
import {
  decide,
  defaultPolicySettings,
  type HostCandidate,
  type Decision as Judged,
} from '../../shared/policy/index.ts';
import type { Decision } from '../../shared/rpc.ts';
import type { Monitor } from '../monitor/index.ts';
import type { Fleet } from './fleet.ts';
import type { Hosts } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';
import type { SettingsStore } from './settings.ts';

export interface AutopilotOptions {
  readonly fleet: Pick<Fleet, 'list'>;
  readonly hosts: Pick<Hosts, 'list'>;
  readonly moves: Pick<Moves, 'home' | 'isMoving' | 'offload'>;
  readonly monitor: Pick<Monitor, 'samples'>;
  readonly journal: Pick<Journal, 'append' | 'moves'>;
  readonly settings: Pick<SettingsStore, 'current'>;
  readonly homeFacts: () => HostFacts | undefined;
  readonly onDecision: (decision: Decision) => void;
  readonly onFault: (what: string, thrown: unknown) => void;
}

const everyMs = 1_000;
const hourMs = 3_600_000;

/** Once a second: asks the policy about each VM whose level allows more than `off`, and acts or suggests. */
export class Autopilot {
  readonly #options: AutopilotOptions;
  readonly #last = new Map<string, Decision>();
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

  #tick(): void {
    const { fleet, moves, homeFacts, onFault } = this.#options;
    for (const vm of fleet.list()) {
      if (vm.level === 'off' || vm.state !== 'running' || moves.isMoving(vm.uuid)) {
        this.#last.delete(vm.uuid);
        continue;
      }
      // Asked for here, so that a machine on which nothing is to be decided is not looked at either.
      const facts = homeFacts();
      if (facts === undefined) return;
      try {
        this.#consider(vm, facts);
      } catch (thrown) {
        onFault(`deciding about ${vm.name}`, thrown);
      }
    }
  }

  #consider(vm: Vm, facts: HostFacts): void {
    const judged = this.#judge(vm, facts);
    const decision: Decision = { ...judged, at: new Date().toISOString(), vm: vm.uuid, vmName: vm.name };
    const before = this.#last.get(vm.uuid);
    this.#last.set(vm.uuid, decision);
    if (decision.action === 'stay') return;
    const isNew = before?.action !== decision.action || before.host !== decision.host;
    if (decision.outcome === 'suggested' && isNew) this.#tell(decision);
    if (decision.outcome === 'acted') {
      this.#tell(decision);
      this.#act(vm, decision).catch((thrown: unknown) => this.#options.onFault(`moving ${vm.name}`, thrown));
    }
  }

  #judge(vm: Vm, facts: HostFacts): Judged {
    const { monitor, settings, hosts, journal } = this.#options;
    const { policy, cooldownS } = settings.current;
    const ended = journal
      .moves()
      .filter(({ move }) => move.vm === vm.uuid && move.endedAt !== undefined)
      .map(({ move }) => Date.parse(move.endedAt ?? ''));
    const now = Date.now();
    return decide({
      policy,
      now,
      vm: {
        ...vm,
        usedMemoryBytes: vm.sample?.usedMemoryBytes ?? vm.memoryBytes,
        samples: monitor.samples(vm.uuid),
        lastMoveEndedAt: ended.length === 0 ? undefined : Math.max(...ended),
        movesRecent: ended.filter((at) => now - at < hourMs).length,
      },
      hosts: hosts.list().flatMap(candidateOf),
      home: { facts },
      settings: { ...defaultPolicySettings, cooldownMs: cooldownS * 1_000 },
    });
  }

  async #act(vm: Vm, { action, host, reason }: Decision): Promise<void> {
    const { moves } = this.#options;
    if (action === 'offload') await moves.offload(vm, host, { by: 'policy', reason });
    else await moves.home(vm, { by: 'policy', reason });
  }

  #tell(decision: Decision): void {
    const { journal, onDecision, onFault } = this.#options;
    onDecision(decision);
    journal.append({ kind: 'decision', decision }).catch((thrown: unknown) => onFault('journal', thrown));
  }
}

function candidateOf(host: ReturnType<Hosts['list']>[number]): HostCandidate[] {
  if (host.fingerprint === undefined) return [];
  return [
    {
      fingerprint: host.fingerprint,
      name: host.name,
      reachable: host.reachable,
      paired: host.paired,
      facts: host.facts,
      benchmark: host.benchmark,
      linkBytesPerSec: host.benchmark?.linkOutBytesPerSec,
    },
  ];
}
