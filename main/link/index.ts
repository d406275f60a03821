/** The link between laptop and host: one TLS port, control calls, byte streams, heartbeat. */
import type { Duplex } from 'node:stream';
import type { HostAddress } from '../../shared/model/host.ts';
import { alpn } from '../../shared/wire.ts';
import type { Identity } from '../trust/index.ts';
import { dial } from './tls.ts';

export { Carrier } from './carrier.ts';
export { HostLink, type HostLinkOptions } from './host-link.ts';
export { measureLink } from './measure.ts';
export type { HostHandlers, LocalHello, PeerLink, StreamEnd, StreamWish } from './peer-link.ts';
export { LinkServer, type LinkServerOptions } from './server.ts';
export { splice } from './splice.ts';
export { connectUnixSocket, serveUnixSocket, type UnixServer } from './unix.ts';

/**
 * A connection to pair over with whoever answers at `address`, and who that is: for PairingDesk.begin.
 * @throws HomewardError `host-unreachable`, `timeout`
 */
export async function dialPairing(
  identity: Identity,
  address: HostAddress,
): Promise<{ connection: Duplex; fingerprint: string }> {
  const { socket, fingerprint } = await dial(identity, address, alpn.pair);
  return { connection: socket, fingerprint };
}
