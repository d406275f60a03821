import { hash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sh } from '../testbed/command.ts';
import { type Observer, Scene, startGuest } from '../testbed/index.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.set({ guest: { memoryMiB: 192, dataMiB: 16 } });
});

// A test that failed leaves the next one the link as it found it.
afterEach(async () => {
  await scene.bed.setRate(null);
  await scene.bed.linkUp();
  await scene.laptop.until('the workstation to be met again', 60_000, async () =>
    (await scene.laptop.status()).hosts[0]?.reachable === true ? true : undefined,
  );
});

afterAll(() => scene?.close());

async function goAway(): Promise<void> {
  const { laptop, guest } = scene;
  const move = await laptop.move('out', guest.name);
  expect(move.failure).toBeUndefined();
}

async function cutLink(): Promise<void> {
  await scene.bed.linkDown();
  await scene.laptop.until('the link to count as lost', 30_000, async () => {
    const [host] = (await scene.laptop.status()).hosts;
    return host?.reachable === false ? true : undefined;
  });
}

/** Of all that the image holds, though its daemon has it open. */
async function diskHash(): Promise<string> {
  const copy = `${scene.guest.image}.raw`;
  await sh('qemu-img', ['convert', '-U', '-O', 'raw', scene.guest.image, copy]);
  const digest = hash('sha256', await readFile(copy));
  await rm(copy);
  return digest;
}

/** The guest was booted anew: its beats begin again, and with them what is known of it. */
async function newLife(): Promise<Observer> {
  scene.observeAnew();
  await scene.observer.nextBeat({ host: scene.bed.laptop.name, timeoutMs: 90_000 });
  return scene.observer;
}

/** Whatever the test before left: the VM runs, there, and an observer without a past hears it. */
async function running(where: 'home' | 'away'): Promise<Observer> {
  const { laptop, guest, libvirtd } = scene;
  const { place, state } = await laptop.vm(guest.name);
  if (state === 'shutoff') await startGuest(libvirtd, guest);
  if (place.kind !== where) await laptop.move(where === 'away' ? 'out' : 'home', guest.name);
  scene.observeAnew();
  await scene.observer.nextBeat({ timeoutMs: 90_000 });
  return scene.observer;
}

describe('the link is lost while a VM is away', () => {
  it('it comes home by itself when the link is back, if somebody wanted that meanwhile', async () => {
    const { laptop, guest, bed, observer } = scene;
    await observer.command('disk 50');
    await goAway();
    await cutLink();
    const asked = await laptop.client.call('home.want', { vm: guest.name });
    expect(asked).toMatchObject({ place: { kind: 'away' }, homeWanted: { reason: 'You asked for it.' } });
    // The wish outlives the engine.
    await scene.laptop.kill();
    await scene.restartLaptop();
    await bed.linkUp();
    await scene.laptop.until('the VM to come home', 90_000, async () => {
      const vm = await scene.laptop.vm(guest.name);
      return vm.place.kind === 'home' && vm.state === 'running' ? true : undefined;
    });
    await observer.nextBeat({ host: bed.laptop.name, timeoutMs: 20_000 });
    const report = await observer.report();
    expect([report.disk_errors, await observer.runningCopies()]).toEqual([0, 1]);
    expect(observer.repeatedBeats).toBe(0);
  });

  it('it is restarted here: what is late there cannot write, is told and ended', async () => {
    const { guest, bed, workstation } = scene;
    await goAway();
    await expect(scene.laptop.client.call('vm.restartHere', { vm: guest.name, start: true })).rejects.toMatchObject({
      code: 'refused',
    });
    await cutLink();
    const restarted = await scene.laptop.client.call('vm.restartHere', { vm: guest.name, start: true });
    expect(restarted.place).toEqual({ kind: 'home' });
    const observer = await newLife();
    const before = await diskHash();
    // Its copy there goes on in memory, and has writes waiting.
    expect((await workstation.status()).host.visitors).toMatchObject([{ vm: guest.uuid, state: 'running' }]);

    await bed.linkUp();
    await workstation.until('the late visitor to be ended', 60_000, async () => {
      const { visitors, past = [] } = (await workstation.status()).host;
      return visitors.length === 0 && past.some(({ end }) => end?.why === 'fenced') ? true : undefined;
    });
    expect(await diskHash()).toBe(before);
    expect(await observer.runningCopies()).toBe(1);
    const told = await workstation.client.call('log.list', { limit: 20 });
    expect(told).toContainEqual(
      expect.objectContaining({ kind: 'event', text: expect.stringContaining('went on without it') }),
    );
    await observer.command('disk 50');
    await sleep(2_000);
    const report = await observer.report();
    expect(report.disk_blocks_verified).toBeGreaterThan(0);
    expect(report.disk_errors).toBe(0);
  });

  it('its host is restarted: nothing starts by itself, why is said, and it is started from its disk', async () => {
    const { guest, bed } = scene;
    await running('home');
    await goAway();
    await bed.workstation.powerOff();
    await bed.workstation.powerOn();
    scene.workstation.client.close();
    await scene.restartWorkstation();
    const home = await scene.laptop.until('the host to tell', 60_000, async () => {
      const vm = await scene.laptop.vm(guest.name);
      return vm.place.kind === 'home' ? vm : undefined;
    });
    expect(home).toMatchObject({ state: 'shutoff', place: { ended: { hostName: 'workstation' } } });
    expect(['died', 'host-restarted']).toContain(home.place.kind === 'home' ? home.place.ended?.why : '');
    await scene.laptop.client.call('vm.restartHere', { vm: guest.name, start: true });
    const observer = await newLife();
    expect(await observer.runningCopies()).toBe(1);
  });
});

describe('the link is lost for good in the middle of a move', () => {
  it('home, in post-copy: the move is given up, and the VM starts from its disk', async () => {
    const { laptop, guest, bed, workstation } = scene;
    await (await running('home')).command('hold 64');
    await goAway();
    await bed.setRate(20);
    const { id } = await laptop.client.call('move.home', { vm: guest.name });
    await laptop.until('the flip', 60_000, async () => {
      const move = laptop.moves.findLast((told) => told.id === id);
      if (move?.phase === 'copying') await laptop.client.call('move.finishNow', { vm: guest.name });
      return move?.phase === 'postcopy' ? true : undefined;
    });
    await expect(laptop.client.call('vm.restartHere', { vm: guest.name, start: true })).rejects.toMatchObject({
      code: 'vm-busy',
    });
    await cutLink();
    await laptop.client.call('vm.restartHere', { vm: guest.name, start: true });
    const move = await laptop.client.call('move.wait', { id });
    expect(move).toMatchObject({ phase: 'lost', failure: expect.stringContaining('given up') });
    const observer = await newLife();
    await bed.setRate(null);
    await bed.linkUp();
    await workstation.until('the late visitor to be ended', 60_000, async () =>
      (await workstation.status()).host.visitors.length === 0 ? true : undefined,
    );
    expect(await observer.runningCopies()).toBe(1);
  });
});

describe('virsh is used behind Homeward’s back', () => {
  it('while a VM is away: it cannot be started here; undefined here, it is listed, comes home and is defined again', async () => {
    const { laptop, guest, libvirtd, bed } = scene;
    const observer = await running('away');
    const started = await libvirtd.virsh('start', guest.uuid);
    expect(started.code).not.toBe(0);
    expect(await observer.runningCopies()).toBe(1);

    expect(await libvirtd.virsh('undefine', guest.uuid)).toMatchObject({ code: 0 });
    const listed = await laptop.until('that to be noticed', 40_000, async () => {
      const vm = await laptop.vm(guest.name);
      return vm.awayTroubles?.includes('undefined-here') === true && vm.state === 'running' ? vm : undefined;
    });
    expect(listed.place.kind).toBe('away');
    const move = await laptop.move('home', guest.name);
    expect(move.failure).toBeUndefined();
    await observer.nextBeat({ host: bed.laptop.name, timeoutMs: 20_000 });
    expect((await libvirtd.virsh('dominfo', guest.uuid)).stdout).toMatch(/Persistent:\s+yes/);
    expect([await observer.runningCopies(), observer.repeatedBeats]).toEqual([1, 0]);
  });
});

describe('the storage daemon is killed', () => {
  function killDaemon(): void {
    const daemon = scene.bed.laptop.processes().find(({ args }) => args[0]?.endsWith('qemu-storage-daemon') === true);
    if (daemon === undefined) throw new Error('No storage daemon runs.');
    process.kill(daemon.pid, 'SIGKILL');
  }

  async function writingAt(where: 'home' | 'away'): Promise<Observer> {
    const observer = await running(where);
    await observer.command('disk 50');
    await sleep(1_000);
    return observer;
  }

  it('while the VM is away: it is started again, and the guest notices no error', async () => {
    const observer = await writingAt('away');
    killDaemon();
    await sleep(1_000);
    const before = await observer.report();
    await scene.laptop.until('the disk to be written again', 60_000, async () => {
      const report = await observer.report();
      return report.disk_blocks_verified > before.disk_blocks_verified + 20 ? true : undefined;
    });
    const report = await observer.report();
    expect([report.disk_errors, await observer.runningCopies()]).toEqual([0, 1]);
  });

  it('while the VM is at home: it is stopped, its user is told, and it can be started anew', async () => {
    const { laptop, guest, libvirtd } = scene;
    await writingAt('home');
    killDaemon();
    const told = await laptop.until('the user to be told', 60_000, async () => {
      const entries = await laptop.client.call('log.list', { limit: 20 });
      return entries.find((entry) => entry.kind === 'event' && entry.text.includes('its disk did not answer'));
    });
    expect(told).toMatchObject({ text: expect.stringContaining('start it anew') });
    expect(await laptop.client.call('doctor.run', {})).toContainEqual(
      expect.objectContaining({ id: `disk-stopped-${guest.uuid}`, remedy: expect.stringContaining('Start it anew') }),
    );
    expect((await laptop.vm(guest.name)).state).toBe('paused');
    expect(await libvirtd.virsh('destroy', guest.uuid)).toMatchObject({ code: 0 });
    await startGuest(libvirtd, guest);
    const anew = await newLife();
    expect(await anew.runningCopies()).toBe(1);
  });
});
