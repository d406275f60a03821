import { createConnection, type Socket } from 'node:net';
import { homedir } from 'node:os';
import type { z } from 'zod';
import { endpointOver } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import { shellSocketPathOf } from '../../shared/folders.ts';
import { shellCalls } from '../../shared/shell.ts';
import type { WindowView } from '../../shared/view/index.ts';

export type OpenedWindow = z.output<(typeof shellCalls)['shell.open']['result']>;

/** A browser that is slow to start is waited for on the other side. */
const answerTimeoutMs = 20_000;

/** Has the shell that runs open a window; undefined where none runs. */
export async function askShell(view: WindowView): Promise<OpenedWindow | undefined> {
  const socket = await connect(
    shellSocketPathOf({ env: process.env, homeFolder: homedir(), uid: process.getuid?.() ?? 0 }),
  );
  if (socket === undefined) return undefined;
  const shell = endpointOver(socket, {
    serves: {},
    handlers: {},
    uses: shellCalls,
    hears: {},
    listeners: {},
    sends: {},
    timeoutMs: answerTimeoutMs,
    onFault: () => undefined,
    whenClosed: () => new HomewardError('cancelled', 'Homeward’s window ended while it was being asked.'),
  });
  try {
    return await shell.call('shell.open', { view });
  } finally {
    socket.destroy();
  }
}

function connect(socketFile: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketFile);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const nobody = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED';
      if (nobody) resolve(undefined);
      else reject(new HomewardError('permission', `${socketFile}: ${cause.message}`, { cause }));
    });
  });
}
