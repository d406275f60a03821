import type { Duplex } from 'node:stream';

/**
 * Carries bytes both ways between two connections, at the pace of the slower. An end of one direction ends that
 * direction on the other side and leaves the way back open; a failure of either destroys both. To the machine at the
 * other end of a TLS connection its destruction looks like an end, so what is carried must have its own way to
 * tell a whole message from a cut one; NBD, libvirt's RPC and QEMU's migration stream do. Fulfilled when both are
 * closed; never rejects.
 */
export async function splice(a: Duplex, b: Duplex): Promise<void> {
  a.pipe(b);
  b.pipe(a);
  await Promise.all([follow(a, b), follow(b, a)]);
}

/** Waits for `leader` to close and, unless it had said all and heard all, takes `other` down with it. */
async function follow(leader: Duplex, other: Duplex): Promise<void> {
  // The close that comes after an error says what is to be done about it.
  leader.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    if (leader.closed) resolve();
    else leader.once('close', resolve);
  });
  // A clean close may leave bytes for `other` still to be written: they are its own to finish.
  if (!leader.readableEnded || !leader.writableFinished) other.destroy();
}
