/** Lets one other user (libvirt's system QEMU) reach one socket, by POSIX ACL; everyone else stays out. */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { HomewardError } from '../../shared/errors.ts';

const run = promisify(execFile);
const deadlineMs = 5_000;

/**
 * Gives `uid` x on `folder` and rw on `socket`. Throws `permission` where a folder above keeps it out,
 * `missing-tool` without setfacl.
 */
export async function grantSocket(folder: string, socket: string, uid: number): Promise<void> {
  try {
    await run('setfacl', ['-m', `u:${uid}:x`, folder], { timeout: deadlineMs });
    await run('setfacl', ['-m', `u:${uid}:rw`, socket], { timeout: deadlineMs });
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw new HomewardError('missing-tool', 'setfacl is not installed; it lets libvirt reach the disk.', {
        hint: 'Install the package acl.',
        cause,
      });
    }
    throw new HomewardError('permission', `Access to ${socket} cannot be given to user ${uid}.`, { cause });
  }
  for (let above = dirname(folder); ; above = dirname(above)) {
    if (!(await mayPass(above, uid))) {
      throw new HomewardError('permission', `The folder ${above} keeps libvirt's QEMU (user ${uid}) from the disk.`, {
        hint: `Run: setfacl -m u:${uid}:x '${above}'`,
      });
    }
    if (above === '/') return;
  }
}

async function mayPass(folder: string, uid: number): Promise<boolean> {
  const { mode, uid: owner } = await stat(folder);
  if (uid === 0 || (mode & 0o001) !== 0 || (owner === uid && (mode & 0o100) !== 0)) return true;
  const { stdout } = await run('getfacl', ['--numeric', '--absolute-names', '--omit-header', '--', folder], {
    timeout: deadlineMs,
  });
  return new RegExp(`^user:${uid}:..x`, 'm').test(stdout);
}
