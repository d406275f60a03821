import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Power } from '../../../main/power/index.ts';
import { client, privateBus } from '../shell/private-bus.ts';
import { LogindStandIn, later } from './logind-stand-in.ts';

async function scene() {
  const address = await privateBus();
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', address);
  const logind = await LogindStandIn.create();
  const said: string[] = [];
  const power = new Power({
    onReadings: () => undefined,
    beforeSleep: async () => void said.push('last word'),
    onGuard: ({ state }) => said.push(state),
    onFault: (what, thrown) => said.push(`${what}: ${thrown}`),
    searchPath: logind.folder,
  });
  onTestFinished(async () => {
    await power.disarm();
    vi.restoreAllMocks();
  });
  return { logind, power, said, address };
}

const soon = { timeout: 4_000 };

async function bothHeld({ logind, power }: Pick<Awaited<ReturnType<typeof scene>>, 'logind' | 'power'>): Promise<void> {
  await vi.waitFor(() => expect(power.guard).toEqual({ state: 'held' }), soon);
  await vi.waitFor(async () => expect(await logind.locks()).toHaveLength(2), soon);
}

describe('a lock that was refused', () => {
  test('is asked for again: who has logged in since may have it', async () => {
    const { logind, power, address } = await scene();
    await logind.refuse(true);
    await logind.serve(client(address));
    power.arm();
    await power.hold();
    expect(power.guard).toMatchObject({ state: 'refused', sentence: expect.stringContaining('Access denied') });
    await logind.refuse(false);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    // Not at each look: whoever has to be asked for a password would be asked each second.
    expect(power.guard).toMatchObject({ state: 'refused' });
    later(30_000);
    await bothHeld({ logind, power });
  });

  test('the last word before sleep too', async () => {
    const { logind, power, said, address } = await scene();
    await logind.refuse(true);
    await logind.serve(client(address));
    power.arm();
    await power.hold();
    await logind.refuse(false);
    later(30_000);
    await bothHeld({ logind, power });
    await new Promise((resolve) => setTimeout(resolve, 200));
    logind.sleeps();
    await vi.waitFor(() => expect(said).toContain('last word'), soon);
  });

  test('is taken as soon as there is a bus, though there was none when it was first asked for', async () => {
    const { logind, power, address } = await scene();
    vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', 'unix:path=/nowhere/bus');
    power.arm();
    await power.hold();
    expect(power.guard).toMatchObject({ state: 'refused', sentence: expect.stringMatching(/^logind does not run/) });
    await logind.serve(client(address));
    vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', address);
    await bothHeld({ logind, power });
  });
});

describe('a desktop that handles the lid itself', () => {
  const taken = [
    'handle-power-key:handle-lid-switch',
    'PowerDevil',
    'KDE handles power events',
    'block',
    1_000,
    77,
  ] as const;

  test('is named by the trial of the lock, and while it is held', async () => {
    const { logind, power, address } = await scene();
    logind.others = [taken];
    await logind.serve(client(address));
    expect(await power.tryGuard()).toEqual({ state: 'held', takenBy: 'PowerDevil' });
    power.arm();
    await power.hold();
    expect(power.guard).toEqual({ state: 'held', takenBy: 'PowerDevil' });
  });

  test('is noticed when it starts after us, and when it ends', async () => {
    const { logind, power, said, address } = await scene();
    await logind.serve(client(address));
    power.arm();
    await power.hold();
    await bothHeld({ logind, power });
    logind.others = [taken];
    later(30_000);
    await vi.waitFor(() => expect(power.guard).toEqual({ state: 'held', takenBy: 'PowerDevil' }), soon);
    logind.others = [];
    later(60_000);
    await vi.waitFor(() => expect(power.guard).toEqual({ state: 'held' }), soon);
    expect(said).toEqual(['held', 'held', 'held']);
  });
});
