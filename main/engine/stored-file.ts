import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HomewardError } from '../../shared/errors.ts';
import type { Finding } from '../../shared/rpc.ts';

/**
 * Replaces `file` whole (0600) or not at all: a new file is written and synced under another name, then renamed,
 * then the folder is synced, so that a power cut leaves the old text or the new one.
 * @throws HomewardError `disk-full` or `permission`; the old file is still there then.
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`;
  try {
    // A leftover could be a link somebody planted or have another mode: never write through it.
    await rm(fresh, { force: true });
    const handle = await open(fresh, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
    await syncFolder(dirname(file));
  } catch (cause) {
    throw writeError(file, cause);
  }
}

/** Makes a new or renamed name in the folder survive a power cut (fsync(2)). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What went wrong when writing, as a sentence. */
export function writeError(file: string, cause: unknown): HomewardError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new HomewardError('disk-full', `The disk is full: ${file} could not be written.`, {
      hint: 'Free some space and try again.',
      cause,
    });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new HomewardError('permission', `${file} could not be written: ${why}`, {
    hint: 'Check that the folder and the file are yours and writable.',
    cause,
  });
}

/** Where damaged text of `file` is kept, never overwritten: a name of its own per second and attempt. */
export async function asideName(file: string, now: Date): Promise<string> {
  const stem = `${basename(file)}.damaged-${now
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-')}`;
  const taken = new Set(await readdir(dirname(file)));
  for (let attempt = 1; ; attempt += 1) {
    const name = attempt === 1 ? stem : `${stem}-${attempt}`;
    if (!taken.has(name)) return join(dirname(file), name);
  }
}

/** One finding per damaged text of `file` that was kept aside, now or earlier, and is still there. */
export async function damageFindings(file: string, title: string, detail: string): Promise<readonly Finding[]> {
  const prefix = `${basename(file)}.damaged-`;
  const names = (await readdir(dirname(file))).filter((name) => name.startsWith(prefix)).sort();
  return names.map((name) => {
    const kept = join(dirname(file), name);
    return {
      id: name,
      severity: 'problem',
      title,
      detail: `${detail} The damaged file was kept as ${kept}.`,
      remedy: 'Take from it what you need, then delete it.',
      command: `rm '${kept}'`,
    };
  });
}
