import type { Benchmark, HostFacts } from '../model/host.ts';
import type { Fingerprint, VmUuid } from '../model/identifiers.ts';
import type { Level, Place, Sample } from '../model/vm.ts';

/** What dominates a VM's recent use (Muda §6.3.2). */
export type Workload = 'idle' | 'cpu-bound' | 'io-bound' | 'mixed';

export interface PolicyVm {
  readonly uuid: VmUuid;
  readonly name: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly usedMemoryBytes: number;
  readonly place: Place;
  readonly level: Level;
  readonly adopted: boolean;
  /** About one a second over the recent minutes; may have holes. */
  readonly samples: readonly Sample[];
  /** Epoch milliseconds; a failed move counts too. */
  readonly lastMoveEndedAt?: number | undefined;
  /** Moves of this VM that ended within the last hour, whoever asked for them. */
  readonly movesRecent: number;
}

export interface HostCandidate {
  readonly fingerprint: Fingerprint;
  readonly name: string;
  readonly reachable: boolean;
  readonly paired: boolean;
  readonly facts?: HostFacts | undefined;
  readonly benchmark?: Benchmark | undefined;
  /** Towards this host, measured; the benchmark's figure serves where this is absent. */
  readonly linkBytesPerSec?: number | undefined;
  /** A reason found elsewhere (preflight, admission) why this VM cannot visit it. */
  readonly obstacle?: string | undefined;
}

export interface HomeLoad {
  /** `busyCores` counts everything on the laptop, this VM included while it is at home. */
  readonly facts: HostFacts;
  readonly benchmark?: Benchmark | undefined;
}

export interface PolicySettings {
  /** After a move the VM is left alone for this long; longer when it has moved often lately. */
  readonly cooldownMs: number;
  /** A host must be better than home by this share of home's score. */
  readonly hysteresis: number;
}

export const defaultPolicySettings: PolicySettings = { cooldownMs: 60_000, hysteresis: 0.1 };

export interface PolicyInput {
  /** Epoch milliseconds, of the same clock as the samples. */
  readonly now: number;
  readonly vm: PolicyVm;
  readonly hosts: readonly HostCandidate[];
  readonly home: HomeLoad;
  readonly settings: PolicySettings;
}

/** What a policy function answers. */
export interface Judgement {
  readonly action: 'stay' | 'offload' | 'home';
  /** One sentence for a person, with the figures it rests on. */
  readonly reason: string;
  /** Where to, or where the VM is when it is to come home. */
  readonly host?: Fingerprint;
  readonly hostName?: string;
  /** How long the move is expected to take at most: 2·T_M + T_S. */
  readonly expectedCostS?: number;
}

export interface Decision extends Judgement {
  readonly policy: PolicyName;
  /** What the VM's level lets the caller do with it. */
  readonly outcome: 'acted' | 'suggested' | 'noted';
}

export type Policy = (input: PolicyInput) => Judgement;
export type PolicyName = 'muda';
