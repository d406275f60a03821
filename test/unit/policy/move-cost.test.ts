import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Correction, corrected, predictMove } from '../../../shared/policy/move-cost.ts';
import { gib } from './fixtures.ts';

const question = { direction: 'out', usedMemoryBytes: gib, linkBytesPerSec: 100e6, dirtyBytesPerSec: 0 } as const;

describe('what a move takes', () => {
  it('is the memory over the link, and the handover', () => {
    expect(predictMove(question).lastsS).toBeCloseTo(10.74 + 2.5, 1);
    expect(predictMove({ ...question, direction: 'home' }).lastsS).toBeLessThan(predictMove(question).lastsS);
  });

  it('grows with memory, shrinks with the link, and is never endless', () => {
    const bytes = fc.integer({ min: 0, max: 64 * gib });
    fc.assert(
      fc.property(
        bytes,
        fc.integer({ min: 1, max: 2e9 }),
        bytes,
        (usedMemoryBytes, linkBytesPerSec, dirtyBytesPerSec) => {
          const asked = { direction: 'out', usedMemoryBytes, linkBytesPerSec, dirtyBytesPerSec } as const;
          const { lastsS, atMostS } = predictMove(asked);
          expect(Number.isFinite(lastsS)).toBe(true);
          expect(atMostS).toBeGreaterThan(lastsS);
          expect(predictMove({ ...asked, usedMemoryBytes: usedMemoryBytes + gib }).lastsS).toBeGreaterThanOrEqual(
            lastsS,
          );
          const atRest = { ...asked, dirtyBytesPerSec: 0 };
          const faster = { ...atRest, linkBytesPerSec: 2 * linkBytesPerSec };
          expect(predictMove(faster).lastsS).toBeLessThanOrEqual(predictMove(atRest).lastsS);
        },
      ),
    );
  });

  it('is corrected by what moves took: after five it is right within a tenth, whatever the true factor', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.3, max: 4, noNaN: true }), (factor) => {
        const actualS = predictMove(question).lastsS * factor;
        let correction: Correction | undefined;
        for (let move = 0; move < 5; move += 1) {
          correction = corrected(correction, predictMove({ ...question, correction }).lastsS, actualS);
        }
        expect(predictMove({ ...question, correction }).lastsS / actualS).toBeGreaterThan(0.9);
        expect(predictMove({ ...question, correction }).lastsS / actualS).toBeLessThan(1.1);
      }),
    );
  });

  it('one move that hung moves the estimate by no more than fivefold, and is forgotten', () => {
    let correction = corrected(undefined, 10, 10_000);
    expect(predictMove({ ...question, correction }).lastsS).toBeLessThan(5.01 * predictMove(question).lastsS);
    for (let move = 0; move < 12; move += 1)
      correction = corrected(correction, predictMove({ ...question, correction }).lastsS, 13);
    expect(predictMove({ ...question, correction }).lastsS).toBeLessThan(15);
  });
});
