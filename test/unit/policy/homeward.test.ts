import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sample } from '../../../shared/model/vm.ts';
import { afterMove, watch, watchAll } from '../../../shared/policy/activity.ts';
import { decide, decideAll, type HostCandidate, type PolicyInput } from '../../../shared/policy/index.ts';
import { learnedNever, learnedReaction, nothingLearned } from '../../../shared/policy/learned.ts';
import { withRun } from '../../../shared/policy/lifetimes.ts';
import { Calculation } from '../../../shared/policy/types.ts';
import { away, busy, diskBound, facts, gib, history, host, idle, input as mudasInput, now, vm } from './fixtures.ts';

const fastHost = host({ facts: facts({ name: 'big', cpuMhz: 6_000 }) });
const home = { facts: facts({ name: 'laptop', busyCores: 1.2 }) };

function input(over: Partial<PolicyInput> = {}) {
  return { ...mudasInput({ hosts: [fastHost], home, ...over }), policy: 'homeward' } as const;
}

function doing(...stretches: readonly (readonly [number, Partial<Sample>])[]) {
  return vm({ samples: history(...stretches) });
}

describe('homeward, at home', () => {
  it('moves long CPU work to a faster host, and says why', () => {
    const decision = decide(input({ vm: doing([60, idle], [300, busy]) }));
    expect(decision).toMatchObject({ action: 'offload', outcome: 'acted', hostName: 'big' });
    expect(decision.reason).toMatch(/busy for 5 min .* big would do that work 2 times as fast/);
    expect(decision.expectedGainS).toBeGreaterThan(30);
    expect(Calculation.parse(decision.calculation)).toMatchObject({ kind: 'cpu-bound', pace: expect.closeTo(2, 1) });
  });

  it.each([
    ['a short run', doing([60, idle], [12, busy]), /too early|worth it/],
    ['disk work', doing([60, idle], [300, { ...diskBound, diskRequestsPerSec: 500 }]), /its disk is here/],
    ['nothing', doing([300, idle]), /nothing to do/],
    ['nothing measured', vm({ samples: [] }), /not been measured/],
  ])('keeps %s', (_what, given, reason) => {
    const decision = decide(input({ vm: given }));
    expect(decision.action).toBe('stay');
    expect(decision.reason).toMatch(reason);
  });

  it('keeps long work where no host is faster, has room, or is allowed', () => {
    const long = doing([60, idle], [300, busy]);
    const never = learnedNever(nothingLearned(), fastHost.fingerprint, true);
    for (const over of [
      { hosts: [] },
      { hosts: [host()] },
      { hosts: [host({ facts: facts({ cpuMhz: 6_000, busyCores: 4 }) })] },
      { hosts: [{ ...fastHost, reachable: false }] },
      { learned: never },
    ]) {
      expect(decide(input({ vm: long, ...over })).action).toBe('stay');
    }
    const { reason } = decide(input({ vm: long, hosts: [host({ name: 'like' })] }));
    expect(reason).toMatch(/, but like would do that work no faster\.$/);
  });

  it('a host that is little faster serves long work where both were measured, not where only clocks are known', () => {
    const long = doing([60, idle], [600, busy]);
    const measured = { memcpyBytesPerSec: 5e9, diskWriteBytesPerSec: 5e8, takenAt: '2026-11-20T10:00:00.000Z' };
    const little = (over: Partial<HostCandidate> = {}) => [host({ facts: facts({ cpuMhz: 3_300 }), ...over })];
    expect(decide(input({ vm: long, hosts: little() }))).toMatchObject({ action: 'stay' });
    const hosts = little({ benchmark: { ...measured, cpuSingleOpsPerSec: 1_100, shownOpsPerSec: 1_000 } });
    const bothMeasured = { ...home, benchmark: { ...measured, cpuSingleOpsPerSec: 1_000 } };
    expect(decide(input({ vm: long, hosts, home: bothMeasured }))).toMatchObject({ action: 'offload' });
  });

  it('a history of long runs lets it go earlier; one of short runs keeps it', () => {
    const young = doing([60, idle], [15, busy]);
    const havingRun = (lengthS: number) => ({
      ...nothingLearned(),
      runs: Array.from({ length: 40 }).reduce<ReturnType<typeof nothingLearned>['runs']>(
        (known) => withRun(known, lengthS),
        nothingLearned().runs,
      ),
    });
    expect(decide(input({ vm: young, learned: havingRun(1_500) })).action).toBe('offload');
    expect(decide(input({ vm: young, learned: havingRun(25) })).action).toBe('stay');
  });

  it('asks for more after "not now", on battery, over a metered link, and near the time of leaving', () => {
    const usual = decide(input({ vm: doing([60, idle], [90, busy]) })).calculation?.neededS ?? 0;
    const asked = (over: Partial<PolicyInput>) =>
      decide(input({ vm: doing([60, idle], [90, busy]), ...over })).calculation;
    const notNow = learnedReaction(nothingLearned(), fastHost.fingerprint, 'not-now', now);
    expect(asked({ learned: notNow })?.neededS).toBeGreaterThan(usual);
    expect(asked({ surroundings: { onBattery: true } })?.neededS).toBeGreaterThan(usual);
    expect(asked({ surroundings: { metered: true } })?.neededS).toBeGreaterThan(usual);
    const late = decide(input({ vm: doing([60, idle], [300, busy]), surroundings: { leavesInS: 100 } }));
    expect(late).toMatchObject({ action: 'stay', reason: expect.stringContaining('before you usually leave') });
    const costly = input({ vm: doing([60, idle], [15, busy]), surroundings: { onBattery: true, metered: true } });
    expect(decide(costly).reason).toMatch(/worth it on battery and where data cost money\.$/);
  });

  it('suggests earlier than it acts', () => {
    const first = (level: 'suggest' | 'automatic') => {
      for (let ageS = 5; ageS < 600; ageS += 1) {
        const one = { ...doing([60, idle], [ageS, busy]), level };
        if (decide(input({ vm: one })).action === 'offload') return ageS;
      }
      return Number.POSITIVE_INFINITY;
    };
    expect(first('suggest')).toBeLessThan(first('automatic'));
    expect(first('automatic')).toBeLessThan(300);
  });
});

describe('homeward, away', () => {
  const since = new Date(now - 1_200_000).toISOString();
  const place = { ...away, since };
  const there = (...stretches: readonly (readonly [number, Partial<Sample>])[]) =>
    vm({ place, samples: history(...stretches) });

  it.each([
    ['after long idleness', there([590, idle]), {}, /come home/],
    [
      'for its disk',
      there([60, idle], [200, { ...diskBound, diskRequestsPerSec: 700, diskBytesPerSec: 7e6 }]),
      {},
      /waits for its disk/,
    ],
    [
      'before the user leaves',
      there([60, idle], [200, busy]),
      { surroundings: { leavesInS: 60 } },
      /leave in about 60 s/,
    ],
    ['when that is past', there([60, idle], [200, busy]), { surroundings: { leavesInS: -60 } }, /It is past the time/],
    [
      'for the host’s owner',
      there([60, idle]),
      { hosts: [host({ facts: facts({ busyCores: 4 }) })] },
      /others need big/,
    ],
  ])('comes home %s', (_what, given, over, reason) => {
    const decision = decide(input({ vm: given, ...over }));
    expect(decision.action).toBe('home');
    expect(decision.reason).toMatch(reason);
  });

  it('does not make room for others where only our own VMs keep the host busy', () => {
    const judged = (othersBusyCores: number) => {
      const full = host({ facts: facts({ busyCores: 4 }), othersBusyCores });
      return decide(input({ vm: there([570, busy], [30, idle]), hosts: [full] }));
    };
    expect(judged(4).reason).toMatch(/others need big/);
    expect(judged(0.2).reason).not.toMatch(/others need/);
  });

  it('does not turn back for the first seconds of a run', () => {
    const reading = { ...diskBound, diskRequestsPerSec: 700, diskBytesPerSec: 7e6 };
    expect(decide(input({ vm: there([60, idle], [8, reading]) })).action).toBe('stay');
  });

  it('does not take what it got at home for what it gets there, also without a cooldown', () => {
    const starved = { busyVcpus: 0.3, busiestVcpu: 0.3, waitingVcpus: 0.7 };
    const before = watchAll(history([60, idle], [200, starved]));
    if (before === undefined) throw new Error('Nothing was watched.');
    const arrived = afterMove(before, 'home');
    const asked = (activity: typeof arrived) =>
      decide(
        input({
          vm: vm({ place, activity, lastMoveEndedAt: now - 1_000 }),
          settings: { cooldownMs: 0, hysteresis: 0.1 },
        }),
      );
    expect(asked(arrived)).toMatchObject({ action: 'stay', reason: expect.stringMatching(/too short a time/) });
    const later = history([20, busy]).map((one) => ({ ...one, at: one.at + 20_000 }));
    const seen = later.reduce<typeof arrived>((activity, one) => watch(activity, one), arrived);
    expect(seen.run?.homeGranted).toBeCloseTo(0.3);
    expect(asked({ ...seen, at: now }).calculation?.pace, 'what it would get here again').toBeGreaterThan(3);
    expect(asked({ ...seen, at: now })).toMatchObject({
      action: 'stay',
      reason: expect.stringMatching(/is working at big/),
    });
  });

  it('stays while it works well there', () => {
    const busyThere = there([60, idle], [200, busy]);
    expect(decide(input({ vm: busyThere }))).toMatchObject({
      action: 'stay',
      reason: expect.stringMatching(/, 2 times as fast as it would here\.$/),
    });
    expect(decide(input({ vm: busyThere, hosts: [host()] }))).toMatchObject({
      action: 'stay',
      reason: expect.stringMatching(/disk\), as fast as it would here\.$/),
    });
  });
});

describe('homeward, whatever it is given', () => {
  const stretch = fc.tuple(fc.integer({ min: 1, max: 200 }), fc.constantFrom(busy, idle, diskBound));
  const anyInput = fc
    .record({
      stretches: fc.array(stretch, { maxLength: 8 }),
      isAway: fc.boolean(),
      sinceMoveMs: fc.option(fc.integer({ min: -10_000, max: 300_000 }), { nil: undefined }),
      movesRecent: fc.nat(20),
      busyCores: fc.double({ min: 0, max: 4, noNaN: true }),
      linkBytesPerSec: fc.constantFrom(0, 1, 1e6, 1e9),
      mhz: fc.constantFrom(0, 1_000, 9_000),
      leavesInS: fc.option(fc.integer({ min: -100, max: 10_000 }), { nil: undefined }),
    })
    .map(({ stretches, isAway, sinceMoveMs, movesRecent, busyCores, linkBytesPerSec, mhz, leavesInS }) =>
      input({
        hosts: [host({ linkBytesPerSec, facts: facts({ busyCores, cpuMhz: mhz }) })],
        surroundings: { leavesInS },
        vm: vm({
          samples: history(...stretches),
          movesRecent,
          ...(isAway ? { place: away } : {}),
          ...(sinceMoveMs === undefined ? {} : { lastMoveEndedAt: now - sinceMoveMs }),
        }),
      }),
    );

  it('gives one sentence, sound figures, the same to the same, and no move that makes no sense', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const decision = decide(given);
        expect(decision.reason).toMatch(/^\S.*\S\.$/);
        expect(decision.reason).not.toMatch(/NaN|Infinity|undefined/);
        if (decision.calculation !== undefined) expect(() => Calculation.parse(decision.calculation)).not.toThrow();
        expect(decide(structuredClone(given))).toEqual(decision);
        expect(decision.action).not.toBe(given.vm.place.kind === 'home' ? 'home' : 'offload');
      }),
      { numRuns: 400 },
    );
  });

  it('never moves a VM out within the cooldown', () => {
    fc.assert(
      fc.property(anyInput, (given) => {
        const { lastMoveEndedAt, place } = given.vm;
        fc.pre(
          place.kind === 'home' && lastMoveEndedAt !== undefined && now - lastMoveEndedAt < given.settings.cooldownMs,
        );
        expect(decide(given).action).toBe('stay');
      }),
    );
  });
});

describe('several VMs at once', () => {
  const long = (name: string, ageS: number) =>
    input({ vm: { ...doing([60, idle], [ageS, busy]), name, memoryBytes: gib } });

  it('the one that gains most goes first; the others wait, and say for whom', () => {
    const decisions = decideAll([long('small', 200), long('large', 400)], []);
    expect(decisions.map(({ action }) => action)).toEqual(['stay', 'offload']);
    expect(decisions[0]?.reason).toBe('small would gain by a move to big, but large goes first.');
  });

  it('nobody follows while one is on its way, and its room counts as taken', () => {
    const claims = [{ host: fastHost.fingerprint, vcpus: 1, memoryBytes: gib }];
    expect(decideAll([long('one', 300)], claims)[0]?.reason).toMatch(/another VM is on its way/);
    const full = [{ host: fastHost.fingerprint, vcpus: 4, memoryBytes: gib }];
    expect(decideAll([long('one', 300)], full)[0]?.reason).toMatch(/cores free/);
  });
});
