import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Activity, afterMove, kindOf, watch, watchAll } from '../../../shared/policy/activity.ts';
import { busy, diskBound, history, idle, now, sample } from './fixtures.ts';

describe('what a VM is doing', () => {
  it.each([
    ['nothing', history([120, idle]), 'idle'],
    ['computing', history([60, idle], [60, busy]), 'cpu-bound'],
    ['copying', history([60, idle], [60, diskBound]), 'io-bound'],
    ['both by turns', history([60, { busyVcpus: 0.5, busiestVcpu: 0.5, diskBusy: 0.5 }]), 'mixed'],
    ['rewriting its memory', history([60, { ...busy, dirtyBytesPerSec: 200e6 }]), 'memory-churning'],
    [
      'being typed at',
      history(
        ...Array.from(
          { length: 20 },
          () =>
            [
              [2, busy],
              [10, idle],
            ] as const,
        ).flat(),
      ),
      'interactive',
    ],
  ])('%s', (_what, samples, kind) => {
    const activity = watchAll(samples);
    expect(activity && kindOf(activity)).toBe(kind);
  });

  it('a run is as old as its first busy sample, and ends ten quiet seconds after its last', () => {
    expect(watchAll(history([60, idle], [30, busy]))?.run?.workS).toBeCloseTo(30, 0);
    expect(watchAll(history([60, idle], [30, busy], [8, idle]))?.run?.workS).toBeCloseTo(31, -1);
    const over = watchAll(history([60, idle], [30, busy], [14, idle]));
    expect(over?.run).toBeUndefined();
    expect(over?.restingSince).toBeGreaterThan(now - 15_000);
  });

  it('a pause between two compilers does not end a run', () => {
    const samples = history([30, idle], [20, busy], [6, idle], [20, busy]);
    expect(watchAll(samples)?.run?.workS).toBeCloseTo(46, -1);
  });

  it('no spike of up to two seconds makes a run', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 10, max: 60 }), (spike, before) => {
        expect(watchAll(history([before, idle], [spike, busy], [1, idle]))?.run).toBeUndefined();
      }),
    );
  });

  it('with one sample in four missing a run is as long, within three seconds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 20, max: 200 }), (phase, length) => {
        const samples = history([60, idle], [length, busy]);
        const thinned = samples.filter((_one, index) => index % 4 !== phase);
        expect(Math.abs((watchAll(thinned)?.run?.workS ?? 0) - length)).toBeLessThanOrEqual(3);
      }),
    );
  });

  it('whatever the samples, what comes out is sound, and older samples change nothing', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const any = fc.record({
      stepMs: fc.integer({ min: -5_000, max: 60_000 }),
      busyVcpus: share,
      diskBusy: share,
      waitingVcpus: share,
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 100 }), (steps) => {
        let at = now;
        let activity: Activity | undefined;
        for (const { stepMs, ...figures } of steps) {
          at += stepMs;
          const next = watch(activity, sample(at, { ...figures, busiestVcpu: figures.busyVcpus }));
          if (activity !== undefined && stepMs <= 0 && stepMs > -30_000) expect(next).toBe(activity);
          else activity = next;
          expect(() => Activity.parse(next)).not.toThrow();
        }
      }),
    );
  });

  it('an agent that lies cannot invent a wait for the disk', () => {
    const honest = watchAll(history([60, busy]));
    const lying = watchAll(history([60, { ...busy, guestIowait: 1, guestLoad1: 1e6 }]));
    expect(lying?.run?.diskShare).toBe(honest?.run?.diskShare);
  });

  it('the program of a run is the one most samples name', () => {
    const samples = history([60, busy]).map((one, index) => ({
      ...one,
      guestProgram: index % 3 === 0 ? 'kworker' : 'gcc',
    }));
    expect(watchAll(samples)?.run?.program).toBe('gcc');
  });

  it('a move keeps the work and measures its mix anew', () => {
    const before = watchAll(history([60, busy]));
    const after = before && watch(afterMove(before, 'home'), sample(now + 1_000, diskBound), 2);
    expect(after?.run?.workS).toBeCloseTo((before?.run?.workS ?? 0) + 2, 5);
    expect(after?.run?.diskShare).toBeCloseTo(0.9, 1);
  });
});
