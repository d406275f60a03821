import { mkdir, writeFile } from 'node:fs/promises';
import { defineInterface, type MessageBus } from 'dbus-native';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { externalDisplays } from '../../../main/power/displays.ts';
import { Power } from '../../../main/power/index.ts';
import type { Readings } from '../../../shared/model/signal.ts';
import { tempFolder } from '../engine/temp-folder.ts';
import { client, privateBus } from '../shell/private-bus.ts';

function power(searchPath?: string) {
  const readings: Readings[] = [];
  const faults: string[] = [];
  const opened = new Power({
    onReadings: (seen) => readings.push(seen),
    beforeSleep: async () => undefined,
    onGuard: () => undefined,
    onFault: (what) => faults.push(what),
    searchPath,
  });
  onTestFinished(() => opened.disarm());
  return { power: opened, readings, faults, last: () => readings.at(-1) };
}

async function systemBus(): Promise<MessageBus> {
  const address = await privateBus();
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', address);
  return client(address);
}

/** An object whose properties are read and change. */
async function serve(bus: MessageBus, path: string, name: string, properties: Record<string, [string, unknown]>) {
  const entries = Object.entries(properties).map(([key, [type, value]]) => [key, { type, access: 'read', value }]);
  await bus.export(path, defineInterface({ name, properties: Object.fromEntries(entries) }));
}

describe('where much is missing', () => {
  test('no bus: that is said, the network is watched all the same, and nobody can be asked to wait', async () => {
    vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', 'unix:path=/nowhere/bus');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { power: here, readings, faults } = power();
    expect(await here.missing()).toEqual(['bus']);
    here.arm();
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(0));
    expect(readings[0]).toMatchObject({ lidClosed: undefined, battery: undefined });
    await here.hold();
    expect(here.guard).toMatchObject({
      state: 'refused',
      sentence: expect.stringMatching(/^logind does not run here/),
    });
    await here.disarm();
    expect(here.guard).toEqual({ state: 'off' });
    expect(faults).toEqual([]);
  });

  test('a bus with nobody on it: each service is named', async () => {
    await systemBus();
    expect(await power().power.missing()).toEqual(['logind', 'upower', 'network-manager']);
  });

  test('nor a program that knows the kernel’s routes: that is said too', async () => {
    await systemBus();
    vi.stubEnv('PATH', await tempFolder());
    expect(await power().power.missing()).toEqual(['logind', 'upower', 'network-manager', 'ip']);
    vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', 'unix:path=/nowhere/bus');
    expect(await power().power.missing()).toEqual(['bus', 'ip']);
  });

  test('no program that holds a lock: that is said', async () => {
    await systemBus();
    const { power: here } = power(await tempFolder());
    await here.hold();
    expect(here.guard).toMatchObject({ state: 'refused', sentence: expect.stringMatching(/systemd-inhibit/) });
  });

  test('the next VM sets out while the last one’s locks are let go: watching goes on', async () => {
    await systemBus();
    const { power: here, readings } = power();
    here.arm();
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(0));
    const disarming = here.disarm();
    here.arm();
    await disarming;
    const before = readings.length;
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(before), { timeout: 3_000 });
  });
});

describe('watching without a VM away', () => {
  test('goes on when the last VM is home, and nobody is asked to wait', async () => {
    await systemBus();
    const { power: here, readings } = power();
    await here.watch(true);
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(0));
    expect(here.guard).toEqual({ state: 'off' });
    // From now and then to once a second.
    const seldom = readings.length;
    here.arm();
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(seldom + 1), { timeout: 4_000 });
    await here.disarm();
    expect(await here.missing()).toEqual(['logind', 'upower', 'network-manager']);
    await here.watch(false);
  });

  test('nothing is left once nobody wants to know', async () => {
    await systemBus();
    const { power: here, readings } = power();
    await here.watch(true);
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(0));
    await here.watch(false);
    const seen = readings.length;
    here.arm();
    await here.disarm();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(readings.length).toBeLessThanOrEqual(seen + 1);
  });
});

describe('what services say', () => {
  const nm = 'org.freedesktop.NetworkManager';
  const path = '/org/freedesktop/NetworkManager';

  /** A laptop on Wi-Fi. */
  async function wifi(bus: MessageBus, over: Record<string, [string, unknown]> = {}): Promise<void> {
    await serve(bus, path, nm, {
      PrimaryConnection: ['o', `${path}/ActiveConnection/1`],
      Metered: ['u', 4],
      Connectivity: ['u', 4],
      ...over,
    });
    await serve(bus, `${path}/ActiveConnection/1`, `${nm}.Connection.Active`, {
      Devices: ['ao', [`${path}/Devices/1`]],
    });
    await serve(bus, `${path}/Devices/1`, `${nm}.Device`, { DeviceType: ['u', 2] });
    await serve(bus, `${path}/Devices/1`, `${nm}.Device.Wireless`, {
      ActiveAccessPoint: ['o', `${path}/AccessPoint/7`],
    });
    await serve(bus, `${path}/AccessPoint/7`, `${nm}.AccessPoint`, { Strength: ['y', 63] });
    await bus.requestName(nm, 4);
  }

  test('Wi-Fi: how strong it is', async () => {
    await wifi(await systemBus());
    const { power: here, last } = power();
    here.arm();
    await vi.waitFor(() => expect(last()?.network).toEqual({ primary: 'wifi', metered: false, wifiPercent: 63 }));
  });

  test('a network that is paid by volume, or is a guess at that', async () => {
    await wifi(await systemBus(), { Metered: ['u', 3] });
    const { power: here, last } = power();
    here.arm();
    await vi.waitFor(() => expect(last()?.network).toMatchObject({ metered: true }));
  });

  test('no network at all', async () => {
    await wifi(await systemBus(), { PrimaryConnection: ['o', '/'] });
    const { power: here, last } = power();
    here.arm();
    await vi.waitFor(() => expect(last()?.network).toEqual({ primary: 'none', metered: false }));
  });

  test('UPower is there only later: it is noticed when it comes', async () => {
    const bus = await systemBus();
    const { power: here, readings, last } = power();
    here.arm();
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(0));
    const upower = 'org.freedesktop.UPower';
    await serve(bus, '/org/freedesktop/UPower', upower, { OnBattery: ['b', true] });
    await serve(bus, '/org/freedesktop/UPower/devices/DisplayDevice', `${upower}.Device`, {
      IsPresent: ['b', true],
      Percentage: ['d', 42],
      State: ['u', 2],
      TimeToEmpty: ['x', 3_600n],
      WarningLevel: ['u', 1],
    });
    await bus.requestName(upower, 4);
    await vi.waitFor(() => expect(last()?.battery).toBeDefined());
    expect(last()).toMatchObject({
      onMains: false,
      battery: { percent: 42, discharging: true, emptyInMs: 3_600_000, low: false },
    });
  });

  test('a service that answers nonsense counts as missing, and nothing breaks', async () => {
    const bus = await systemBus();
    await serve(bus, '/org/freedesktop/login1', 'org.freedesktop.login1.Manager', { LidClosed: ['s', 'perhaps'] });
    await bus.requestName('org.freedesktop.login1', 4);
    const { power: here, readings, faults } = power();
    here.arm();
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(0));
    expect(readings[0]?.lidClosed).toBeUndefined();
    expect(await here.missing()).toContain('logind');
    expect(faults).toEqual([]);
  });

  test('an older logind that knows no dock: the rest is heard', async () => {
    const bus = await systemBus();
    await serve(bus, '/org/freedesktop/login1', 'org.freedesktop.login1.Manager', {
      LidClosed: ['b', true],
      HandleLidSwitch: ['s', 'suspend'],
    });
    await bus.requestName('org.freedesktop.login1', 4);
    const { power: here, readings } = power();
    here.arm();
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(1), { timeout: 3_000 });
    expect(readings.at(-1)).toMatchObject({ lidClosed: true, docked: undefined, lidIgnored: false });
  });

  test('logind ignores the lid: so do we, unless a desktop has taken the lid from it', async () => {
    const bus = await systemBus();
    const locks = { rows: [] as unknown[][] };
    const definition = defineInterface({
      name: 'org.freedesktop.login1.Manager',
      methods: { ListInhibitors: { out: { locks: 'a(ssssuu)' }, handler: () => locks.rows } },
      properties: {
        LidClosed: { type: 'b', access: 'read', value: true },
        HandleLidSwitch: { type: 's', access: 'read', value: 'ignore' },
      },
    });
    await bus.export('/org/freedesktop/login1', definition);
    await bus.requestName('org.freedesktop.login1', 4);
    const { power: here, last } = power();
    here.arm();
    await vi.waitFor(() => expect(last()?.lidIgnored).toBe(true));
    locks.rows = [['handle-lid-switch', 'a desktop', 'it does that', 'block', 1_000, 77]];
    await vi.waitFor(() => expect(last()?.lidIgnored).toBe(false), { timeout: 3_000 });
  });
});

describe('displays', () => {
  async function connectors(states: Readonly<Record<string, string>>): Promise<string> {
    const folder = await tempFolder();
    for (const [name, state] of Object.entries(states)) {
      await mkdir(`${folder}/${name}`);
      await writeFile(`${folder}/${name}/status`, `${state}\n`);
    }
    return folder;
  }

  test('built-in panels and empty sockets do not count', async () => {
    const folder = await connectors({
      card0: '',
      'card0-eDP-1': 'connected',
      'card0-HDMI-A-1': 'disconnected',
      'card1-DP-2': 'connected',
    });
    expect(await externalDisplays(folder)).toBe(1);
  });

  test('a machine without displays says nothing about them', async () => {
    expect(await externalDisplays(await connectors({}))).toBeUndefined();
    expect(await externalDisplays('/nowhere')).toBeUndefined();
  });
});
