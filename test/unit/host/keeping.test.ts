import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Keeping } from '../../../main/host/keeping.ts';
import { VisitBook } from '../../../main/host/visit-book.ts';
import type { VisitInfo } from '../../../shared/wire.ts';
import { tempFolder } from '../engine/temp-folder.ts';
import { visit, visitInfo } from '../link/bed.ts';

const laptop = 'ab'.repeat(32);
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const thisBoot = '11111111-2222-4333-8444-555555555555';
const nextBoot = '99999999-2222-4333-8444-555555555555';
const running: VisitInfo = visitInfo;

/** A host whose clocks a test sets. */
async function host(file?: string) {
  const clock = { time: Date.parse('2026-11-20T10:00:00Z'), boot: 5 * hourMs, now: () => 0, sinceBootMs: () => 0 };
  clock.now = () => clock.time;
  clock.sinceBootMs = () => clock.boot;
  const book = file ?? `${await tempFolder()}/visits.json`;
  const news: string[] = [];
  const faults: unknown[] = [];
  const open = () =>
    Keeping.open({
      file: book,
      clock,
      leaseMs: () => 7 * dayMs,
      onNews: (words) => news.push(words),
      onFault: (error) => faults.push(error),
    });
  const pass = (ms: number): void => {
    clock.time += ms;
    clock.boot += ms;
  };
  return { file: book, clock, news, faults, open, pass };
}

const sweep = (keeping: Keeping, connected: boolean) => keeping.sweep([{ id: visit, vmName: 'work', connected }]);

/** As the role does, every ten seconds; here every half minute. */
function sweepFor(keeping: Keeping, at: { pass: (ms: number) => void }, ms: number, connected = false): string[] {
  for (let passed = 0; passed < ms; passed += 30_000) {
    at.pass(30_000);
    const over = sweep(keeping, connected);
    if (over.length > 0) return over;
  }
  return [];
}

describe('a visitor whose laptop is silent', () => {
  it('is kept for the lease, with a word before it runs out, and the laptop is told why', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    expect(sweepFor(keeping, at, 6 * dayMs - hourMs)).toEqual([]);
    expect(at.news).toEqual([]);
    expect(keeping.told(running).silence).toBeDefined();
    expect(sweepFor(keeping, at, 2 * hourMs)).toEqual([]);
    expect(at.news).toEqual([expect.stringContaining("work's computer has not been heard from for 6 d")]);
    expect(sweepFor(keeping, at, dayMs)).toEqual([visit]);
    await keeping.decide(visit, 'lease');
    expect(keeping.untold(laptop)).toMatchObject([{ visit, state: 'gone', end: { why: 'lease' } }]);
    expect(at.news).toHaveLength(2);
  });

  it('starts anew each time its laptop is heard', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    for (let week = 0; week < 3; week += 1) {
      expect(sweepFor(keeping, at, 6.5 * dayMs)).toEqual([]);
      sweep(keeping, true);
      expect(keeping.told(running).silence).toBeUndefined();
    }
  });

  it('is not ended early by a clock that is set, nor late', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    at.clock.time += 365 * dayMs;
    expect(sweepFor(keeping, at, 6 * dayMs)).toEqual([]);
    at.clock.time -= 900 * dayMs;
    expect(sweepFor(keeping, at, 2 * dayMs)).toEqual([visit]);
  });

  it('has its time counted on over restarts of the engine, with ten minutes for the laptop to be heard', async () => {
    const at = await host();
    const first = await at.open();
    first.note(running, laptop, undefined);
    sweep(first, true);
    await first.written();
    at.pass(8 * dayMs);
    const next = await at.open();
    expect(sweepFor(next, at, 9 * 60_000)).toEqual([]);
    expect(sweepFor(next, at, 2 * 60_000)).toEqual([visit]);
  });

  it('is given the same ten minutes after this machine slept', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    at.pass(9 * dayMs);
    expect(sweep(keeping, false)).toEqual([]);
    expect(sweepFor(keeping, at, 11 * 60_000)).toEqual([visit]);
  });
});

describe('what is remembered of a visit', () => {
  const bookOf = (file: string, bootId: string) =>
    VisitBook.open({ file, bootId, clock: { now: Date.now, sinceBootMs: () => 1_000 }, onFault: () => undefined });

  it.each([
    [nextBoot, 'host-restarted'],
    [thisBoot, 'died'],
  ] as const)('that ended while no engine looked, with boot %s: %s', async (bootId, why) => {
    const file = `${await tempFolder()}/visits.json`;
    const before = await bookOf(file, thisBoot);
    before.arrived(running, laptop);
    await before.written();
    const after = await bookOf(file, bootId);
    expect(after.open()).toEqual([visit]);
    expect(after.foundEnded(visit)).toMatchObject({ vmName: 'work', end: { why } });
    expect(after.untold(laptop)).toMatchObject([{ state: 'gone', end: { why } }]);
    await after.written();
    expect((await bookOf(file, bootId)).endOf(visit)?.why).toBe(why);
  });

  it('is told to its own laptop alone, until that knows', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    keeping.note({ ...running, state: 'gone' }, laptop, 'shutdown');
    expect(keeping.untold('cd'.repeat(32))).toEqual([]);
    expect(keeping.untold(laptop)).toHaveLength(1);
    keeping.settle(visit, 'shutdown');
    expect(keeping.untold(laptop)).toEqual([]);
    expect(keeping.past()).toMatchObject([{ end: { why: 'shutdown' } }]);
    at.pass(dayMs + 1);
    expect(keeping.past()).toEqual([]);
  });

  it('is nothing where the VM went home', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    keeping.note({ ...running, state: 'gone' }, laptop, undefined);
    keeping.settle(visit, undefined);
    expect([keeping.untold(laptop), keeping.past(), at.news]).toEqual([[], [], []]);
  });

  it('is nothing where the VM went home and its laptop could not say so: not now, later, or to the next engine', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    keeping.note({ ...running, state: 'gone' }, laptop, undefined);
    await keeping.written();
    const next = await at.open();
    expect(next.compare(new Map())).toEqual([]);
    keeping.settle(visit, 'fenced');
    expect([next.untold(laptop), next.past(), keeping.past(), at.news]).toEqual([[], [], [], []]);
  });

  it('that the watch saw end stays so, whatever is noted of it afterwards', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    keeping.note({ ...running, state: 'gone' }, laptop, 'crashed');
    keeping.note({ ...running, state: 'gone' }, laptop, undefined);
    expect(keeping.past()).toMatchObject([{ end: { why: 'crashed' } }]);
    expect(keeping.untold(laptop), 'which its laptop does not know yet').toHaveLength(1);
  });

  it('of one whose home went on without it: the owner is told', async () => {
    const at = await host();
    const keeping = await at.open();
    keeping.note(running, laptop, undefined);
    keeping.settle(visit, 'fenced');
    expect(at.news).toEqual([expect.stringContaining('its own computer had taken the disk back')]);
    expect(keeping.untold(laptop)).toEqual([]);
  });

  it('and decided before a crash is carried out by the next engine', async () => {
    const at = await host();
    const first = await at.open();
    first.note(running, laptop, undefined);
    await first.decide(visit, 'lease');
    const next = await at.open();
    expect(next.compare(new Map([[visit, 'running']]))).toEqual([visit]);
  });

  it('in a file that cannot be read is begun anew, and that is said', async () => {
    const at = await host();
    await writeFile(at.file, '{"visits":[{}]}');
    const keeping = await at.open();
    expect(keeping.past()).toEqual([]);
    expect(at.faults).toMatchObject([{ code: 'damaged-file' }]);
  });
});
