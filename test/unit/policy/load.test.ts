import { describe, expect, it } from 'vitest';
import { estimateMove } from '../../../shared/policy/estimate.ts';
import { classify } from '../../../shared/policy/index.ts';
import { isFalling, loadAverage } from '../../../shared/policy/load.ts';
import { busy, diskBound, gib, history, idle, now, sample } from './fixtures.ts';

describe('load average from outside', () => {
  it.each([
    [60, 0.632],
    [90, 0.777],
    [180, 0.95],
    [600, 1],
  ])('rises like the kernel’s one-minute average: %i s of one busy task', (lengthS, expected) => {
    expect(loadAverage(history([lengthS, busy]), 1, now).value).toBeCloseTo(expected, 2);
  });

  it('falls by e each minute once idle', () => {
    expect(loadAverage(history([600, busy], [60, {}]), 1, now).value).toBeCloseTo(Math.exp(-1), 2);
  });

  it('counts a task that waits for the disk', () => {
    expect(loadAverage(history([600, diskBound]), 1, now).value).toBeCloseTo(1, 2);
  });

  it('holds its value through a hole and begins anew after a minute of silence', () => {
    const early = history([600, busy]).map((one) => ({ ...one, at: one.at - 30_000 }));
    expect(loadAverage([...early, sample(now, busy)], 1, now).value).toBeCloseTo(1, 2);
    const ancient = early.map((one) => ({ ...one, at: one.at - 600_000 }));
    expect(loadAverage([...ancient, sample(now, busy)], 1, now).value).toBeCloseTo(0.08, 2);
  });

  it('calls four dips in a row a fall and three an error', () => {
    expect(isFalling([1, 0.9, 0.8, 0.7, 0.6])).toBe(true);
    expect(isFalling([0.5, 1, 0.9, 0.8, 0.7])).toBe(false);
    expect(isFalling([1, 0.9, 0.8, 0.7])).toBe(false);
    expect(isFalling([1, 0.999, 0.998, 0.997, 0.996])).toBe(false);
  });
});

describe('classify', () => {
  it.each([
    ['cpu-bound', busy],
    ['io-bound', diskBound],
    ['idle', idle],
    ['mixed', { busyVcpus: 0.5, busiestVcpu: 0.5, diskBusy: 0.5 }],
  ] as const)('%s', (workload, what) => {
    expect(classify(history([30, what]))).toBe(workload);
  });

  it('does not call a computing guest with a busy disk waiting', () => {
    expect(classify(history([30, { ...busy, diskBusy: 1 }]))).toBe('cpu-bound');
  });
});

describe('estimateMove', () => {
  it('follows equations 6.1 and 6.2', () => {
    const estimate = estimateMove({ memoryBytes: 4 * gib, usedMemoryBytes: gib, linkBytesPerSec: gib / 8 });
    expect(estimate).toEqual({ baseS: 34, syncS: 8, totalS: 76 });
  });

  it('survives a link measured as nothing', () => {
    expect(estimateMove({ memoryBytes: gib, usedMemoryBytes: gib, linkBytesPerSec: 0 }).totalS).toBeGreaterThan(60);
  });
});
