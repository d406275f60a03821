import { chmodSync } from 'node:fs';
import { lstat, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { HomewardError } from '../../shared/errors.ts';

/** sun_path, its terminating zero left out (unix(7)). */
const maxPathBytes = 107;

export interface UnixServer {
  /** Stops listening, removes the socket file and cuts every connection. */
  close(): Promise<void>;
}

/**
 * Listens at `path`, mode 0600. A socket file nobody listens at any more is replaced.
 * @throws HomewardError `bad-input` (path too long, or something else is there), `refused` (somebody listens there)
 */
export async function serveUnixSocket(path: string, onConnection: (socket: Socket) => void): Promise<UnixServer> {
  checkLength(path);
  await removeStale(path);
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => open.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new HomewardError('refused', `Cannot listen at ${path}: ${cause.message}`, { cause })),
    );
    server.listen(path, () => {
      try {
        chmodSync(path, 0o600);
        resolve();
      } catch (error) {
        server.close();
        reject(error);
      }
    });
  });
  return {
    async close() {
      for (const socket of open) socket.destroy();
      // Node removes the file with the listener.
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** @throws HomewardError `host-unreachable`: nobody listens at `path` */
export async function connectUnixSocket(path: string): Promise<Socket> {
  checkLength(path);
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    const onError = (cause: Error): void =>
      reject(new HomewardError('host-unreachable', `Nothing answers at ${path}: ${cause.message}`, { cause }));
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new HomewardError('bad-input', `${path} is there already and is not a socket.`);
  const listener = await connectUnixSocket(path).catch(() => undefined);
  if (listener === undefined) {
    await rm(path, { force: true });
    return;
  }
  listener.destroy();
  throw new HomewardError('refused', `Somebody listens at ${path} already.`);
}

function checkLength(path: string): void {
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw new HomewardError(
      'bad-input',
      `The socket path ${path} is longer than the ${maxPathBytes} bytes Linux takes.`,
    );
  }
}
