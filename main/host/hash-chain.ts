import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import type { HashChain } from '../../shared/wire.ts';
import { inWorker } from './in-worker.ts';

/**
 * The last hash of the chain, in hex. Each one is over 64 KiB that begin with the one before: the work of the CPU benchmark,
 * but of a kind that nobody can have done beforehand, or on several cores.
 */
export function hashChain(chain: HashChain): Promise<string> {
  return inWorker(chain, z.string());
}

/** For others, who get one at a time, since it takes a core for as long as it lasts. Throws `refused` meanwhile. */
export function oneHashChain(): (chain: HashChain) => Promise<{ end: string }> {
  let isBusy = false;
  return async (chain) => {
    if (isBusy) throw new HomewardError('refused', 'Another chain of hashes is being made here.');
    isBusy = true;
    try {
      return { end: await hashChain(chain) };
    } finally {
      isBusy = false;
    }
  };
}
