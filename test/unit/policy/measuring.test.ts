import { describe, expect, it } from 'vitest';
import { areScoresDue, isIdle, isLinkDue } from '../../../shared/policy/measuring.ts';
import { paceAway } from '../../../shared/policy/pace.ts';
import { facts, host } from './fixtures.ts';

const hourMs = 3_600_000;
const weekMs = 7 * 24 * hourMs;

describe('a machine measures itself', () => {
  it.each([
    [0, 4, true],
    [0.4, 4, true],
    [0.5, 4, false],
    [4, 4, false],
    [0.3, 2, false],
  ])('with %d of %d cores busy: %s', (busyCores, cores, idle) => {
    expect(isIdle({ busyCores, cores })).toBe(idle);
  });

  it('the first time, after a week, and where the clock was set', () => {
    expect(areScoresDue(undefined, 0)).toBe(true);
    expect(areScoresDue(1, weekMs)).toBe(false);
    expect(areScoresDue(0, weekMs + 1)).toBe(true);
    expect(areScoresDue(2 * weekMs, 0)).toBe(true);
  });
});

describe('a link is measured', () => {
  it('at once, and then once an hour while it rests', () => {
    expect(isLinkDue(undefined, undefined)).toBe(true);
    expect(isLinkDue(undefined, 1e9)).toBe(true);
    expect(isLinkDue(hourMs, 0)).toBe(false);
    expect(isLinkDue(hourMs + 1, 0)).toBe(true);
    expect(isLinkDue(hourMs + 1, 1e6)).toBe(false);
    expect(isLinkDue(hourMs + 1, undefined)).toBe(false);
  });
});

describe('how fast work goes away, by what machines measured', () => {
  const work = { cpuShare: 1, diskShare: 0, threads: 4, granted: 1, waitedRequestsPerSec: 0, waitedBytesPerSec: 0 };
  const home = {
    facts: facts({ cores: 4, busyCores: 0 }),
    benchmark: { cpuSingleOpsPerSec: 100, cpuMultiOpsPerSec: 200 },
  };
  const there = (cpuMultiOpsPerSec?: number) =>
    host({
      facts: facts({ name: 'big', cores: 4, busyCores: 0 }),
      benchmark: { cpuSingleOpsPerSec: 100, ...(cpuMultiOpsPerSec === undefined ? {} : { cpuMultiOpsPerSec }) },
    });
  const cpuPace = (threads: number, multi?: number) =>
    paceAway({ ...work, threads }, 4, home, there(multi), 'home').cpuPace;

  it('one thread by the score of one core, as many as there are cores by that of all', () => {
    expect(cpuPace(1, 400)).toBeCloseTo(1);
    expect(cpuPace(4, 400)).toBeCloseTo(2);
    expect(cpuPace(2, 400)).toBeGreaterThan(1.1);
    expect(cpuPace(2, 400)).toBeLessThan(1.5);
  });

  it('by nominal clocks where one of them has not measured itself', () => {
    const fast = host({ facts: facts({ cores: 4, busyCores: 0, cpuMhz: 6_000 }), benchmark: {} });
    expect(paceAway({ ...work, threads: 1 }, 4, home, fast, 'home').cpuPace).toBeCloseTo(6_000 / home.facts.cpuMhz);
  });
});
