import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { medianRestS } from '../../../shared/policy/gain.ts';
import { Lifetimes, noLifetimes, restOf, withRun } from '../../../shared/policy/lifetimes.ts';

const age = fc.double({ min: 0, max: 20_000, noNaN: true });

function knowing(runs: readonly number[], program?: string): Lifetimes {
  return runs.reduce((known, length) => withRun(known, length, program), noLifetimes());
}

describe('how long work goes on', () => {
  it('with nothing known: as long again as it has run (Harchol-Balter and Downey)', () => {
    for (const ageS of [10, 60, 600]) {
      const restS = medianRestS(restOf(undefined, ageS));
      expect(restS).toBeGreaterThan(ageS * 0.7);
      expect(restS).toBeLessThan(ageS * 1.4);
    }
  });

  it('with many runs of one length: until that length', () => {
    const known = knowing(new Array(30).fill(300), 'make');
    expect(medianRestS(restOf(known, 20, 'make')) + 20).toBeGreaterThan(240);
    expect(medianRestS(restOf(known, 20, 'make')) + 20).toBeLessThan(380);
  });

  it('a program’s own history outweighs that of the VM', () => {
    let known = knowing(new Array(30).fill(5), 'ls');
    for (let run = 0; run < 10; run += 1) known = withRun(known, 1_000, 'ffmpeg');
    expect(medianRestS(restOf(known, 3, 'ffmpeg'))).toBeGreaterThan(300);
    expect(medianRestS(restOf(known, 3, 'ls'))).toBeLessThan(10);
  });

  it('probabilities are such, and add up to one, whatever is known and however old the run', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 50_000, noNaN: true }), { maxLength: 40 }), age, (runs, ageS) => {
        const outcomes = restOf(knowing(runs), ageS);
        expect(outcomes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 6);
        for (const { restS, probability } of outcomes) {
          expect(probability).toBeGreaterThanOrEqual(-1e-9);
          expect(restS).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  it('names of programs are data, whatever they are called, and only so many are kept', () => {
    let known = noLifetimes();
    for (const name of ['constructor', '__proto__', 'toString']) known = withRun(known, 100, name);
    expect(restOf(known, 10, 'hasOwnProperty').length).toBeGreaterThan(0);
    for (let index = 0; index < 150; index += 1) known = withRun(known, 10, `program${index}`);
    expect(Object.keys(known.programs)).toHaveLength(100);
    expect(Lifetimes.parse(JSON.parse(JSON.stringify(known)))).toEqual(known);
  });
});
