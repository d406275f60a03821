import { homedir } from 'node:os';
import { foldersOf, type Surroundings, socketPathOf } from '../../shared/folders.ts';
import { checkSocketPath, makePrivate, makePrivateInShared } from '../process/index.ts';

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
