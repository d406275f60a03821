import { describe, expect, it } from 'vitest';
import { dueStep, planMove } from '../../../shared/plan/homecoming.ts';
import { type MoveFacts, pauseLeadMs } from '../../../shared/plan/ways.ts';
import { MiB } from '../samples.ts';

/** The second round of a move out over a steady link of 10 MiB/s; the guest writes a little, and it converges. */
function facts(over: Partial<MoveFacts> = {}, copying: Partial<MoveFacts['copying']> = {}): MoveFacts {
  return {
    direction: 'out',
    touchedBytes: 400 * MiB,
    dirtyBytesPerSec: MiB,
    linkBytesPerSec: 10 * MiB,
    linkTrendPerSec: 0,
    linkStableMs: 60_000,
    finishNowAsked: false,
    copying: { remainingBytes: 100 * MiB, round: 2, roundMs: 0, ...copying },
    ...over,
  };
}
const unbegun = (over: Partial<MoveFacts> = {}): MoveFacts => facts({ copying: undefined, ...over });
const due = (asked: MoveFacts) => dueStep(planMove(asked));
const writer = { dirtyBytesPerSec: 11 * MiB };
const unsteady = 'the link has not been steady for long enough to rest the VM on it';

it('a deadline long past over a link that is new gives a plan in numbers, and is due', () => {
  const late = facts({ direction: 'home', deadlineMs: -60_000, linkStableMs: 0 });
  expect(planMove(late)).toMatchObject({ mode: 'safe-end', confidence: 0 });
  expect(due(late)?.do).toBe('pause');
});

describe('the flip to post-copy', () => {
  it('waits while pre-copy converges', () => {
    expect(due(facts())).toBeUndefined();
    expect(planMove(facts())).toMatchObject({ mode: 'pre-copy', reason: 'pre-copy is converging', steps: [] });
  });

  it('never comes where post-copy is out of the question, whoever asks', () => {
    const plan = planMove(facts({ ...writer, postcopyObstacle: 'no userfaultfd', finishNowAsked: true }));
    expect(plan).toMatchObject({ mode: 'pre-copy', reason: 'no userfaultfd', steps: [] });
  });

  it('comes at once when the user asks, over any link and in any round', () => {
    const asked = facts({ finishNowAsked: true, linkStableMs: 0 }, { round: 1, roundMs: 300 });
    expect(due(asked)).toEqual({ atMs: 0, do: 'flip', reason: 'you asked to finish now' });
  });

  it('comes where the guest writes faster than the link carries, as soon as all of it has been sent once', () => {
    const halfRound = planMove(facts({ ...writer, workingSetBytes: 12 * MiB }, { round: 1, roundMs: 5_000 }));
    expect(halfRound).toMatchObject({ mode: 'post-copy', flipAfterRounds: 1 });
    expect(halfRound.steps[0]?.atMs).toBeGreaterThan(9_000);
    expect(due(facts({ ...writer, workingSetBytes: 100 * MiB }))?.reason).toBe(
      'the guest writes faster than the link carries',
    );
  });

  it('comes at once where the guest rewrites most of its memory', () => {
    const plan = planMove(unbegun({ dirtyBytesPerSec: 300 * MiB, workingSetBytes: 300 * MiB }));
    expect(plan).toMatchObject({
      flipAfterRounds: 0,
      reason: 'the guest rewrites so much of its memory that sending it twice would only cost time',
    });
    expect(
      due(
        facts(
          { dirtyBytesPerSec: 300 * MiB, workingSetBytes: 300 * MiB },
          { round: 1, roundMs: 250, remainingBytes: 390 * MiB },
        ),
      )?.do,
    ).toBe('flip');
  });

  it('is left out by a link that carries as much as the guest writes', () => {
    expect(planMove(unbegun({ dirtyBytesPerSec: 100 * MiB, linkBytesPerSec: 400 * MiB })).mode).toBe('pre-copy');
  });

  it('is left out where nothing was measured, until the rounds themselves show it', () => {
    expect(due(facts({ dirtyBytesPerSec: undefined }, { round: 1 }))).toBeUndefined();
    const patient = 'after 5 rounds there is still too much left to stop the guest for';
    expect(due(facts({}, { round: 5 }))).toBeUndefined();
    expect(due(facts({}, { round: 6 }))?.reason).toBe(patient);
    expect(due(facts({}, { round: 6, remainingBytes: 3 * MiB }))).toBeUndefined();
    expect(due(facts({}, { round: 11, remainingBytes: 3 * MiB }))?.reason).toBe(patient);
  });

  it('waits on the way out for a link that has been up for 10 s, and not on the way home, where the VM rests on it already', () => {
    expect(planMove(facts({ ...writer, linkStableMs: 9_999 }))).toMatchObject({ mode: 'pre-copy', reason: unsteady });
    expect(due(facts({ ...writer, linkStableMs: 10_000 }))?.do).toBe('flip');
    expect(due(facts({ ...writer, direction: 'home', linkStableMs: 0 }))?.do).toBe('flip');
  });
});

describe('a deadline', () => {
  const home = (over: Partial<MoveFacts> = {}) => unbegun({ direction: 'home', ...over });

  it('far enough away changes nothing but what comes should it be missed', () => {
    const plan = planMove(home({ deadlineMs: 120_000 }));
    expect(plan.mode).toBe('pre-copy');
    expect(plan.confidence).toBeGreaterThan(0.9);
    expect(plan.steps.map((step) => step.do)).toEqual(['flip', 'pause']);
    expect(plan.steps[1]?.atMs).toBe(120_000 - pauseLeadMs);
  });

  it('has the flip come earlier where pre-copy alone would be late', () => {
    const plan = planMove(home({ dirtyBytesPerSec: 4 * MiB, workingSetBytes: 200 * MiB, deadlineMs: 60_000 }));
    expect(plan).toMatchObject({ mode: 'post-copy', reason: 'pre-copy alone would not be over in time' });
  });

  it('that nothing can make ends safely, with the VM paused where it is', () => {
    const plan = planMove(home({ deadlineMs: 10_000 }));
    expect(plan).toMatchObject({ mode: 'safe-end', steps: [{ atMs: 10_000 - pauseLeadMs, do: 'pause' }] });
    expect(plan.totalMs).toBeUndefined();
    expect(plan.confidence).toBeLessThan(0.05);
  });

  it('that has come has the pause due, unless the rest is as good as there', () => {
    const late = { direction: 'home', deadlineMs: 2_000 } as const;
    expect(due(facts({ ...late, postcopyObstacle: 'no userfaultfd' }))?.do).toBe('pause');
    expect(due(facts(late, { remainingBytes: 5 * MiB }))).toBeUndefined();
  });
});

describe('shrinking the guest first', () => {
  const balloon = { targetBytes: 120 * MiB, freedBytes: 280 * MiB, bytesPerSec: 200 * MiB };

  it('pays where the link is slower than the guest gives', () => {
    const plan = planMove(unbegun({ direction: 'home', balloon }));
    expect(plan.balloon).toEqual({ targetBytes: 120 * MiB, waitMs: 800 });
    expect(plan.totalMs).toBeLessThan((planMove(unbegun({ direction: 'home' })).totalMs ?? 0) / 2);
  });

  it('is waited for where the flip comes at once, after which the guest can give no more', () => {
    const plan = planMove(unbegun({ direction: 'home', balloon, dirtyBytesPerSec: 300 * MiB }));
    expect(plan).toMatchObject({ flipAfterRounds: 0, balloon: { waitMs: 1_400 } });
  });

  it('is left out where copying is faster', () => {
    expect(planMove(unbegun({ direction: 'home', balloon, linkBytesPerSec: 2_000 * MiB })).balloon).toBeUndefined();
  });
});

describe('a guest that uses the link itself', () => {
  const busy = { direction: 'home', guestBytesPerSec: MiB } as const;

  it('keeps what it uses, and half as much again', () => {
    expect(planMove(unbegun(busy)).capBytesPerSec).toBeCloseTo(8.5 * MiB);
  });

  it('does not where somebody waits, where that would take too long, or on the way out', () => {
    expect(planMove(unbegun({ ...busy, deadlineMs: 120_000 })).capBytesPerSec).toBeUndefined();
    expect(planMove(unbegun({ ...busy, guestBytesPerSec: 4 * MiB })).capBytesPerSec).toBeUndefined();
    expect(planMove(unbegun({ ...busy, direction: 'out' })).capBytesPerSec).toBeUndefined();
    expect(planMove(unbegun({ ...busy, guestBytesPerSec: 0.1 * MiB })).capBytesPerSec).toBeUndefined();
  });
});
