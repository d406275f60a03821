import type { TLSSocket } from 'node:tls';
import { HomewardError } from '../../shared/errors.ts';
import type { HostAddress } from '../../shared/model/host.ts';

/** More addresses than a machine has networks are not worth the traffic. */
const maxAddresses = 8;

/**
 * Dials all addresses at once and keeps the first that answers, as the right machine.
 * @throws HomewardError the most telling reason of them all
 */
export async function dialAny(
  addresses: readonly HostAddress[],
  giveUp: AbortSignal,
  dial: (address: HostAddress, signal: AbortSignal) => Promise<TLSSocket>,
): Promise<{ socket: TLSSocket; address: HostAddress }> {
  if (addresses.length === 0) {
    throw new HomewardError('host-unreachable', 'No address of the workstation is known.', {
      hint: 'Is it switched on, on this network, and is Homeward running there?',
    });
  }
  const settled = new AbortController();
  const signal = AbortSignal.any([giveUp, settled.signal]);
  let won = false;
  const attempts = addresses.slice(0, maxAddresses).map(async (address) => {
    const socket = await dial(address, signal);
    if (won) {
      socket.destroy();
      throw new HomewardError('cancelled', 'Another address answered first.');
    }
    won = true;
    return { socket, address };
  });
  try {
    return await Promise.any(attempts);
  } catch (thrown) {
    const reasons: unknown[] = thrown instanceof AggregateError ? thrown.errors : [thrown];
    const telling = (code: string): unknown =>
      reasons.find((reason) => reason instanceof HomewardError && reason.code === code);
    throw telling('not-paired') ?? telling('host-unreachable') ?? reasons[0];
  } finally {
    settled.abort();
  }
}
