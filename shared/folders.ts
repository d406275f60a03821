/**
 * Where the engine keeps its files. Shells and engine compute the same places from the same environment,
 * so that a shell finds the socket without asking anybody (XDG Base Directory Specification 0.8).
 */

/** What the places depend on: environment variables, the home folder, the user's number. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeFolder: string;
  readonly uid: number;
}

export interface Folders {
  /** Journal, keys, what must survive a reboot. */
  readonly state: string;
  /** Sockets, gone with the session. */
  readonly runtime: string;
  /** Settings a person may edit. */
  readonly config: string;
  /** True where there is no XDG_RUNTIME_DIR and `runtime` lies in a folder that everybody may write to. */
  readonly runtimeIsShared: boolean;
}

/** The specification says to ignore relative paths. */
function absolute(value: string | undefined): string | undefined {
  return value?.startsWith('/') === true ? value.replace(/\/+$/, '') : undefined;
}

export function foldersOf({ env, homeFolder, uid }: Surroundings): Folders {
  const runtimeBase = absolute(env['XDG_RUNTIME_DIR']);
  return {
    state: `${absolute(env['XDG_STATE_HOME']) ?? `${homeFolder}/.local/state`}/homeward`,
    config: `${absolute(env['XDG_CONFIG_HOME']) ?? `${homeFolder}/.config`}/homeward`,
    runtime: runtimeBase === undefined ? `/tmp/homeward-${uid}` : `${runtimeBase}/homeward`,
    runtimeIsShared: runtimeBase === undefined,
  };
}

/** The engine's local socket. */
export function socketPathOf(surroundings: Surroundings): string {
  return `${foldersOf(surroundings).runtime}/engine.sock`;
}

/** Where the shell that runs is asked for another window. */
export function shellSocketPathOf(surroundings: Surroundings): string {
  return `${foldersOf(surroundings).runtime}/shell.sock`;
}
