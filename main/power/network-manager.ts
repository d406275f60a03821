import { z } from 'zod';
import type { Network } from '../../shared/model/signal.ts';
import type { Bus } from '../bus/index.ts';

const service = 'org.freedesktop.NetworkManager';
const path = '/org/freedesktop/NetworkManager';
/** What NetworkManager says where there is no such object. */
const none = '/';

const ObjectPath = z.string().startsWith('/');

const Manager = z.object({
  PrimaryConnection: ObjectPath.optional(),
  /** NMMetered: 1 yes, 3 guessed yes. */
  Metered: z.int().optional(),
  /** NMConnectivityState: 1 none. */
  Connectivity: z.int().optional(),
});
const Active = z.object({ Devices: z.array(ObjectPath) });
/** NMDeviceType: 2 is Wi-Fi. */
const Device = z.object({ DeviceType: z.int() });
const Wired = z.object({ Carrier: z.boolean() });
const Wireless = z.object({ ActiveAccessPoint: ObjectPath });
const AccessPoint = z.object({ Strength: z.int().min(0).max(100) });

const metered = [1, 3];
const wifi = 2;
const noConnectivity = 1;

/** @throws what the bus says where there is no NetworkManager, or one that speaks otherwise. */
export async function readNetworkManager(bus: Bus): Promise<Network> {
  const get = (object: string, iface: string): Promise<unknown> => bus.properties(service, object, iface);
  const manager = Manager.parse(await get(path, service));
  const isMetered = metered.includes(manager.Metered ?? 0);
  const { PrimaryConnection: primary = none } = manager;
  if (primary === none || manager.Connectivity === noConnectivity) return { primary: 'none', metered: isMetered };
  // Connections come and go: what has gone since the last answer is one that is lost.
  const active = Active.safeParse(await get(primary, `${service}.Connection.Active`).catch(() => undefined));
  const [device = none] = active.data?.Devices ?? [];
  if (device === none) return { primary: 'none', metered: isMetered };
  const { DeviceType: type } = Device.parse(await get(device, `${service}.Device`));
  if (type !== wifi) {
    // Not by its type: some that are wired have types of their own.
    const wired = Wired.safeParse(await get(device, `${service}.Device.Wired`).catch(() => undefined));
    if (!wired.success) return { primary: 'other', metered: isMetered };
    return { primary: 'cable', carrier: wired.data.Carrier, metered: isMetered };
  }
  const { ActiveAccessPoint: point } = Wireless.parse(await get(device, `${service}.Device.Wireless`));
  const strength = point === none ? undefined : await get(point, `${service}.AccessPoint`).catch(() => undefined);
  return { primary: 'wifi', metered: isMetered, wifiPercent: AccessPoint.safeParse(strength).data?.Strength };
}

/** A nudge to read again. */
export async function onNetworkManagerChange(bus: Bus, nudge: () => void): Promise<void> {
  await bus.onSignal(
    `type='signal',sender='${service}',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'`,
    (signal) => {
      if (signal.path.startsWith(path)) nudge();
    },
  );
}

export async function onNetworkManagerOwner(bus: Bus, changed: () => void): Promise<void> {
  await bus.watchOwner(service, changed);
}
