import { expect, it, onTestFinished, vi } from 'vitest';
import { MoveEffects, type MoveEffectsOptions, MoveRun } from '../../../main/migrate/index.ts';
import type { MoveData } from '../../../main/migrate/move-data.ts';
import type { Move } from '../../../shared/model/move.ts';
import { MiB, move, vmUuid } from '../samples.ts';

const nowAt = '2026-11-27T10:00:00.000Z';
const later = (ms: number): string => new Date(Date.parse(nowAt) + ms).toISOString();

/** A VM on its way home, whose own disk and network use a tenth of the link. */
function comingHome({ deadlineMs }: { deadlineMs?: number } = {}) {
  const speeds: number[] = [];
  const script = { refuses: false };
  const source = {
    onEvent: () => () => undefined,
    memoryStats: async () => ({ actualBytes: 1_024 * MiB, lastUpdateS: 1 }),
    startDirtyRateCalc: () => Promise.reject(new Error('not asked here')),
    jobStats: async () => ({
      memory: { bytesPerSec: 1, remainingBytes: 600 * MiB, processedBytes: 0, totalBytes: 1_024 * MiB, iteration: 1 },
    }),
    setMigrateMaxSpeed: async (_uuid: string, mebibytesPerSec: number) => {
      speeds.push(mebibytesPerSec);
      if (script.refuses) throw new Error('no job yet');
    },
  };
  const called = Promise.withResolvers<{ bandwidthMiBps?: number }>();
  const over = Promise.withResolvers<void>();
  const effects = new MoveEffects({
    direction: 'home',
    deadlineMs,
    guestBytesPerSec: 0.5 * MiB,
    linkStableMs: () => 600_000,
    mayShrink: () => false,
    vm: { uuid: vmUuid, connection: { ...source, jobStats: async () => ({}) }, disk: { allow: async () => undefined } },
    link: {
      state: 'up',
      traffic: () => [],
      call: async () => ({ visits: [] }),
      openStream: () => Promise.reject(new Error('no')),
    },
    visitLink: {
      visit: 'a'.repeat(32),
      connection: async () => source,
      prepareMigration: async () => undefined,
      endMigration: async () => undefined,
      migrate: async (_name: string, _direction: string, request: { bandwidthMiBps?: number }) => {
        called.resolve(request);
        await over.promise;
      },
    },
  } as unknown as MoveEffectsOptions);
  const changes: Move[] = [];
  const state = { phase: 'copying', direction: 'home', flipped: false, cancelAsked: false, looking: false };
  const begun = move({
    direction: 'home',
    phase: 'copying',
    ...(deadlineMs === undefined ? {} : { deadlineAt: later(deadlineMs) }),
  });
  const run = new MoveRun(begun, { state, record: { homeXml } } as unknown as MoveData, effects, {
    journal: async () => undefined,
    changed: (changed) => changes.push(changed),
    failed: () => undefined,
  });
  return { run, effects, changes, speeds, script, called: called.promise, over };
}

const homeXml = "<domain type='kvm'><name>work</name><memory unit='MiB'>1024</memory></domain>";

/** With a clock that stands still. */
function atRest(given: { deadlineMs?: number } = {}): ReturnType<typeof comingHome> {
  vi.useFakeTimers({ now: Date.parse(nowAt), toFake: ['Date', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  return comingHome(given);
}

it('shows the deadline of now; a look at the clock that differs by less than a second is no news', () => {
  const { run, changes } = atRest();
  expect(run.hurry({ deadlineMs: 300_000, pausesWhenLate: true })).toBe(true);
  expect(run.move.deadlineAt).toBe(later(300_000));
  run.hurry({ deadlineMs: 300_400, pausesWhenLate: true });
  expect(changes).toHaveLength(1);
  run.hurry({ deadlineMs: 550_000, pausesWhenLate: true });
  expect(run.move.deadlineAt).toBe(later(550_000));
  expect(run.hurry(undefined)).toBe(false);
  expect(run.move).not.toHaveProperty('deadlineAt');
  run.hurry(undefined);
  expect(changes).toHaveLength(3);
});

it('keeps the deadline that a person asked for, unless the signals have an earlier one', () => {
  const { run } = atRest({ deadlineMs: 60_000 });
  run.hurry(undefined);
  expect(run.move.deadlineAt).toBe(later(60_000));
  expect(run.hurry({ deadlineMs: 300_000, pausesWhenLate: true })).toBe(false);
  expect(run.move.deadlineAt).toBe(later(60_000));
  run.hurry({ deadlineMs: 20_000, pausesWhenLate: true });
  expect(run.move.deadlineAt).toBe(later(20_000));
  run.hurry(undefined);
  expect(run.move.deadlineAt).toBe(later(60_000));
});

it('leaves the guest its share of the link until somebody waits, and lifts the cap of the copy under way then', async () => {
  const { run, effects, speeds, script, called, over } = comingHome();
  await effects.prepare(run);
  const migrating = effects.migrate(run, false);
  expect((await called).bandwidthMiBps).toBe(4);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(speeds).toEqual([]);
  script.refuses = true;
  run.hurry({ deadlineMs: 300_000, pausesWhenLate: true });
  await vi.waitFor(() => expect(speeds).toHaveLength(1));
  script.refuses = false;
  await vi.waitFor(() => expect(speeds).toHaveLength(2));
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(speeds).toEqual([1_048_576, 1_048_576]);
  over.resolve();
  await migrating;
});

it('asks for no cap where somebody has come to wait since the plan was made', async () => {
  const { run, effects, called, over } = comingHome();
  await effects.prepare(run);
  run.hurry({ deadlineMs: 300_000, pausesWhenLate: true });
  const migrating = effects.migrate(run, false);
  expect(await called).not.toHaveProperty('bandwidthMiBps');
  over.resolve();
  await migrating;
});
