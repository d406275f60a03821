import { chmod, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { homedir } from 'node:os';
import type { Handlers } from '../../shared/endpoint.ts';
import { endpointOver } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import { foldersOf, shellSocketPathOf } from '../../shared/folders.ts';
import { type ShellCalls, shellCalls } from '../../shared/shell.ts';
import { checkSocketPath, makePrivate, makePrivateInShared, takeLock } from '../process/index.ts';

/** The one shell of a user. */
export interface Instance {
  close(): Promise<void>;
}

/**
 * Becomes the user's one shell, whichever kind it is, and answers those started later (shared/shell.ts) at a socket of
 * mode 0600. Undefined where another one is it already.
 */
export async function becomeInstance(
  handlers: Handlers<ShellCalls>,
  onFault: (fault: HomewardError) => void,
): Promise<Instance | undefined> {
  const uid = process.getuid?.() ?? 0;
  const where = { env: process.env, homeFolder: homedir(), uid };
  const { runtime, runtimeIsShared } = foldersOf(where);
  const socketFile = shellSocketPathOf(where);
  checkSocketPath(socketFile);
  await (runtimeIsShared ? makePrivateInShared : makePrivate)(runtime, uid);
  const lock = await takeLock(`${runtime}/shell.lock`);
  if (!lock.held) return undefined;
  // Whoever holds the lock may remove what a crash left.
  await rm(socketFile, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    endpointOver(socket, {
      serves: shellCalls,
      handlers,
      uses: {},
      hears: {},
      listeners: {},
      sends: {},
      timeoutMs: Number.POSITIVE_INFINITY,
      onFault,
      whenClosed: () => new HomewardError('cancelled', 'Whoever asked has gone.'),
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketFile, resolve);
  });
  await chmod(socketFile, 0o600);
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.end();
      setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, 1_000).unref();
      await closed;
      await lock.release();
    },
  };
}
