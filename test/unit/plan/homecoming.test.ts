import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { dueStep, type MovePlan, planMove } from '../../../shared/plan/homecoming.ts';
import {
  costOf,
  holds,
  linkSpread,
  type MoveFacts,
  optionsOf,
  pauseLeadMs,
  setupMs,
} from '../../../shared/plan/ways.ts';
import { randomFrom } from '../../random.ts';
import { type Came, type Guest, simulate, type Way } from './exact-copy.ts';

const MiB = 1024 * 1024;
const cases = 2_000;

/** One move, as it really is. */
interface Case {
  readonly facts: MoveFacts;
  readonly guest: Guest;
  readonly seed: number;
}

/** Evenly between both; as integers, since doubles are drawn by their bits, most of them next to nothing. */
function between(min: number, max: number): fc.Arbitrary<number> {
  return fc.noBias(fc.integer({ min: 0, max: 10_000 })).map((step) => min + ((max - min) * step) / 10_000);
}
/** Each size as likely as ten times that. */
const anySize = (min: number, max: number) => between(Math.log(min), Math.log(max)).map(Math.exp);
const share = (percent: number) => fc.noBias(fc.integer({ min: 0, max: 99 })).map((drawn) => drawn < percent);

const aCase = fc
  .record({
    touchedBytes: anySize(128 * MiB, 8_192 * MiB),
    linkBytesPerSec: anySize(2 * MiB, 120 * MiB),
    reclaimableShare: between(0, 0.8),
    workingSetShare: between(0.005, 0.7),
    /** Against the link. */
    writes: fc.oneof(between(0, 0.3), between(0, 3)),
    anywhere: share(50),
    isBalloonTold: share(70),
    shrinkBytesPerSec: anySize(50 * MiB, 1_000 * MiB),
    trend: fc.oneof(fc.constant(0), between(-0.04, 0)),
    linkStableMs: anySize(1_000, 1_200_000),
    /** Against one pass over the memory. */
    deadline: fc.oneof(fc.constant(undefined), anySize(0.1, 5)),
    isPostcopyPossible: share(85),
    isWorkingSetSeen: share(50),
    seed: fc.noBias(fc.integer()),
  })
  .map((drawn): Case => {
    const pages = 400;
    const { touchedBytes, linkBytesPerSec, linkStableMs } = drawn;
    const pageBytes = touchedBytes / pages;
    const reclaimable = Math.floor(pages * drawn.reclaimableShare);
    const workingSet = Math.max(1, Math.floor((pages - reclaimable) * drawn.workingSetShare));
    const writesPerSec = (drawn.writes * linkBytesPerSec) / pageBytes;
    const distinct = drawn.anywhere
      ? workingSet * (1 - Math.exp(-writesPerSec / workingSet))
      : Math.min(workingSet, writesPerSec);
    const reclaimableBytes = reclaimable * pageBytes;
    return {
      guest: {
        pages,
        pageBytes,
        reclaimable,
        workingSet,
        writesPerMs: writesPerSec / 1_000,
        writes: drawn.anywhere ? 'anywhere' : 'one-after-another',
      },
      facts: {
        direction: 'home',
        touchedBytes,
        dirtyBytesPerSec: distinct * pageBytes,
        ...(drawn.isWorkingSetSeen ? { workingSetBytes: workingSet * pageBytes } : {}),
        linkBytesPerSec,
        linkTrendPerSec: drawn.trend,
        linkStableMs,
        finishNowAsked: false,
        ...(drawn.isBalloonTold && reclaimableBytes > 64 * MiB
          ? {
              balloon: {
                targetBytes: touchedBytes - reclaimableBytes,
                freedBytes: reclaimableBytes,
                bytesPerSec: drawn.shrinkBytesPerSec,
              },
            }
          : {}),
        ...(drawn.deadline === undefined
          ? {}
          : { deadlineMs: 5_000 + (drawn.deadline * touchedBytes * 1_000) / linkBytesPerSec }),
        ...(drawn.isPostcopyPossible ? {} : { postcopyObstacle: 'no userfaultfd' }),
      },
      seed: drawn.seed,
    };
  });

type Option = ReturnType<typeof optionsOf>[number];

/** The link falls as its trend says, for as long as that lasts, about as fast as was measured. */
function linkIn({ facts }: Case, factor: number, trendLastsMs: number): (ms: number) => number {
  const bytesPerMs = (facts.linkBytesPerSec * factor) / 1_000;
  return (ms) => bytesPerMs * Math.exp((facts.linkTrendPerSec * Math.min(ms, trendLastsMs)) / 1_000);
}

function run(one: Case, option: Option, link: (ms: number) => number): Came {
  const { touchedBytes, linkBytesPerSec } = one.facts;
  const patienceMs = 60_000 + (10 * touchedBytes * 1_000) / linkBytesPerSec;
  const way: Way = { ...option, setupMs };
  return simulate(one.guest, way, link, one.seed, patienceMs);
}

/** The way that a plan takes, of those there are. */
function optionOf({ facts }: Case, plan: MovePlan): Option | undefined {
  return optionsOf(facts).find((option) => {
    if (option.shrinking?.headStartMs !== plan.balloon?.waitMs) return false;
    return plan.mode !== 'safe-end' && option.flipAfterRounds === plan.flipAfterRounds;
  });
}

function isInTime({ facts }: Case, option: Option, came: Came, slack = 1): boolean {
  const deadlineMs = facts.deadlineMs ?? Number.POSITIVE_INFINITY;
  return came.totalMs <= slack * (option.flipAfterRounds === undefined ? deadlineMs - pauseLeadMs : deadlineMs);
}

interface Judged {
  readonly one: Case;
  readonly plan: MovePlan;
  readonly chosen: Option | undefined;
  readonly came: Came | undefined;
  readonly all: readonly { readonly option: Option; readonly came: Came }[];
}

const judged: Judged[] = [];

beforeAll(() => {
  for (const one of fc.sample(aCase, { numRuns: cases, seed: 4 })) {
    const link = linkIn(one, 1, 30_000);
    const plan = planMove(one.facts);
    const chosen = optionOf(one, plan);
    const all = optionsOf(one.facts).map((option) => ({ option, came: run(one, option, link) }));
    judged.push({ one, plan, chosen, came: all.find(({ option }) => same(option, chosen))?.came, all });
  }
}, 60_000);

function same(one: Option, other: Option | undefined): boolean {
  return (
    other !== undefined &&
    one.flipAfterRounds === other.flipAfterRounds &&
    one.shrinking?.headStartMs === other.shrinking?.headStartMs
  );
}

/** The share'th smallest. */
function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
}

const hasDeadline = ({ one }: Judged): boolean => one.facts.deadlineMs !== undefined;
const couldHaveMadeIt = ({ one, all }: Judged): boolean =>
  all.some(({ option, came }) => isInTime(one, option, came, 0.85));

describe('the plan of a move, against every way there is, page by page', () => {
  it('without a deadline, costs what the best of them costs, or little more', () => {
    const times = judged
      .filter((each) => !hasDeadline(each))
      .flatMap(({ one, came, all }) => {
        const least = Math.min(...all.map((way) => costOf(way.came, one.facts.linkStableMs)));
        return came === undefined || !Number.isFinite(least) ? [] : [costOf(came, one.facts.linkStableMs) / least];
      });
    expect(times.length).toBeGreaterThan(cases / 3);
    expect(quantile(times, 0.5)).toBeLessThan(1.01);
    expect(quantile(times, 0.9)).toBeLessThan(1.3);
    expect(quantile(times, 0.98)).toBeLessThan(2.1);
  });

  it('with one, is home in time wherever some way would have been with a little to spare', () => {
    const judgedWith = judged.filter(hasDeadline);
    const missed = judgedWith.filter(
      ({ one, plan, chosen, came }) =>
        plan.mode !== 'safe-end' && !(chosen !== undefined && came !== undefined && isInTime(one, chosen, came)),
    );
    expect(judgedWith.length).toBeGreaterThan(cases / 3);
    expect(missed.filter(couldHaveMadeIt).length / judgedWith.length).toBeLessThan(0.01);
  });

  it('gives up only where no way makes it', () => {
    const safe = judged.filter(({ plan }) => plan.mode === 'safe-end');
    expect(safe.length).toBeGreaterThan(100);
    expect(safe.filter(couldHaveMadeIt).length / safe.length).toBeLessThan(0.015);
  });

  it('says beforehand how long it takes', () => {
    const errors = (seen: boolean): number[] =>
      judged.flatMap(({ one, plan, came }) =>
        came === undefined ||
        plan.totalMs === undefined ||
        !Number.isFinite(came.totalMs) ||
        (one.facts.workingSetBytes !== undefined) !== seen
          ? []
          : [Math.abs(plan.totalMs / came.totalMs - 1)],
      );
    expect(quantile(errors(true), 0.5)).toBeLessThan(0.02);
    expect(quantile(errors(true), 0.95)).toBeLessThan(0.15);
    expect(quantile(errors(false), 0.5)).toBeLessThan(0.05);
    expect(quantile(errors(false), 0.9)).toBeLessThan(0.4);
  });

  it('is home as often as it says it will be, over links that are not what was measured, fall for longer or break', () => {
    const outcomes = fc.sample(aCase, { numRuns: cases, seed: 5 }).flatMap((one, index) => {
      const plan = one.facts.deadlineMs === undefined ? undefined : planMove(one.facts);
      const chosen = plan === undefined ? undefined : optionOf(one, plan);
      if (plan === undefined || chosen === undefined) return [];
      const next = randomFrom(index);
      const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
      const came = run(one, chosen, linkIn(one, Math.exp(linkSpread * normal), 10_000 + 20_000 * next()));
      const made = isInTime(one, chosen, came) && next() < holds(one.facts.linkStableMs, came.totalMs);
      return [{ confidence: plan.confidence, made }];
    });
    for (const least of [0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95]) {
      const sure = outcomes.filter(({ confidence }) => confidence >= least);
      expect(sure.length).toBeGreaterThan(100);
      expect(sure.filter(({ made }) => made).length / sure.length).toBeGreaterThanOrEqual(least);
    }
    // Nor is it so careful that its word says nothing.
    const doubtful = outcomes.filter(({ confidence }) => confidence < 0.5);
    expect(doubtful.filter(({ made }) => made).length / doubtful.length).toBeLessThan(0.7);
  });
});

/** A move as it is carried out: planned again at each look, with what is seen then. */
function carriedOut(one: Case, link: (ms: number) => number): Came {
  const { facts, guest } = one;
  const plan = planMove(facts);
  const shrinking = optionOf(one, plan)?.shrinking;
  const passMs = (facts.touchedBytes / facts.linkBytesPerSec) * 1_000;
  let workingSetBytes = facts.workingSetBytes;
  return simulate(guest, { setupMs, shrinking }, link, one.seed, 60_000 + 20 * passMs, {
    everyMs: Math.max(250, passMs / 50),
    look: ({ atMs, remaining, round, roundMs, listed }) => {
      if (round > 1) workingSetBytes ??= listed * guest.pageBytes;
      const copying = { remainingBytes: remaining * guest.pageBytes, round, roundMs };
      const { deadlineMs, balloon: _, ...still } = facts;
      const left = deadlineMs === undefined ? {} : { deadlineMs: deadlineMs - atMs };
      return dueStep(planMove({ ...still, ...left, copying, workingSetBytes }))?.do;
    },
  });
}

describe('a plan as it is carried out, made anew at each look', () => {
  it('comes to an end though pre-copy does not converge, and costs little more than the best way', () => {
    const writers = judged
      .filter((each) => !hasDeadline(each) && each.one.facts.postcopyObstacle === undefined)
      .slice(0, 250);
    const times = writers.map(({ one, all }) => {
      const least = Math.min(...all.map((way) => costOf(way.came, one.facts.linkStableMs)));
      return costOf(carriedOut(one, linkIn(one, 1, 30_000)), one.facts.linkStableMs) / least;
    });
    expect(quantile(times, 0.5)).toBeLessThan(1.05);
    expect(quantile(times, 0.9)).toBeLessThan(1.5);
    expect(quantile(times, 0.98)).toBeLessThan(2.5);
    expect(quantile(times, 1)).toBeLessThan(10);
  });

  it('is in time, or called off in time to pause the guest: never half-way without a good chance', () => {
    const pressed = judged
      .filter(({ one, plan }) => one.facts.deadlineMs !== undefined && plan.mode !== 'safe-end')
      .slice(0, 120);
    const came = pressed.map(({ one }) => ({ one, came: carriedOut(one, linkIn(one, 1, 30_000)) }));
    const late = came.filter(
      ({ one, came: { totalMs, postcopyMs } }) => postcopyMs > 0 && totalMs > (one.facts.deadlineMs ?? 0),
    );
    expect(late.length / came.length).toBeLessThan(0.03);
    expect(came.filter(({ came: { totalMs } }) => Number.isFinite(totalMs)).length / came.length).toBeGreaterThan(0.85);
  });
});
