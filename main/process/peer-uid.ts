import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';

/**
 * User who owns the other end of a TCP connection over 127.0.0.1, or undefined where that end is gone
 * (proc_net_tcp: local address, remote address, …, uid). There is no SO_PEERCRED for TCP.
 */
export async function peerUid(socket: Socket): Promise<number | undefined> {
  const theirs = hexAddress(socket.remoteAddress, socket.remotePort);
  const ours = hexAddress(socket.localAddress, socket.localPort);
  if (theirs === undefined || ours === undefined) return undefined;
  for (const line of (await readFile('/proc/net/tcp', 'utf8')).split('\n')) {
    const [, local, remote, , , , , uid] = line.trim().split(/\s+/);
    if (local === theirs && remote === ours) return Number(uid);
  }
  return undefined;
}

/** As proc_net_tcp writes it: the address in host byte order (little-endian here, as on all machines we support). */
function hexAddress(address: string | undefined, port: number | undefined): string | undefined {
  if (address === undefined || port === undefined) return undefined;
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return `${bytes.reverse().join('')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}
