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

/**
 * As `splice`, but when `client` has gone `server` is kept until `release` resolves, and what it says meanwhile is heard
 * by nobody: libvirt ends a VM that it prepares for a client as soon as that client is gone.
 */
export async function spliceAndHold(client: Duplex, server: Duplex, release: () => Promise<void>): Promise<void> {
  client.pipe(server, { end: false });
  server.pipe(client);
  await Promise.race([ended(client), ended(server)]);
  server.unpipe(client);
  if (!server.closed && !server.readableEnded) {
    server.resume();
    await Promise.race([release(), ended(server)]);
  }
  server.destroy();
  client.end();
}

/** Resolves when nothing more comes from `stream`. */
function ended(stream: Duplex): Promise<void> {
  stream.on('error', () => undefined);
  return new Promise((resolve) => {
    if (stream.closed || stream.readableEnded) resolve();
    stream.once('end', resolve);
    stream.once('close', resolve);
  });
}
