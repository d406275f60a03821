/** Between a visiting QEMU and the disk at home: one nbdkit per disk, in the sandbox. */
import { statfs } from 'node:fs/promises';
import { HomewardError } from '../../shared/errors.ts';
import { exportName, nbdkitCommand } from '../disk/index.ts';
import { insidePaths } from './inside.ts';

/** What a visit's disk cache offers, whatever the name at home: nbdkit answers to any. */
export const diskExportName = 'disk';

/** As the visit sees it; also where nbdkit looks whether it may keep what is read. */
export const cacheFolderInside = `${insidePaths.home}/blocks`;

const mostBytes = 8 * 1024 ** 3;
const leastBytes = 64 * 1024 ** 2;

/** nbdkit's socket for `disk`, as the visit sees it. */
export function diskSocketInside(disk: string): string {
  return `${insidePaths.home}/disk-${disk}.sock`;
}

export function diskCacheCommand(disk: string, visit: string, upstreamSocket: string, maxBytes: number): string[] {
  const { command, args, env } = nbdkitCommand({
    listenSocket: diskSocketInside(disk),
    upstreamSocket,
    exportName: exportName(`visit-${visit}`, disk),
    cacheFolder: cacheFolderInside,
    cacheMaxBytes: maxBytes,
  });
  // One that was killed leaves its socket behind, and nbdkit does not listen where a file is.
  const anew = ['sh', '-c', 'rm -f -- "$0"; exec "$@"', diskSocketInside(disk)];
  return [...anew, 'env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), command, ...args];
}

/** Each disk's share of a quarter of the room below `folder`. Throws `disk-full` where that is next to nothing. */
export async function cacheBytesPerDisk(folder: string, disks: number): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  const bytes = Math.min(mostBytes, Math.floor((bavail * bsize) / 4 / Math.max(1, disks)));
  if (bytes >= leastBytes) return bytes;
  throw new HomewardError('disk-full', `This workstation has no room left to cache the VM's disks (${folder}).`, {
    hint: 'Make room there; a quarter of what is free goes to a visitor.',
  });
}
