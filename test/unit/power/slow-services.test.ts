import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageBus } from 'dbus-native';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Power } from '../../../main/power/index.ts';
import type { Readings } from '../../../shared/model/signal.ts';
import { client, privateBus } from '../shell/private-bus.ts';
import { LogindStandIn } from './logind-stand-in.ts';

async function scene() {
  const address = await privateBus();
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', address);
  const logind = await LogindStandIn.create();
  await logind.serve(client(address));
  const readings: Readings[] = [];
  const saidMs: number[] = [];
  const power = new Power({
    onReadings: (seen) => readings.push(seen),
    beforeSleep: async () => void saidMs.push(performance.now()),
    onGuard: () => undefined,
    onFault: () => undefined,
    searchPath: logind.folder,
  });
  onTestFinished(() => power.disarm());
  return { logind, power, readings, saidMs, address };
}

/** Owns the name, and answers nobody. */
async function hanging(bus: MessageBus, name: string): Promise<void> {
  await bus.requestName(name, 4);
  const { stream } = bus.connection;
  stream.removeAllListeners('readable');
  onTestFinished(() => void stream.destroy());
}

describe('services that do not answer', () => {
  test.each(['org.freedesktop.UPower', 'org.freedesktop.NetworkManager'])(
    '%s hangs: the word before sleep is said in time all the same',
    async (name) => {
      const { logind, power, readings, saidMs, address } = await scene();
      await hanging(client(address), name);
      power.arm();
      await vi.waitFor(async () => expect(await logind.locks()).toHaveLength(1), { timeout: 4_000 });
      await vi.waitFor(() => expect(readings.length).toBeGreaterThan(0));
      const sleepsMs = performance.now();
      logind.sleeps();
      await vi.waitFor(() => expect(saidMs).toHaveLength(1), { timeout: 4_500 });
      expect((saidMs[0] ?? 0) - sleepsMs).toBeLessThan(1_500);
    },
  );

  test('who hangs counts as missing once it is known', async () => {
    const { power, address } = await scene();
    await hanging(client(address), 'org.freedesktop.UPower');
    expect(await power.missing()).toEqual(['upower', 'network-manager']);
  }, 15_000);

  test('logind fails once: the lid stays as it was, and it is asked again at the next look', async () => {
    const { logind, power, readings } = await scene();
    logind.lidClosed = true;
    power.arm();
    await vi.waitFor(() => expect(readings.at(-1)).toMatchObject({ lidClosed: true }), { timeout: 4_000 });
    logind.fail();
    const before = readings.length;
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(before + 1), { timeout: 4_000 });
    expect(await power.missing()).toContain('logind');
    logind.lidClosed = false;
    await logind.answer();
    await vi.waitFor(() => expect(readings.at(-1)).toMatchObject({ lidClosed: false }), { timeout: 4_000 });
    expect(readings.filter(({ lidClosed }) => lidClosed === undefined)).toEqual([]);
  });

  test('logind fails once: the lid stays a desktop’s', async () => {
    const { logind, power, readings } = await scene();
    Object.assign(logind, { lidClosed: true, settings: { ...logind.settings, lid: 'ignore' } });
    logind.others = [['handle-lid-switch', 'a desktop', 'it does that', 'block', 1_000, 77]];
    power.arm();
    const closed = { lidClosed: true, lidIgnored: false };
    await vi.waitFor(() => expect(readings.at(-1)).toMatchObject(closed), { timeout: 4_000 });
    logind.fail();
    const before = readings.length;
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(before + 1), { timeout: 4_000 });
    for (const reading of readings) expect(reading).toMatchObject(closed);
  });

  test('logind is started anew: the lid stays closed', async () => {
    const { logind, power, readings, address } = await scene();
    logind.lidClosed = true;
    power.arm();
    await vi.waitFor(() => expect(readings.at(-1)).toMatchObject({ lidClosed: true }), { timeout: 4_000 });
    const before = readings.length;
    await logind.leave();
    await sleep(1_500);
    await logind.serve(client(address));
    await vi.waitFor(() => expect(readings.length).toBeGreaterThan(before + 3), { timeout: 6_000 });
    expect(readings.slice(before).filter(({ lidClosed }) => lidClosed !== true)).toEqual([]);
  });
});
