import { chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { HomewardError } from '../../shared/errors.ts';
import { foldersOf, type Surroundings, socketPathOf } from '../../shared/folders.ts';

/** Folders exist with mode 0700 once `preparePaths` has returned; files may not exist yet. */
export interface Paths {
  readonly stateFolder: string;
  readonly runtimeFolder: string;
  readonly configFolder: string;
  readonly socketFile: string;
  readonly lockFile: string;
  readonly settingsFile: string;
  readonly journalFile: string;
}

/** sun_path of sockaddr_un holds 108 bytes, one of them the closing zero (unix(7)). */
const maxSocketPathBytes = 107;

function surroundings(): Surroundings {
  return { env: process.env, homeFolder: homedir(), uid: process.getuid?.() ?? 0 };
}

/**
 * Makes the engine's folders, private to their owner.
 * @throws HomewardError `permission` where a folder cannot be private, `bad-input` where the socket's path is too long.
 */
export async function preparePaths(where: Surroundings = surroundings()): Promise<Paths> {
  const folders = foldersOf(where);
  const socketFile = socketPathOf(where);
  checkSocketPath(socketFile);
  await makePrivate(folders.state, where.uid);
  await makePrivate(folders.config, where.uid);
  await (folders.runtimeIsShared ? makePrivateInShared : makePrivate)(folders.runtime, where.uid);
  return {
    stateFolder: folders.state,
    runtimeFolder: folders.runtime,
    configFolder: folders.config,
    socketFile,
    // Beside the journal it guards: two sessions of one user may have different runtime folders.
    lockFile: `${folders.state}/engine.lock`,
    settingsFile: `${folders.config}/settings.json`,
    journalFile: `${folders.state}/journal.jsonl`,
  };
}

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

async function makePrivate(folder: string, uid: number): Promise<void> {
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
