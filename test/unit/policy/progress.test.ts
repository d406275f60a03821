import { describe, expect, it } from 'vitest';
import { watch } from '../../../shared/policy/activity.ts';
import { medianRestS } from '../../../shared/policy/gain.ts';
import { decide } from '../../../shared/policy/index.ts';
import { restOf } from '../../../shared/policy/lifetimes.ts';
import { foretold, foretoldRestS } from '../../../shared/policy/progress.ts';
import { busy, facts, history, host, idle, input, vm } from './fixtures.ts';

/** A minute of rest, then so many seconds of work that reads its input so fast, told every ten seconds. */
function reading(seconds: number, sharePerS: number, from = 0) {
  const samples = history([60, idle], [seconds, { ...busy, guestProgram: 'ffmpeg' }]);
  return samples.map((sample, index) => {
    const workedS = Math.floor((index - 60) / 10) * 10;
    return workedS < 10 ? sample : { ...sample, guestProgress: Math.min(1, from + workedS * sharePerS) };
  });
}

function runOf(samples: ReturnType<typeof reading>) {
  let activity: ReturnType<typeof watch> | undefined;
  for (const one of samples) activity = watch(activity, one);
  if (activity?.run === undefined) throw new Error('There is no run.');
  return activity.run;
}

describe('what a program shows by reading its input', () => {
  it('foretells the rest of its work', () => {
    expect(foretoldRestS(runOf(reading(100, 1 / 400)))).toBeGreaterThan(270);
    expect(foretoldRestS(runOf(reading(100, 1 / 400)))).toBeLessThan(330);
    expect(foretoldRestS(runOf(reading(100, 1 / 125, 0.2)))).toBeLessThan(20);
  });

  it('is nothing before it has read on for a while, or where it reads nothing', () => {
    expect(foretoldRestS(runOf(reading(18, 1 / 400)))).toBeUndefined();
    expect(foretoldRestS(runOf(reading(100, 0, 0.5)))).toBeUndefined();
    expect(foretoldRestS(runOf(history([60, idle], [100, busy])))).toBeUndefined();
  });

  it('begins anew with another input', () => {
    const first = reading(100, 1 / 120);
    const again = first.map((sample, index) =>
      index < 130 ? sample : { ...sample, guestProgress: (index - 130) / 600 },
    );
    const { progress } = runOf(again);
    expect(progress?.firstShare).toBe(0);
    expect(progress?.share).toBeLessThan(0.06);
  });

  it('is nothing any more once that program has ended, and another goes on', () => {
    const rest = history([110, { ...busy, guestProgram: 'cc1' }]);
    const followed = (seconds: number) => [
      ...reading(100, 1 / 105).map((sample) => ({ ...sample, at: sample.at - seconds * 1_000 })),
      ...rest.slice(-seconds),
    ];
    expect(foretoldRestS(runOf(followed(10)))).toBeDefined();
    expect(foretoldRestS(runOf(followed(60)))).toBeUndefined();
  });

  it('begins anew with another program, also where that has read more of its input', () => {
    const both = reading(100, 1 / 400).map((sample, index) =>
      index < 130 ? sample : { ...sample, guestProgram: 'tar', guestProgress: 0.5 + (index - 130) / 600 },
    );
    expect(runOf(both).progress).toMatchObject({ program: 'tar', firstShare: 0.5 });
  });

  it('outweighs what is known of other runs, and leaves them a word', () => {
    const outcomes = foretold(restOf(undefined, 100), 20);
    expect(outcomes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1);
    expect(medianRestS(outcomes)).toBe(20);
    expect(outcomes.some(({ restS, probability }) => restS > 1_000 && probability > 0)).toBe(true);
    expect(outcomes.map(({ restS }) => restS)).toEqual(outcomes.map(({ restS }) => restS).toSorted((a, b) => a - b));
  });

  it('keeps a VM at home whose work is about to end, and sends one that has most of it before it; and says so', () => {
    const asked = (samples: ReturnType<typeof reading>) =>
      decide({
        ...input({ vm: vm({ samples }), hosts: [host({ facts: facts({ cpuMhz: 6_000 }), linkBytesPerSec: 20e6 })] }),
        policy: 'homeward',
      });
    const ending = asked(reading(100, 1 / 125, 0.2));
    expect(ending.action).toBe('stay');
    expect(ending.calculation?.inputRead).toBeGreaterThan(0.8);
    expect(asked(reading(60, 1 / 2_000)).action).toBe('offload');
  });
});
