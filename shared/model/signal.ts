/** What the machine tells about whether it is about to leave, sleep or end; and what a person wants done about it. */
import { z } from 'zod';

/** Each may be switched off. `sleep` also stands for a shutdown. */
export const triggers = ['lid', 'sleep', 'battery', 'dock', 'cable', 'wifi', 'power'] as const;
export type Trigger = (typeof triggers)[number];

const TriggerSetting = z.object({
  on: z.boolean(),
  /** From the signal on, how long bringing a VM home may take. */
  deadlineS: z.int().min(10).max(3_600),
});

/** When VMs come home by themselves. */
export const DepartureSettings = z.object({
  lid: TriggerSetting,
  /** How long this may take is the system's to say (InhibitDelayMaxSec). */
  sleep: TriggerSetting.pick({ on: true }),
  battery: TriggerSetting,
  dock: TriggerSetting,
  cable: TriggerSetting,
  wifi: TriggerSetting,
  power: TriggerSetting,
});
export type DepartureSettings = z.infer<typeof DepartureSettings>;

/** Some of it; what is not said stays. */
export const DepartureChange = z.object({
  lid: TriggerSetting.partial().optional(),
  sleep: TriggerSetting.pick({ on: true }).partial().optional(),
  battery: TriggerSetting.partial().optional(),
  dock: TriggerSetting.partial().optional(),
  cable: TriggerSetting.partial().optional(),
  wifi: TriggerSetting.partial().optional(),
  power: TriggerSetting.partial().optional(),
});
export type DepartureChange = z.infer<typeof DepartureChange>;

export function changedDeparture(before: DepartureSettings, change: DepartureChange): DepartureSettings {
  const changed = triggers.map((trigger) => [trigger, { ...before[trigger], ...given(change[trigger] ?? {}) }]);
  return DepartureSettings.parse(Object.fromEntries(changed));
}

function given(change: object): object {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}

/**
 * Defaults. A closed laptop in a bag turns what it draws into heat: 20 W for 5 minutes are 6 kJ, about 4 K for 1.5 kg, and
 * 3 % of a 50 Wh battery; 5 minutes carry 7 GiB at 200 Mbit/s. A battery of 15 % lasts at least 20 minutes. The others
 * are hints: who undocks walks away within minutes, Wi-Fi that fades is gone within one.
 */
export const defaultDeparture: DepartureSettings = {
  lid: { on: true, deadlineS: 300 },
  sleep: { on: true },
  battery: { on: true, deadlineS: 600 },
  dock: { on: true, deadlineS: 300 },
  cable: { on: true, deadlineS: 300 },
  wifi: { on: true, deadlineS: 60 },
  power: { on: true, deadlineS: 600 },
};

/** One look at the machine. What is absent could not be read, which is never taken for a departure. */
export interface Readings {
  readonly lidClosed?: boolean | undefined;
  /** A closed lid, as things are, dock included, neither suspends nor ends this computer. */
  readonly lidIgnored?: boolean | undefined;
  /** Closing the lid only locks the screen, as logind is set now: a lock on the lid would keep it from that. */
  readonly lidLocksScreen?: boolean | undefined;
  /** In a dock, or with an external display, as logind sees it. */
  readonly docked?: boolean | undefined;
  /** Connected displays that are not built in. */
  readonly externalDisplays?: number | undefined;
  readonly onMains?: boolean | undefined;
  readonly battery?: Battery | undefined;
  readonly network?: Network | undefined;
  /** The system has begun to suspend or to end, and waits this long for us. */
  readonly ending?: { readonly how: 'sleep' | 'shutdown'; readonly delayMs: number } | undefined;
}

export interface Battery {
  readonly discharging: boolean;
  /** Of its capacity, 0 to 100. */
  readonly percent: number;
  /** Until it is empty, as the battery's own service expects. */
  readonly emptyInMs?: number | undefined;
  /** The system itself calls it low. */
  readonly low: boolean;
}

export interface Network {
  /** By what most of the traffic goes. */
  readonly primary: 'cable' | 'wifi' | 'other' | 'none';
  /** Of the cable, whether or not the network counts as lost already. */
  readonly carrier?: boolean | undefined;
  /** Whoever pays by volume would not want gigabytes moved on a mere hint. */
  readonly metered: boolean;
  /** Strength of the Wi-Fi in use, 0 to 100. */
  readonly wifiPercent?: number | undefined;
}

/** `must`: this computer leaves, sleeps or ends. `hint`: it may be about to; several together count as one that is surer. */
type Priority = 'must' | 'hint';

export interface Signal {
  readonly trigger: Trigger;
  readonly priority: Priority;
  /** That the laptop is about to leave, 0 to 1. */
  readonly confidence: number;
  /** When it began, on the clock that the readings are timed by, ms. */
  readonly sinceMs: number;
  /** Nothing can be done after that moment, whatever a person would allow; same clock. */
  readonly endsAtMs?: number | undefined;
  /** "The lid is closed." */
  readonly sentence: string;
}
