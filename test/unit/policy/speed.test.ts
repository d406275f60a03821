import { describe, expect, it } from 'vitest';
import { believed, hashesFor, isLookDue, lookedAt } from '../../../shared/policy/speed.ts';
import { facts } from './fixtures.ts';

const claimed = { cpuSingleOpsPerSec: 30_000, cpuMultiOpsPerSec: 200_000, memcpyBytesPerSec: 5e9 };

describe('a host’s word on its speed', () => {
  it('is taken as it is before it was looked at, and where it has shown about that', () => {
    expect(believed(claimed, undefined)).toEqual(claimed);
    const shown = lookedAt(lookedAt(undefined, 4_000), 21_000);
    expect(believed(claimed, shown)).toEqual({ ...claimed, shownOpsPerSec: 21_000 });
  });

  it('is cut down to what it has shown after two looks, all cores by the same share', () => {
    const once = lookedAt(undefined, 3_000);
    expect(believed(claimed, once).claimedOpsPerSec).toBeUndefined();
    expect(believed(claimed, lookedAt(once, 2_000))).toEqual({
      cpuSingleOpsPerSec: 3_000,
      cpuMultiOpsPerSec: 20_000,
      memcpyBytesPerSec: 5e9,
      shownOpsPerSec: 3_000,
      claimedOpsPerSec: 30_000,
    });
  });

  it('counts for nothing where it has twice refused to show it, until it does', () => {
    const twice = lookedAt(lookedAt());
    expect(believed(claimed, lookedAt())).toEqual(claimed);
    expect(believed(claimed, twice)).toEqual({ memcpyBytesPerSec: 5e9, claimedOpsPerSec: 30_000 });
    expect(believed({}, twice)).toEqual({});
    expect(believed(claimed, lookedAt(twice, 25_000))).toEqual({ ...claimed, shownOpsPerSec: 25_000 });
    expect(isLookDue(facts({ cores: 4, busyCores: 1 }), 30_000, twice, 31_000), 'it is asked again').toBe(true);
  });

  it('is not needed where it has shown some', () => {
    expect(believed({}, lookedAt(undefined, 3_000))).toEqual({ cpuSingleOpsPerSec: 3_000, shownOpsPerSec: 3_000 });
  });

  it('is looked at when it has a core to spare, again soon while it is open, and then each day', () => {
    const free = facts({ cores: 4, busyCores: 1 });
    const due = (sinceS: number | undefined, ...opsPerSec: number[]) =>
      isLookDue(
        free,
        30_000,
        opsPerSec.length === 0
          ? undefined
          : opsPerSec.map((ops) => lookedAt(undefined, ops)).reduce((a, b) => lookedAt(a, b.opsPerSec)),
        sinceS === undefined ? undefined : sinceS * 1_000,
      );
    expect(due(undefined)).toBe(true);
    expect(isLookDue(facts({ cores: 4, busyCores: 3.5 }), 30_000, undefined, undefined)).toBe(false);
    expect(due(29)).toBe(false);
    expect(due(31), 'it could not be asked').toBe(true);
    expect(due(31, 3_000)).toBe(true);
    expect(due(31, 25_000)).toBe(false);
    expect(due(31, 3_000, 2_000)).toBe(false);
    expect(due(25 * 3_600, 3_000, 2_000)).toBe(true);
  });

  it('costs a moment, however much is claimed', () => {
    expect(hashesFor(30_000, 50_000)).toBe(9_000);
    expect(hashesFor(undefined, 50_000)).toBe(1_500);
    expect(hashesFor(1e9, 50_000)).toBe(50_000);
    expect(hashesFor(0, 50_000)).toBe(100);
  });
});
