import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
});
