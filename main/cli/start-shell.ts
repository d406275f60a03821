import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HomewardError } from '../../shared/errors.ts';
import { foldersOf } from '../../shared/folders.ts';
import type { WindowView } from '../../shared/view/index.ts';
import { asElectron, askShell, type OpenedWindow, pause, spawnLogged } from '../client/index.ts';

const webProgram = fileURLToPath(new URL('../shell/web/main.ts', import.meta.url));
const electronProgram = fileURLToPath(new URL('../shell/electron/main.ts', import.meta.url));
const readyTimeoutMs = 20_000;

/** The program that shows windows here, and why it is this one. */
export interface ShellChoice {
  readonly kind: 'electron' | 'web';
  readonly why: string;
  readonly program: string;
  readonly args: readonly string[];
}

/** Electron where its binary is and can run, else the browser. */
export function chooseShell(): ShellChoice {
  const web = (why: string): ShellChoice => ({ kind: 'web', why, program: process.execPath, args: [webProgram] });
  // Packaged, Electron's binary is what runs this command line, and knows its own program.
  if (process.versions['electron'] !== undefined) {
    return { kind: 'electron', why: 'Electron is part of this package', program: process.execPath, args: [] };
  }
  const binary = electronBinary();
  if (binary === undefined) return web('Electron’s binary is not here; to get it: npx install-electron');
  if (process.getuid?.() === 0) return web('Electron does not run as root');
  if (!electronProgram.endsWith('.js')) return web('Electron runs only what was built; to build it: npm run build');
  return { kind: 'electron', why: `Electron’s binary is here: ${binary}`, program: binary, args: [electronProgram] };
}

/** Starts the shell in the background and has it open a window, or none yet. */
export async function startShell(choice: ShellChoice, view: WindowView | undefined): Promise<OpenedWindow | undefined> {
  const { state } = foldersOf({ env: process.env, homeFolder: homedir(), uid: process.getuid?.() ?? 0 });
  const logFile = `${state}/shell.log`;
  const env = choice.kind === 'electron' ? asElectron(process.env) : process.env;
  const { child, lastWords } = await spawnLogged(choice.program, [...choice.args, '--background'], env, logFile);
  if (view === undefined) {
    child.unref();
    return undefined;
  }
  // One that ends well has left the place to another that was started at the same time, and is still coming up.
  let failed = false;
  child.once('exit', (code) => {
    failed = code !== 0;
  });
  const giveUpAtMs = performance.now() + readyTimeoutMs;
  while (performance.now() < giveUpAtMs) {
    const opened = await askShell(view);
    if (opened !== undefined) {
      child.unref();
      return opened;
    }
    if (failed) {
      throw new HomewardError('internal', `The window’s program ended at once. ${await lastWords()}`, {
        hint: `Its log: ${logFile}`,
      });
    }
    await pause(100);
  }
  child.kill('SIGTERM');
  throw new HomewardError('timeout', `The window’s program did not answer within ${readyTimeoutMs / 1_000} s.`, {
    hint: `Its log: ${logFile}`,
  });
}

/** Where npm puts it, or where the variable says; undefined where it is in neither. */
function electronBinary(): string | undefined {
  const override = process.env['ELECTRON_OVERRIDE_DIST_PATH'];
  const folder = override === undefined || override === '' ? installedElectron() : override;
  const binary = folder === undefined ? undefined : join(folder, 'electron');
  if (binary === undefined || !existsSync(binary)) return undefined;
  try {
    accessSync(binary, constants.X_OK);
    return binary;
  } catch {
    return undefined;
  }
}

function installedElectron(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('electron/package.json')), 'dist');
  } catch {
    return undefined;
  }
}
