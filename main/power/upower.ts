import { z } from 'zod';
import type { Battery } from '../../shared/model/signal.ts';
import type { Bus } from '../bus/index.ts';

const service = 'org.freedesktop.UPower';
const path = '/org/freedesktop/UPower';
const displayDevice = `${path}/devices/DisplayDevice`;

const Manager = z.object({ OnBattery: z.boolean().optional() });

const Device = z.object({
  IsPresent: z.boolean().optional(),
  Percentage: z.number().min(0).max(100).optional(),
  /** 2 is discharging. */
  State: z.int().optional(),
  /** Seconds, 0 where unknown. */
  TimeToEmpty: z.union([z.bigint(), z.number()]).transform(Number).optional(),
  /** 3 low, 4 critical, 5 about to act. */
  WarningLevel: z.int().optional(),
});

const discharging = 2;
const lowFrom = 3;

export interface UpowerState {
  readonly onMains: boolean | undefined;
  /** All batteries as one; undefined where there is none. */
  readonly battery: Battery | undefined;
}

/** @throws what the bus says where there is no UPower, or one that speaks otherwise. */
export async function readUpower(bus: Bus): Promise<UpowerState> {
  const { OnBattery } = Manager.parse(await bus.properties(service, path, service));
  const device = Device.parse(await bus.properties(service, displayDevice, `${service}.Device`));
  return {
    onMains: OnBattery === undefined ? undefined : !OnBattery,
    battery:
      device.IsPresent === true && device.Percentage !== undefined ? batteryOf(device, device.Percentage) : undefined,
  };
}

function batteryOf({ State, TimeToEmpty = 0, WarningLevel = 0 }: z.infer<typeof Device>, percent: number): Battery {
  return {
    discharging: State === discharging,
    percent,
    emptyInMs: TimeToEmpty > 0 ? TimeToEmpty * 1_000 : undefined,
    low: WarningLevel >= lowFrom,
  };
}

/** A nudge to read again; its own LidIsClosed, which logind does not announce, is one too. */
export async function onUpowerChange(bus: Bus, nudge: () => void): Promise<void> {
  await bus.onSignal(
    `type='signal',sender='${service}',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'`,
    (signal) => {
      if (signal.path === path || signal.path === displayDevice) nudge();
    },
  );
}

export async function onUpowerOwner(bus: Bus, changed: () => void): Promise<void> {
  await bus.watchOwner(service, changed);
}
