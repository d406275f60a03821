import { expect, it } from 'vitest';
import { MoveRun } from '../../../main/migrate/index.ts';
import type { MoveData } from '../../../main/migrate/move-data.ts';
import type { Effects } from '../../../main/migrate/move-run.ts';
import type { MoveState } from '../../../shared/machine/move-machine.ts';
import { Move } from '../../../shared/model/move.ts';
import { move } from '../samples.ts';

function runIn(state: Partial<MoveState>, over: { startedAt?: string; postcopyObstacle?: string } = {}) {
  const { postcopyObstacle, ...begun } = over;
  const failed: string[] = [];
  const effects = { postcopyObstacle, settle: async () => undefined } as unknown as Effects;
  const data = {
    state: { phase: 'copying', direction: 'home', flipped: false, cancelAsked: false, looking: false, ...state },
  } as unknown as MoveData;
  const run = new MoveRun(move({ phase: 'copying', ...begun }), data, effects, {
    journal: async (written) => void Move.parse(written),
    changed: () => undefined,
    failed: (step) => failed.push(step),
  });
  return { run, failed };
}

it('a figure that could not be written down is left out, and the last one that could stays', () => {
  const { run, failed } = runIn({});
  const plan = { mode: 'pre-copy', confidence: 0.5, reason: 'so it is' } as const;
  run.note({ plan });
  run.note({ plan: { ...plan, confidence: Number.NaN } });
  run.note({ downtimeMs: -1 });
  expect(run.move.plan).toEqual(plan);
  expect(run.move).not.toHaveProperty('downtimeMs');
  expect(failed).toEqual(['figures', 'figures']);
});

it('"finish now" is refused, with the reason, where there is no post-copy', () => {
  const { run } = runIn({}, { postcopyObstacle: 'QEMU here may not use userfaultfd.' });
  expect(() => run.finishNow()).toThrow(
    expect.objectContaining({
      code: 'no-postcopy',
      message: 'work cannot change over early: QEMU here may not use userfaultfd.',
    }),
  );
  expect(run.finishNowAsked).toBe(false);
  const able = runIn({}).run;
  able.finishNow();
  expect(able.finishNowAsked).toBe(true);
});

it('the end of a move can be written down though the clock was set back after it began', async () => {
  const { run, failed } = runIn(
    { phase: 'settling', outcome: 'done' },
    { startedAt: new Date(Date.now() + 3_600_000).toISOString() },
  );
  run.post({ kind: 'settled' });
  const { phase, totalMs } = await run.ended;
  expect([phase, failed]).toEqual(['done', []]);
  expect(totalMs).toBeGreaterThanOrEqual(0);
});
