import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whereRunning } from '../testbed/copies.ts';
import { Scene } from '../testbed/index.ts';
import { PowerBed } from '../testbed/power/index.ts';

/** logind's files and a lid switch of our own need root. */
const asRoot = process.getuid?.() === 0;
/** What the guest has in memory takes minutes over this. */
const slowMbit = 4;
const shortDeadlineS = 10;
const lateAtMostMs = 3_000;

describe.runIf(asRoot)('a laptop with a real logind, whose real VM is away', () => {
  let power: PowerBed;
  let scene: Scene;

  beforeAll(async () => {
    power = await PowerBed.start();
    scene = await Scene.set({ laptop: { env: { DBUS_SYSTEM_BUS_ADDRESS: power.address } } });
    await scene.observer.command('hold 32');
  });

  afterAll(async () => {
    await scene?.close();
    await power?.stop();
  });

  it('the lid is closed: the VM is home first, then logind suspends, and the guest has lost nothing', async () => {
    expect(await power.locks()).toEqual([]);
    const out = await scene.laptop.move('out', scene.guest.name);
    expect(out.failure).toBeUndefined();
    await scene.observer.nextBeat({ host: 'workstation', timeoutMs: 10_000 });
    expect((await scene.laptop.status()).guard).toEqual({ state: 'held' });
    expect((await power.locks()).map(({ what }) => what).toSorted()).toEqual(['handle-lid-switch', 'shutdown:sleep']);

    const closedMs = performance.now();
    await power.moveLid(true);
    await power.until(() => power.suspendsMs.length > 0, 'logind to suspend', 120_000);
    const suspendMs = power.suspendsMs[0] ?? 0;
    const [home] = scene.laptop.moves.filter(({ direction }) => direction === 'home').slice(-1);
    expect(home).toMatchObject({ phase: 'done', askedBy: 'policy', reason: 'The lid is closed.' });
    console.log(
      `lid closed, home after ${Math.round(home?.totalMs ?? 0)} ms of moving, suspend ${Math.round(suspendMs - closedMs)} ms after the lid`,
    );
    expect((await scene.laptop.vm(scene.guest.name)).place.kind).toBe('home');
    expect(scene.laptop.decisions).toContainEqual(
      expect.objectContaining({ policy: 'departure', action: 'home', outcome: 'acted', reason: 'The lid is closed.' }),
    );
    expect((await scene.laptop.status()).guard).toEqual({ state: 'off' });
    await scene.observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
    const report = await scene.observer.report();
    expect([report.memory_errors, report.hold_errors]).toEqual([0, 0]);

    await power.moveLid(false);
    power.wake();
    expect(await power.locks()).toEqual([]);
  });

  it('too little time: paused at the host, the suspend is not held up, and the VM is home after waking up', async () => {
    const out = await scene.laptop.move('out', scene.guest.name);
    expect(out.failure).toBeUndefined();
    await scene.bed.setRate(slowMbit);
    await scene.laptop.client.call('preferences.change', { departure: { lid: { deadlineS: shortDeadlineS } } });
    await power.until(async () => (await power.locks()).length === 2, 'the locks to be held', 5_000);
    const closedMs = performance.now();
    await power.moveLid(true);
    await power.until(() => power.suspendsMs.length > 1, 'logind to suspend', 60_000);
    const afterMs = (power.suspendsMs[1] ?? 0) - closedMs;
    console.log(
      `lid closed with ${shortDeadlineS} s for 32 MiB at ${slowMbit} Mbit/s: suspend after ${Math.round(afterMs)} ms`,
    );
    expect(afterMs).toBeLessThan(shortDeadlineS * 1_000 + lateAtMostMs);
    expect((await scene.laptop.vm(scene.guest.name)).place).toMatchObject({
      kind: 'away',
      pausedSince: expect.any(String),
    });
    expect(await whereRunning(scene.bed.hosts, scene.guest.uuid)).toEqual([]);

    await scene.bed.setRate(null);
    await power.moveLid(false);
    power.wake();
    await scene.observer.nextBeat({ host: 'workstation', timeoutMs: 20_000 });
    // Until that is written down, the VM is busy.
    await scene.laptop.until('the VM to go on', 20_000, async () => {
      const entries = await scene.laptop.client.call('log.list', { limit: 20 });
      return entries.find((entry) => entry.kind === 'event' && entry.text.endsWith('goes on.'));
    });
    expect((await scene.laptop.move('home', scene.guest.name)).failure).toBeUndefined();
    await scene.observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
    const report = await scene.observer.report();
    expect([report.memory_errors, report.hold_errors]).toEqual([0, 0]);
  });
});
