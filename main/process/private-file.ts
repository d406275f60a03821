import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes `text` to a file only this user may read (0600, in a folder made 0700 where it is missing), so that
 * after any crash there is the old file or the new one, whole.
 */
export async function replacePrivateFile(path: string, text: string): Promise<void> {
  await withWritten(path, text, (temporary) => rename(temporary, path));
}

/** The same for a file that must not exist yet: an existing one stays as it is, and the answer is false. */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  let created = true;
  await withWritten(path, text, async (temporary) => {
    try {
      // A hard link, unlike a rename, refuses to replace what another process put there meanwhile.
      await link(temporary, path);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
      created = false;
    }
  });
  return created;
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

async function withWritten(path: string, text: string, put: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await put(temporary);
    const folder = await open(dirname(path));
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } finally {
    await rm(temporary, { force: true });
  }
}
