import { expect, it } from 'vitest';
import { shrinkTargetBytes, usedBytes } from '../../../shared/plan/balloon.ts';
import { MiB } from '../samples.ts';

const guest = { currentBytes: 1024 * MiB, availableBytes: 980 * MiB, usableBytes: 620 * MiB, unusedBytes: 40 * MiB };

it('page cache is given up like free memory: what is in use stays, and a margin', () => {
  expect(shrinkTargetBytes(guest)).toBe((404 + 32) * MiB);
  expect(shrinkTargetBytes({ ...guest, unusedBytes: 600 * MiB })).toBe((404 + 32) * MiB);
});

it('a guest that uses much keeps a twentieth of that', () => {
  expect(
    shrinkTargetBytes({ ...guest, currentBytes: 4096 * MiB, availableBytes: 4000 * MiB, usableBytes: 2096 * MiB }),
  ).toBe(2100 * MiB);
});

it('where less than 32 MiB would be gained, nothing is done', () => {
  expect(shrinkTargetBytes({ ...guest, usableBytes: 70 * MiB })).toBeUndefined();
});

it('a guest that is silent, or says what cannot be, counts as using all', () => {
  for (const lie of [{ usableBytes: undefined, unusedBytes: undefined }, { usableBytes: 981 * MiB }]) {
    expect(usedBytes({ ...guest, ...lie })).toBe(1024 * MiB);
    expect(shrinkTargetBytes({ ...guest, ...lie })).toBeUndefined();
  }
});

it('a report older than the balloon’s size says nothing: more usable than there is', () => {
  expect(shrinkTargetBytes({ ...guest, currentBytes: 500 * MiB })).toBeUndefined();
});
