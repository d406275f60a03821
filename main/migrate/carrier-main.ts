/**
 * Home's end of one migration stream, as a process of its own: QEMU takes the loss of its connection for the loss of the
 * other machine, and an engine that is killed or begun anew is no such thing.
 *
 *     QEMU ── migration socket ── carrier ── session socket ── engine ── link
 */
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Carrier, connectUnixSocket, serveUnixSocket } from '../link/index.ts';
import type { CarrierConfig } from './carrier-process.ts';

const config: CarrierConfig = JSON.parse(process.argv[2] ?? '');
/** QEMU's listening socket appears a moment after libvirt has prepared the destination. */
const connectRetryMs = 50;
/** libvirt connects, or listens, within this; what never began is over. */
const beginDeadlineMs = 60_000;

async function localEnd(): Promise<Socket> {
  const deadline = performance.now() + beginDeadlineMs;
  if (config.qemu === 'connects') {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const server = await serveUnixSocket(config.migrationSocket, (socket) => {
      resolve(socket);
      // One stream, one connection: QEMU makes no second.
      if (started !== undefined) socket.destroy();
    });
    setTimeout(() => reject(new Error('QEMU did not connect.')), beginDeadlineMs).unref();
    const socket = await promise;
    socket.once('close', () => void server.close());
    return socket;
  }
  for (;;) {
    try {
      return await connectUnixSocket(config.migrationSocket);
    } catch (thrown) {
      if (performance.now() > deadline) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, connectRetryMs));
    }
  }
}

let started: Carrier | undefined;
const waiting: Socket[] = [];
const session = await serveUnixSocket(config.sessionSocket, (socket) => {
  // Nothing is said before QEMU is there: that is how the engine knows when the other end is wanted.
  if (started === undefined) waiting.push(socket);
  else void started.attach(socket);
});
try {
  started = new Carrier(await localEnd());
  const newest = waiting.pop();
  for (const older of waiting) older.destroy();
  if (newest !== undefined) void started.attach(newest);
  await started.done;
} finally {
  await session.close();
  rmSync(config.sessionSocket, { force: true });
}
process.exit(0);
