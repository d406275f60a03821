import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leaseOf } from '../../../main/host/lease.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const week = { leaseMs: 7 * dayMs, heardAtMs: 0, listeningSinceMs: 0 };

describe('the lease of a visitor', () => {
  it.each<[string, number, { isSilent: boolean; runsOutSoon: boolean; isOver: boolean }]>([
    ['a moment between two networks is no silence', 30_000, { isSilent: false, runsOutSoon: false, isOver: false }],
    ['a night is, and no more', 8 * hourMs, { isSilent: true, runsOutSoon: false, isOver: false }],
    ['on the last day it is said', 6 * dayMs + 1, { isSilent: true, runsOutSoon: true, isOver: false }],
    ['then it is over', 7 * dayMs, { isSilent: true, runsOutSoon: true, isOver: true }],
  ])('%s', (_what, nowMs, expected) => {
    const { isSilent, runsOutSoon, leftMs } = leaseOf({ ...week, nowMs });
    expect({ isSilent, runsOutSoon, isOver: leftMs <= 0 }).toEqual(expected);
  });

  it('is not over at once where this machine itself was not there to hear', () => {
    const nowMs = 30 * dayMs;
    expect(leaseOf({ ...week, nowMs, listeningSinceMs: nowMs }).leftMs).toBe(10 * 60_000);
  });

  it('never ends a visit earlier than its owner said, whatever happened to the engine', () => {
    const ms = fc.integer({ min: 0, max: 400 * dayMs });
    fc.assert(
      fc.property(ms, ms, ms, fc.integer({ min: hourMs, max: 365 * dayMs }), (nowMs, heardAtMs, since, leaseMs) => {
        const { silentMs, leftMs } = leaseOf({ nowMs, heardAtMs, listeningSinceMs: since, leaseMs });
        if (leftMs <= 0) expect(silentMs).toBeGreaterThanOrEqual(leaseMs);
      }),
    );
  });
});
