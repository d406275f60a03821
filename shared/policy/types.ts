import { z } from 'zod';
import type { Benchmark, HostFacts } from '../model/host.ts';
import type { Fingerprint, VmUuid } from '../model/identifiers.ts';
import type { Level, Place, Sample } from '../model/vm.ts';
import { type Activity, Kind } from './activity.ts';
import type { Learned } from './learned.ts';
import type { Breaks } from './steadiness.ts';

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
  /** The same samples and all before them, followed one by one; without it the window alone is looked at. */
  readonly activity?: Activity | undefined;
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
  readonly roundTripMs?: number | undefined;
  /** Of the way of its disk's requests, what this VM's work waits for there, as learnt. */
  readonly wayShare?: number | undefined;
  /** Busy cores as they are as a rule, over some minutes. */
  readonly usualBusyCores?: number | undefined;
  /** Busy cores now, without what our own VMs there take. */
  readonly othersBusyCores?: number | undefined;
  /** Of its link, and of the room on it: others take the machine. */
  readonly linkBreaks?: Breaks | undefined;
  readonly takeovers?: Breaks | undefined;
  /** A reason found elsewhere (preflight, admission) why this VM cannot visit it. */
  readonly obstacle?: string | undefined;
  /** Why it is left alone for a while, as a clause about it: somebody said so. */
  readonly heldBack?: string | undefined;
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

/** What surrounds the laptop; absent means nothing is known of it. */
export interface Surroundings {
  readonly onBattery?: boolean | undefined;
  /** Bytes over the present network cost money. */
  readonly metered?: boolean | undefined;
  /** Until the time at which the user usually leaves. */
  readonly leavesInS?: number | undefined;
}

export interface PolicyInput {
  /** Epoch milliseconds, of the same clock as the samples. */
  readonly now: number;
  readonly vm: PolicyVm;
  readonly hosts: readonly HostCandidate[];
  readonly home: HomeLoad;
  readonly settings: PolicySettings;
  /** What this VM's past taught; nothing yet where absent. */
  readonly learned?: Learned | undefined;
  readonly surroundings?: Surroundings | undefined;
}

/** The figures a decision rests on, to be looked at by whoever asks why. */
export const Calculation = z.object({
  kind: Kind,
  /** Work of the present run so far, and how long it may go on: as likely longer as shorter. In home seconds. */
  ageS: z.number().min(0),
  restS: z.number().min(0),
  /** Earlier runs that speak for it. */
  runsKnown: z.number().min(0),
  program: z.string().optional(),
  /** Of its input, where the rest is told by that. */
  inputRead: z.number().min(0).max(1).optional(),
  /** How fast this work goes away, compared with home. */
  pace: z.number().min(0).optional(),
  moveS: z.number().min(0).optional(),
  moveAtMostS: z.number().min(0).optional(),
  moveBytes: z.number().min(0).optional(),
  wayBackS: z.number().min(0).optional(),
  /** Expected over all lengths the rest may have; negative is a loss. */
  gainS: z.number().optional(),
  /** What the gain has to reach. */
  neededS: z.number().optional(),
  /** Chance that the work ends more than 2 % later than if it had stayed. */
  lossChance: z.number().min(0).max(1).optional(),
});
export type Calculation = z.infer<typeof Calculation>;

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
  readonly expectedGainS?: number;
  readonly calculation?: Calculation;
}

export interface Decision extends Judgement {
  readonly policy: PolicyName;
  /** What the VM's level lets the caller do with it. */
  readonly outcome: 'acted' | 'suggested' | 'noted';
}

export type Policy = (input: PolicyInput) => Judgement;
export const PolicyName = z.enum(['homeward', 'muda']);
export type PolicyName = z.infer<typeof PolicyName>;
