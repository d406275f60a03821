import { describe, expect, it } from 'vitest';
import type { Progress } from '../../../shared/model/move.ts';
import { decideFlip, type FlipQuestion } from '../../../shared/plan/flip.ts';

const MiB = 1024 * 1024;

/** The second round of a move out over a steady link of 10 MiB/s; the guest writes a little, and it converges. */
function question(
  over: Partial<Omit<FlipQuestion, 'progress'>> & { readonly progress?: Partial<Progress> } = {},
): FlipQuestion {
  const { progress, ...rest } = over;
  return {
    direction: 'out',
    askedByUser: false,
    usedBytes: 400 * MiB,
    linkBytesPerSec: 10 * MiB,
    linkStableMs: 60_000,
    ...rest,
    progress: {
      remainingBytes: 100 * MiB,
      transferredBytes: 0,
      totalBytes: 512 * MiB,
      rateBytesPerSec: 10 * MiB,
      dirtyBytesPerSec: MiB,
      iteration: 2,
      postcopyRequests: 0,
      ...progress,
    },
  };
}

const outrun = { dirtyBytesPerSec: 9 * MiB };
const converging = { action: 'wait', reason: 'pre-copy is converging' };
const outruns = { action: 'flip', reason: 'the guest writes faster than the link carries' };
const rewrites = {
  action: 'flip',
  reason: 'the guest rewrites so much of its memory that sending it twice would only cost time',
};
const unsteady = { action: 'wait', reason: 'the link has not been steady for long enough to rest the VM on it' };

describe('the flip to post-copy', () => {
  it('waits while pre-copy converges', () => expect(decideFlip(question())).toEqual(converging));

  it('never comes where post-copy is out of the question, whoever asks', () =>
    expect(decideFlip(question({ postcopyObstacle: 'no userfaultfd', askedByUser: true, progress: outrun }))).toEqual({
      action: 'wait',
      reason: 'no userfaultfd',
    }));

  it('comes at once when the user asks, over any link and in any round', () =>
    expect(decideFlip(question({ askedByUser: true, linkStableMs: 0, progress: { iteration: 0 } }))).toEqual({
      action: 'flip',
      reason: 'you asked to finish now',
    }));
});

describe('a link that was lost lately', () => {
  it('holds a move out until it has been up for 10 s', () => {
    expect(decideFlip(question({ linkStableMs: 9_999, progress: outrun }))).toEqual(unsteady);
    expect(decideFlip(question({ linkStableMs: 10_000, progress: outrun }))).toEqual(outruns);
  });

  it('does not hold a move home: the VM rests on that link already', () =>
    expect(decideFlip(question({ direction: 'home', linkStableMs: 0, progress: outrun }))).toEqual(outruns));
});

describe('a guest that writes faster than the link carries', () => {
  it('is one that writes more than four fifths of that', () => {
    expect(decideFlip(question({ progress: { dirtyBytesPerSec: 8 * MiB } }))).toEqual(converging);
    expect(decideFlip(question({ progress: { dirtyBytesPerSec: 8 * MiB + 1 } }))).toEqual(outruns);
  });

  it('is not flipped in the first round, whose end shows how much has to be sent again', () => {
    expect(decideFlip(question({ progress: { ...outrun, iteration: 1 } }))).toEqual({
      action: 'wait',
      reason: 'first round',
    });
    expect(decideFlip(question({ progress: { ...outrun, iteration: 2 } }))).toEqual(outruns);
  });

  it('is not flipped where the rest fits into the downtime allowed', () => {
    expect(decideFlip(question({ progress: { ...outrun, remainingBytes: 3 * MiB } }))).toEqual(converging);
    expect(decideFlip(question({ progress: { ...outrun, remainingBytes: 3 * MiB + 1024 } }))).toEqual(outruns);
  });

  it('has its rest judged by the measured link while no rate is known, and a rate of nothing never ends', () => {
    const rest = { ...outrun, rateBytesPerSec: 0, remainingBytes: 3 * MiB };
    expect(decideFlip(question({ progress: rest }))).toEqual(converging);
    expect(decideFlip(question({ linkBytesPerSec: 0, progress: rest }))).toEqual(outruns);
  });

  it('is judged by what was measured before the move until QEMU tells', () => {
    expect(decideFlip(question({ dirtyBytesPerSec: 9 * MiB, progress: { dirtyBytesPerSec: 0 } }))).toEqual(outruns);
    expect(decideFlip(question({ dirtyBytesPerSec: 9 * MiB }))).toEqual(converging);
    expect(decideFlip(question({ progress: { dirtyBytesPerSec: 0 } }))).toEqual(converging);
  });
});

describe('a guest that rewrites much of its memory', () => {
  const writer = { dirtyBytesPerSec: 100 * MiB + 1, progress: { iteration: 1, dirtyBytesPerSec: 0 } };

  it('is flipped in the first round from more than a quarter per second on', () => {
    expect(decideFlip(question(writer))).toEqual(rewrites);
    expect(decideFlip(question({ ...writer, dirtyBytesPerSec: 100 * MiB })).reason).toBe('first round');
  });

  it('is left to pre-copy by a link that carries as much', () =>
    expect(decideFlip(question({ ...writer, linkBytesPerSec: 200 * MiB })).reason).toBe('first round'));

  it('is left to pre-copy where it was not measured', () =>
    expect(decideFlip(question({ progress: { iteration: 1, dirtyBytesPerSec: 400 * MiB } })).reason).toBe(
      'first round',
    ));

  it('waits for a steady link on the way out all the same', () =>
    expect(decideFlip(question({ ...writer, linkStableMs: 0 }))).toEqual(unsteady));
});
