import { randomBytes } from 'node:crypto';
import { hashesFor } from '../../shared/policy/speed.ts';
import { mostHashes } from '../../shared/wire.ts';
import { hashChain } from '../host/index.ts';
import type { HostLink } from '../link/index.ts';

const timeoutMs = 30_000;
/** What a wrong answer is worth: nothing, and no division by it. */
const leastOpsPerSec = 1;

/**
 * How fast one core there makes a chain of hashes, per second of this computer's clock; here the same chain is made to
 * see that it is the one. @throws HomewardError `timeout`, `refused`, or whatever a host answers that cannot do it
 */
export async function lookAtSpeed(
  link: Pick<HostLink, 'call' | 'roundTripMs'>,
  claimedOpsPerSec: number | undefined,
): Promise<number> {
  const chain = { seed: randomBytes(32).toString('hex'), hashes: hashesFor(claimedOpsPerSec, mostHashes) };
  const startMs = performance.now();
  const { end } = await link.call('host.hashChain', chain, { timeoutMs });
  const tookMs = Math.max(1, performance.now() - startMs - (link.roundTripMs ?? 0));
  return end === (await hashChain(chain)) ? (1_000 * chain.hashes) / tookMs : leastOpsPerSec;
}
