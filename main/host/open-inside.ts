/**
 * Reaching into a folder that a visitor may write to. Whoever rules a visit can put a symbolic link where a socket
 * was; followed by the engine, it would lead to the owner's own libvirtd. So nothing in there is opened by its path:
 * each step is opened by itself without following links, and what was opened is what is used.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { HomewardError } from '../../shared/errors.ts';

/** open(2): a handle that names a file without opening it. Node has no constant for it. */
const O_PATH = 0o10000000;

/** A path that leads to the very socket that was looked at, as long as the handle is open. */
export interface SocketInside {
  readonly path: string;
  close(): Promise<void>;
}

/** The UNIX socket at `steps` below `root`. Throws `refused` for anything but real folders and a real socket. */
export async function openSocketInside(root: string, steps: readonly string[]): Promise<SocketInside> {
  const folders = steps.slice(0, -1);
  const name = steps.at(-1) ?? '';
  let handle = await open(root, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    for (const folder of folders) handle = await step(handle, folder, constants.O_DIRECTORY);
    handle = await step(handle, name, 0);
    if (!(await handle.stat()).isSocket()) {
      throw new HomewardError('refused', `${steps.join('/')} in the visit is not a socket.`);
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  const socket = handle;
  return { path: `/proc/self/fd/${socket.fd}`, close: () => socket.close() };
}

/** A connection to the UNIX socket at `steps` below `root`. Errors with ENOENT or ECONNREFUSED where nobody listens. */
export async function connectInside(root: string, steps: readonly string[]): Promise<Socket> {
  const target = await openSocketInside(root, steps);
  try {
    return await new Promise<Socket>((resolve, reject) => {
      const socket = connect({ path: target.path, allowHalfOpen: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(socket);
      });
    });
  } finally {
    await target.close();
  }
}

/** Whether nobody listens there yet, as against any other failure. */
export function isNotThereYet(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED');
}

async function step(from: FileHandle, name: string, flags: number): Promise<FileHandle> {
  const next = await open(`/proc/self/fd/${from.fd}/${name}`, O_PATH | constants.O_NOFOLLOW | flags);
  await from.close();
  return next;
}
