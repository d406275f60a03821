import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outOfTime } from '../../shared/plan/homecoming.ts';
import { Scene } from '../testbed/index.ts';

describe('a VM that writes its disk and verifies its memory', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.set();
    await scene.observer.command('disk 50');
    await scene.observer.command('hold 32');
    await scene.observer.command('memory 24 20');
  });

  afterAll(() => scene?.close());

  it('moves out and comes home, with one running copy at every sample and no error', async () => {
    const sampling = setInterval(() => void scene.observer.runningCopies().catch(() => undefined), 300);
    try {
      const out = await scene.laptop.move('out', scene.guest.name);
      expect(out.failure).toBeUndefined();
      expect(out.phase).toBe('done');
      await scene.observer.nextBeat({ host: 'workstation', timeoutMs: 10_000 });
      await sleep(2_000);

      const home = await scene.laptop.move('home', scene.guest.name);
      expect(home.failure).toBeUndefined();
      expect(home.phase).toBe('done');
      await scene.observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
    } finally {
      clearInterval(sampling);
    }
    const report = await scene.observer.report();
    expect(report.disk_blocks_verified).toBeGreaterThan(0);
    expect([report.disk_errors, report.memory_errors, report.hold_errors]).toEqual([0, 0, 0]);
    expect(scene.observer.maxRunningCopies).toBe(1);
    expect(scene.observer.repeatedBeats).toBe(0);
  });

  it('that cannot be home in time waits at its host, paused, over an engine that dies, and comes home when there is time', async () => {
    const { observer, guest, bed } = scene;
    const out = await scene.laptop.move('out', guest.name);
    expect(out.phase).toBe('done');
    await observer.nextBeat({ host: 'workstation', timeoutMs: 10_000 });
    await bed.setRate(20);

    const tooSoon = await scene.laptop.client.call('move.home', { vm: guest.name, deadlineMs: 6_000 });
    const late = await scene.laptop.client.call('move.wait', { id: tooSoon.id }, { timeoutMs: 60_000 });
    expect([late.phase, late.failure]).toEqual(['failed', outOfTime]);
    await scene.laptop.until('the VM to be paused at its host', 20_000, async () => {
      const { state, place } = await scene.laptop.vm(guest.name);
      return state === 'paused' && place.kind === 'away' && place.pausedSince !== undefined ? true : undefined;
    });
    await expect(observer.nextBeat({ timeoutMs: 3_000 })).rejects.toThrow();

    await scene.laptop.kill();
    await scene.restartLaptop();
    await observer.nextBeat({ host: 'workstation', timeoutMs: 60_000 });
    await scene.laptop.until('the VM to be taken for running', 20_000, async () => {
      const { state, place } = await scene.laptop.vm(guest.name);
      return state === 'running' && place.kind === 'away' && place.pausedSince === undefined ? true : undefined;
    });

    await bed.setRate(null);
    const inTime = await scene.laptop.client.call('move.home', { vm: guest.name, deadlineMs: 120_000 });
    const home = await scene.laptop.client.call('move.wait', { id: inTime.id }, { timeoutMs: 120_000 });
    expect(home.failure).toBeUndefined();
    expect(home.phase).toBe('done');
    await observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
    const report = await observer.report();
    expect([report.disk_errors, report.memory_errors, report.hold_errors]).toEqual([0, 0, 0]);
    expect(observer.repeatedBeats).toBe(0);
  });
});
