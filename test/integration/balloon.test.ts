import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Scene } from '../testbed/index.ts';

const MiB = 1024 * 1024;
const memoryMiB = 1024;
const swapMiB = 256;
/** Used, margin, and a little for what the guest's kernel counts otherwise. */
const ballooned = (bytes: number): boolean => bytes < 600 * MiB;
const ballooningMs = 100_000;

describe('a VM that lends its memory while it is away', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.set({ guest: { memoryMiB, dataMiB: swapMiB + 128 } });
    await scene.observer.command(`swap ${swapMiB}`);
    await scene.observer.command('disk 20');
    await scene.observer.command('hold 32');
    expect((await scene.laptop.move('out', scene.guest.name)).phase).toBe('done');
    await scene.observer.nextBeat({ host: 'workstation', timeoutMs: 10_000 });
  });

  afterAll(() => scene?.close());

  const sizeBecomes = (what: string, holds: (bytes: number) => boolean, timeoutMs: number): Promise<number> =>
    scene.laptop.until(what, timeoutMs, async () => {
      const bytes = (await scene.laptop.vm(scene.guest.name)).sample?.memoryBytes;
      return bytes !== undefined && holds(bytes) ? bytes : undefined;
    });

  const taken = async (mebibytes: number): Promise<void> => {
    const pages = mebibytes * 256;
    const before = (await scene.observer.report()).grab_pages_verified;
    await expect
      .poll(async () => (await scene.observer.report()).grab_pages_verified - before, {
        timeout: 60_000,
        interval: 300,
      })
      .toBe(pages);
  };

  it('has it back before it would swap, when it takes as much as its margin is made for', async () => {
    await sizeBecomes('the guest to be ballooned', ballooned, ballooningMs);
    await scene.observer.command('grab 500 40');
    await taken(500);
    const memory = await scene.observer.memory();
    expect(memory).toMatchObject({ swap_total_kib: expect.any(Number), swap_out_pages: 0, oom_kills: 0 });
    expect(memory.swap_total_kib).toBeGreaterThan(0);
    await sizeBecomes('all of it to be back', (bytes) => bytes === memoryMiB * MiB, 5_000);
    await scene.observer.command('grab off');
  });

  it('is not killed when it takes all at once', async () => {
    await sizeBecomes('the guest to be ballooned again', ballooned, ballooningMs);
    await scene.observer.command('grab 600 flatout');
    await taken(600);
    expect(await scene.observer.memory()).toMatchObject({ oom_kills: 0 });
    await sizeBecomes('all of it to be back', (bytes) => bytes === memoryMiB * MiB, 5_000);
    await scene.observer.command('grab off');
  });

  it('has all of it at home, whole', async () => {
    const home = await scene.laptop.move('home', scene.guest.name);
    expect(home.failure).toBeUndefined();
    await scene.observer.nextBeat({ host: 'laptop', timeoutMs: 10_000 });
    await expect
      .poll(async () => (await scene.libvirtd.virsh('dommemstat', scene.guest.uuid)).stdout, { timeout: 10_000 })
      .toMatch(new RegExp(`^actual ${memoryMiB * 1024}$`, 'm'));
    const { grab_errors, hold_errors, disk_errors } = await scene.observer.report();
    expect({ grab_errors, hold_errors, disk_errors }).toEqual({ grab_errors: 0, hold_errors: 0, disk_errors: 0 });
  });
});

it('a VM without a balloon moves out, comes home and has left nothing unsettled', async () => {
  const scene = await Scene.set({ guest: { balloon: 'none' } });
  onTestFinished(() => scene.close());
  for (const [direction, there] of [
    ['out', 'workstation'],
    ['home', 'laptop'],
  ] as const) {
    const move = await scene.laptop.move(direction, scene.guest.name);
    expect(move).toMatchObject({ phase: 'done' });
    expect(move.memoryBytes).toBeGreaterThan(0);
    await scene.observer.nextBeat({ host: there, timeoutMs: 10_000 });
  }
});
