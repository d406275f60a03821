import { statfs } from 'node:fs/promises';
import { HomewardError } from '../../shared/errors.ts';

/** Sockets, logs and the definition of a visit are small; what it reads of its disk is kept as far as there is room. */
const leastFreeBytes = 32 * 1024 * 1024;

/** @throws HomewardError `disk-full` where a visit could not be furnished in `folder` */
export async function needRoom(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= leastFreeBytes) return;
  throw new HomewardError(
    'disk-full',
    `The workstation has only ${Math.floor(freeBytes / 1024 ** 2)} MiB left at ${folder}; a visitor needs ${leastFreeBytes / 1024 ** 2} MiB there.`,
    { hint: 'Free some space there.' },
  );
}
