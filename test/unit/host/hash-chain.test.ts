import { hash } from 'node:crypto';
import { expect, it } from 'vitest';
import { hashChain, oneHashChain } from '../../../main/host/hash-chain.ts';

const seed = 'ab'.repeat(32);

it('a chain of hashes is over 64 KiB each that begin with the hash before', async () => {
  const block = Buffer.alloc(64 * 1024, 7);
  Buffer.from(seed, 'hex').copy(block);
  hash('sha256', block, 'buffer').copy(block);
  expect(await hashChain({ seed, hashes: 2 })).toBe(hash('sha256', block));
});

it('is made for one at a time', async () => {
  const answer = oneHashChain();
  const first = answer({ seed, hashes: 1_000 });
  await expect(answer({ seed, hashes: 1 })).rejects.toMatchObject({ code: 'refused' });
  expect(await first).toEqual({ end: await hashChain({ seed, hashes: 1_000 }) });
  expect(await answer({ seed, hashes: 1 })).toEqual({ end: await hashChain({ seed, hashes: 1 }) });
});
