import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Scene } from '../testbed/index.ts';

const roundTrips = 10;
const guestMiB = 256;

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.set({ guest: { memoryMiB: guestMiB } });
  await scene.observer.command('disk 30');
  await scene.observer.command('hold 24');
  await scene.observer.command('memory 24 20');
});
afterAll(() => scene?.close());

const programs = (host: 'laptop' | 'workstation'): string[] =>
  scene.bed[host]
    .processes()
    .map(({ args }) => basename(args[0] ?? ''))
    .sort();

it('makes twenty moves in a row, there and back, without an error, a second copy or anything left over', async () => {
  const { laptop, observer, guest, bed, libvirtd } = scene;
  const before = { laptop: programs('laptop'), workstation: programs('workstation') };
  const runtime = join(bed.laptop.env['XDG_RUNTIME_DIR'] ?? '', 'homeward');
  const filesBefore = (await readdir(runtime)).sort();
  const counts: number[] = [];
  let sampling = true;
  const sampler = (async () => {
    while (sampling) {
      counts.push(await observer.runningCopies());
      await sleep(200);
    }
  })();
  for (let trip = 0; trip < roundTrips; trip += 1) {
    for (const direction of ['out', 'home'] as const) {
      const move = await laptop.move(direction, guest.name);
      expect(move.failure).toBeUndefined();
      expect(move.phase).toBe('done');
    }
  }
  sampling = false;
  await sampler;

  await observer.nextBeat({ host: bed.laptop.name });
  const report = await observer.report();
  expect([report.disk_errors, report.memory_errors, report.hold_errors]).toEqual([0, 0, 0]);
  expect(report.disk_blocks_verified).toBeGreaterThan(100);
  expect(report.hold_pages_verified).toBeGreaterThan(100);
  expect(report.memory_pages_verified).toBeGreaterThan(100);
  expect(observer.repeatedBeats).toBe(0);
  // None for the instant in which neither runs; never two.
  expect(Math.max(...counts)).toBe(1);

  await sleep(2_000);
  expect(programs('workstation')).toEqual(before.workstation);
  expect(programs('laptop')).toEqual(before.laptop);
  expect((await readdir(runtime)).sort()).toEqual(filesBefore);
  const temporary = await readdir(join(bed.laptop.folder, 'tmp'));
  expect(temporary.filter((name) => name.startsWith('homeward-'))).toEqual([]);
  const { stdout } = await libvirtd.virsh('dommemstat', guest.uuid);
  expect(stdout).toContain(`actual ${guestMiB * 1024}\n`);
}, 900_000);
