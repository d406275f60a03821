import { expect, it } from 'vitest';
import type { Signal } from '../../../shared/model/signal.ts';
import { type AwaitedSleep, awaitedSleep } from '../../../shared/policy/awaited-sleep.ts';

const lid: Signal = { trigger: 'lid', priority: 'must', confidence: 1, sinceMs: 7, sentence: 'The lid is closed.' };

interface Look {
  readonly signals?: readonly Signal[];
  readonly isEnding?: boolean;
  readonly isLetGo?: boolean;
}

/** A look a second, from one second to another. */
function looks(before: AwaitedSleep | undefined, [fromS, toS]: readonly [number, number], look: Look = {}) {
  let awaited = before;
  for (let s = fromS; s <= toS; s += 1)
    awaited = awaitedSleep(awaited, { signals: [lid], isEnding: false, isLetGo: true, ...look, nowMs: s * 1_000 });
  return awaited;
}

it('a sleep that has not come 45 s after the closed lid was let go is missing', () => {
  expect(looks(undefined, [0, 44])?.isMissing).toBe(false);
  expect(looks(undefined, [0, 45])).toEqual({ lid: 'lid@7', sinceMs: 0, isMissing: true });
});

it('it is awaited from the moment that nothing of ours keeps it off', () => {
  const held = looks(undefined, [0, 300], { isLetGo: false });
  expect(held).toBeUndefined();
  expect(looks(held, [301, 345])?.isMissing).toBe(false);
});

it('a sleep that has begun has come; after waking up with the lid closed, the next is awaited anew', () => {
  const asleep = looks(looks(undefined, [0, 40]), [41, 43], { isEnding: true });
  expect(asleep).toBeUndefined();
  expect(looks(asleep, [44, 88])?.isMissing).toBe(false);
  expect(looks(asleep, [44, 89])?.isMissing).toBe(true);
});

it('it stays missing for as long as that lid is closed, whatever is held or paused meanwhile', () => {
  const missing = looks(undefined, [0, 45]);
  expect(looks(looks(missing, [46, 60], { isEnding: true, isLetGo: false }), [61, 70])?.isMissing).toBe(true);
  expect(looks(missing, [46, 47], { signals: [{ ...lid, sinceMs: 46_000 }] })?.isMissing).toBe(false);
  expect(looks(missing, [46, 46], { signals: [] })).toBeUndefined();
});
