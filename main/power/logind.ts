import { z } from 'zod';
import type { Bus } from '../bus/index.ts';

const service = 'org.freedesktop.login1';
const path = '/org/freedesktop/login1';
const manager = `${service}.Manager`;

const microseconds = z.union([z.bigint(), z.number()]).transform((value) => Number(value) / 1_000);

/** What a laptop's logind says about itself; elogind has the same, older ones less. */
const Properties = z.object({
  LidClosed: z.boolean().optional(),
  Docked: z.boolean().optional(),
  OnExternalPower: z.boolean().optional(),
  PreparingForSleep: z.boolean().optional(),
  PreparingForShutdown: z.boolean().optional(),
  InhibitDelayMaxUSec: microseconds.optional(),
  HandleLidSwitch: z.string().optional(),
  /** Empty where nothing is set for that: then as on battery. */
  HandleLidSwitchExternalPower: z.string().optional(),
  /** In a dock or with an external display, on battery or not. */
  HandleLidSwitchDocked: z.string().optional(),
});

const Locks = z.array(z.tuple([z.string(), z.string(), z.string(), z.string(), z.number(), z.number()]));

/** Somebody's lock. */
export interface ListedLock {
  readonly what: string;
  readonly who: string;
  readonly mode: string;
  readonly pid: number;
}

export interface LogindState {
  readonly lidClosed: boolean | undefined;
  readonly docked: boolean | undefined;
  readonly onMains: boolean | undefined;
  /** What logind itself does about a closed lid, as things are: "suspend", "ignore" … */
  readonly lidAction: string | undefined;
  readonly preparingFor: 'sleep' | 'shutdown' | undefined;
  /** How long a delay lock holds up a sleep at most, ms. */
  readonly delayMaxMs: number;
}

/** logind.conf(5)'s defaults. */
const usualDelayMs = 5_000;
const usualWhenDocked = 'ignore';

/**
 * logind over one connection, until it is started anew. All its properties at once make it read the boot loader's menu among others, so after the first time
 * only those are asked for that change.
 */
export class Logind {
  readonly #bus: Bus;
  #settings: z.infer<typeof Properties> | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** @throws what the bus says where there is no logind, or one that speaks otherwise. */
  async read(): Promise<LogindState> {
    const settings = this.#settings;
    if (settings === undefined) {
      this.#settings = Properties.parse(await this.#bus.properties(service, path, manager));
      return stateOf(this.#settings);
    }
    const asked = changing.filter((name) => settings[name] !== undefined);
    const answers = await Promise.all(
      asked.map(async (name) => [name, await this.#bus.property(service, path, manager, name)]),
    );
    return stateOf({ ...settings, ...Properties.parse(Object.fromEntries(answers)) });
  }
}

const changing = ['LidClosed', 'Docked', 'OnExternalPower', 'PreparingForSleep', 'PreparingForShutdown'] as const;

function stateOf(said: z.infer<typeof Properties>): LogindState {
  return {
    lidClosed: said.LidClosed,
    docked: said.Docked,
    onMains: said.OnExternalPower,
    lidAction: lidActionOf(said),
    preparingFor:
      said.PreparingForShutdown === true ? 'shutdown' : said.PreparingForSleep === true ? 'sleep' : undefined,
    delayMaxMs: said.InhibitDelayMaxUSec ?? usualDelayMs,
  };
}

function lidActionOf(said: z.infer<typeof Properties>): string | undefined {
  if (said.Docked === true) return said.HandleLidSwitchDocked ?? usualWhenDocked;
  const onPower = said.OnExternalPower === true ? said.HandleLidSwitchExternalPower : undefined;
  return onPower === undefined || onPower === '' ? said.HandleLidSwitch : onPower;
}

export async function readLocks(bus: Bus): Promise<readonly ListedLock[]> {
  const rows = Locks.parse(await bus.call(service, path, manager, 'ListInhibitors'));
  return rows.map(([what, who, , mode, , pid]) => ({ what, who, mode, pid }));
}

/** A nudge to read again: anybody may send such a signal, so what it says is asked for. */
export async function onLogindChange(bus: Bus, nudge: () => void): Promise<void> {
  const mine = `type='signal',sender='${service}',path='${path}'`;
  await bus.onSignal(`${mine},interface='${manager}'`, (signal) => {
    if (signal.path !== path || signal.interface !== manager) return;
    if (signal.member === 'PrepareForSleep' || signal.member === 'PrepareForShutdown') nudge();
  });
  await bus.onSignal(`${mine},interface='org.freedesktop.DBus.Properties'`, (signal) => {
    if (signal.path === path && signal.member === 'PropertiesChanged') nudge();
  });
}

/** Whenever logind has been started or has ended. */
export async function onLogindOwner(bus: Bus, changed: () => void): Promise<void> {
  await bus.watchOwner(service, changed);
}
