import { chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { HomewardError } from '../../shared/errors.ts';

/** sun_path of sockaddr_un holds 108 bytes, one of them the closing zero (unix(7)). */
const maxSocketPathBytes = 107;

/** @throws HomewardError `bad-input` where the kernel could not take `path` as a socket's name. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > maxSocketPathBytes) {
    throw new HomewardError(
      'bad-input',
      `The socket path ${path} is ${bytes} bytes long; Linux allows ${maxSocketPathBytes}.`,
      { hint: 'Set XDG_RUNTIME_DIR to a folder with a shorter path.' },
    );
  }
}

/** A folder of mode 0700 that is ours, made where it is missing. */
export async function makePrivate(folder: string, uid: number): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const seen = await stat(folder);
    if (seen.uid !== uid) {
      throw new HomewardError('permission', `The folder ${folder} belongs to another user.`, {
        hint: `Give it back with: sudo chown -R ${uid} '${folder}'`,
      });
    }
    if ((seen.mode & 0o077) !== 0) await chmod(folder, 0o700);
  } catch (cause) {
    throw unusable(folder, cause);
  }
}

/** In /tmp anybody may have been there first, so what is found is believed only if it cannot be a trap. */
export async function makePrivateInShared(folder: string, uid: number): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const seen = await lstat(folder);
    if (!seen.isDirectory() || seen.uid !== uid || (seen.mode & 0o077) !== 0) {
      throw new HomewardError('permission', `${folder} exists and is not a private folder of yours.`, {
        hint: `Remove it, or set XDG_RUNTIME_DIR (usually /run/user/${uid}).`,
      });
    }
  } catch (cause) {
    throw unusable(folder, cause);
  }
}

function unusable(folder: string, cause: unknown): HomewardError {
  if (cause instanceof HomewardError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new HomewardError('permission', `The folder ${folder} cannot be used: ${why}`, {
    hint: 'Homeward keeps its files there; make it yours and writable.',
    cause,
  });
}
