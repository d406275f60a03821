/**
 * A blocking libvirt call cannot be interrupted from outside, except by ending the socket it waits on. So we know
 * which sockets belong to which worker, and a worker that is stuck gets its own shut down: its call fails and its
 * thread comes back.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { libc, type Out } from './ffi.ts';

/** `socket:[inode]` → descriptor. The inode tells a socket from a later one with the same descriptor. */
export type Sockets = ReadonlyMap<string, number>;

const addressFamilyUnix = 1;

function peerPath(fd: number): string | undefined {
  const address = new Uint8Array(112);
  const length: Out<number> = [address.length];
  if (libc.getpeername(fd, address, length) !== 0 || length[0] <= 2) {
    return undefined;
  }
  if (new DataView(address.buffer).getUint16(0, true) !== addressFamilyUnix) {
    return undefined;
  }
  const path = Buffer.from(address.buffer, 2, length[0] - 2).toString();
  const end = path.indexOf('\0');
  return end === -1 ? path : path.slice(0, end);
}

function linkOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // Closed since the folder was listed.
    return undefined;
  }
}

/** The daemon's socket named by a connection URI; undefined for libvirt's default path. */
function socketPath(uri: string): string | undefined {
  return URL.canParse(uri) ? (new URL(uri).searchParams.get('socket') ?? undefined) : undefined;
}

/** This process's connected sockets to the daemons that `uris` name. */
export function socketsTo(uris: readonly string[]): Sockets {
  const paths = uris.map(socketPath);
  const isWanted = (peer: string) =>
    paths.some((path) => (path === undefined ? /\/(libvirt|virt[a-z]+d)-sock(-ro)?$/.test(peer) : peer === path));
  const found = new Map<string, number>();
  for (const entry of readdirSync('/proc/self/fd')) {
    const fd = Number(entry);
    const link = linkOf(fd);
    if (link?.startsWith('socket:') !== true) {
      continue;
    }
    const peer = peerPath(fd);
    if (peer !== undefined && isWanted(peer)) {
      found.set(link, fd);
    }
  }
  return found;
}

/** Ends both directions of those of `inodes` that are still this process's. */
export function cut(sockets: Sockets, inodes: Iterable<string>): void {
  const bothWays = 2;
  for (const inode of inodes) {
    const fd = sockets.get(inode);
    if (fd !== undefined && linkOf(fd) === inode) {
      libc.shutdown(fd, bothWays);
    }
  }
}
