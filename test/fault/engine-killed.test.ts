import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Phase } from '../../shared/model/move.ts';
import { sh } from '../testbed/command.ts';
import { Scene } from '../testbed/index.ts';

/** Slow enough that every phase can be met, with a guest that pre-copy cannot outrun. */
const linkMbit = 200;
const writerMiB = 48;

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.set({ rateMbit: linkMbit, guest: { memoryMiB: 256 } });
  await scene.observer.command('disk 20');
  await scene.observer.command(`memory ${writerMiB} flatout`);
});

afterAll(() => scene?.close());

/**
 * Begins a move and resolves as soon as the engine tells that it has reached `moment`. `flip` is when the source has
 * stopped for post-copy, and `postcopy` when the destination runs.
 */
async function reach(direction: 'out' | 'home', moment: Phase | 'flip'): Promise<string> {
  const phase = moment === 'flip' ? 'postcopy' : moment;
  const { laptop, guest } = scene;
  const { id } = await laptop.client.call(direction === 'out' ? 'move.offload' : 'move.home', { vm: guest.name });
  const deadline = performance.now() + 60_000;
  for (;;) {
    const told = laptop.moves.filter((move) => move.id === id);
    const reached = told.some((move) => move.phase === phase);
    if (reached && (moment !== 'postcopy' || (await scene.observer.runningCopies()) === 1)) return id;
    if (told.some((move) => ['done', 'failed', 'lost'].includes(move.phase)))
      throw new Error(`${phase} was never met.`);
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${phase}.`);
    if (phase === 'postcopy' && told.at(-1)?.phase === 'copying') {
      await laptop.client.call('move.finishNow', { vm: guest.name }).catch(() => undefined);
    }
    await sleep(2);
  }
}

/** The VM is where the engine says, runs once, and has lost nothing. */
async function expectWhole(): Promise<'home' | 'away'> {
  const { laptop, guest, observer, bed } = scene;
  const place = await laptop.until('the engine to be at rest', 60_000, async () => {
    const status = await laptop.status();
    const vm = status.vms.find(({ uuid }) => uuid === guest.uuid);
    return vm !== undefined && status.moves.length === 0 && vm.state === 'running' ? vm.place.kind : undefined;
  });
  const host = place === 'home' ? bed.laptop.name : bed.workstation.name;
  await observer.nextBeat({ host, timeoutMs: 20_000 });
  expect(await observer.runningCopies()).toBe(1);
  expect(observer.repeatedBeats).toBe(0);
  const report = await observer.report();
  expect([report.disk_errors, report.memory_errors]).toEqual([0, 0]);
  return place;
}

async function be(place: 'home' | 'away'): Promise<void> {
  const { laptop, guest } = scene;
  const now = (await laptop.vm(guest.name)).place.kind;
  if (now === place) return;
  const move = await laptop.move(place === 'home' ? 'home' : 'out', guest.name, 120_000);
  expect(move.failure).toBeUndefined();
}

describe('the laptop’s engine is killed', () => {
  it.each([
    ['out', 'preparing'],
    ['out', 'copying'],
    ['out', 'flip'],
    ['out', 'postcopy'],
    ['out', 'settling'],
    ['home', 'preparing'],
    ['home', 'copying'],
    ['home', 'flip'],
    ['home', 'postcopy'],
    ['home', 'settling'],
  ] as const)('moving %s, at %s: the VM runs once and the journal tells what happened', async (direction, moment) => {
    await be(direction === 'out' ? 'home' : 'away');
    const id = await reach(direction, moment);
    await scene.laptop.kill();
    await scene.restartLaptop();
    const place = await expectWhole();
    const log = await scene.laptop.client.call('log.list', { limit: 50 });
    const entry = log.find((one) => one.kind === 'move' && one.move.id === id);
    expect(entry?.kind).toBe('move');
    if (entry?.kind === 'move') {
      const arrived = (direction === 'out') === (place === 'away');
      expect(entry.move.phase).toBe(arrived ? 'done' : 'failed');
      if (!arrived) expect(entry.move.failure).toMatch(/\w+ \w+/);
    }
  });
});

describe('the workstation’s engine is killed', () => {
  async function restart(): Promise<void> {
    await scene.workstation.kill();
    await scene.restartWorkstation();
  }

  it('while a VM is away: its connections go on', async () => {
    const { bed, observer } = scene;
    await be('away');
    // passt takes its bearings from the default route, and waits for one.
    const [ip, ...route] = bed.laptop.inNetwork('ip', 'route', 'replace', 'default', 'via', bed.workstation.address);
    await sh(ip, route);
    await bed.workstation.spawn('socat', ['TCP-LISTEN:7777,reuseaddr,fork', 'EXEC:cat']);
    await observer.command(`echo ${bed.workstation.address} 7777`);
    const echoed = async (): Promise<number> => (await observer.report()).echo_received;
    await expect.poll(echoed, { timeout: 60_000 }).toBeGreaterThan(0);
    await restart();
    const before = await echoed();
    await expect.poll(echoed, { timeout: 30_000 }).toBeGreaterThan(before + 20);
    expect(await observer.report()).toMatchObject({ echo_errors: 0, echo_connects: 1 });
    await observer.command('echo off');
    expect(await expectWhole()).toBe('away');
  });

  it.each(['home', 'out'] as const)('moving %s, in post-copy: the move is completed', async (direction) => {
    await be(direction === 'out' ? 'home' : 'away');
    const id = await reach(direction, 'postcopy');
    await restart();
    const move = await scene.laptop.client.call('move.wait', { id }, { timeoutMs: 90_000 });
    expect(move.failure).toBeUndefined();
    expect(move.phase).toBe('done');
    expect(await expectWhole()).toBe(direction === 'out' ? 'away' : 'home');
  });
});

describe('the link is cut', () => {
  it('in post-copy, and comes back: the move is completed', async () => {
    await be('away');
    const id = await reach('home', 'postcopy');
    await sleep(500);
    await scene.bed.linkDown();
    await sleep(8_000);
    // Nobody waits in silence.
    expect((await scene.laptop.status()).moves).toMatchObject([{ id, linkDown: true }]);
    await scene.bed.linkUp();
    const move = await scene.laptop.client.call('move.wait', { id }, { timeoutMs: 90_000 });
    expect(move.failure).toBeUndefined();
    expect(move.phase).toBe('done');
    expect(await expectWhole()).toBe('home');
  });
});
