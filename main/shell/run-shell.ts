import { reportOf } from '../../shared/errors.ts';
import { askShell, pause } from '../client/index.ts';
import { Autostart } from './autostart.ts';
import { becomeInstance } from './instance.ts';
import { type ForWindows, Shell, type Windows } from './shell.ts';

export interface Kind {
  readonly windows: (shell: ForWindows) => Promise<Windows>;
  /** Starts this shell without a window. */
  readonly autostart: readonly string[];
  /** Opens no window, unless there is no tray to reach the shell by. */
  readonly background: boolean;
  /** Ends the process. */
  readonly exit: () => void;
}

/** A desktop that starts us at login may take so long to bring up its tray. */
const trayComesWithinMs = 30_000;

/** The whole life of a shell's process: the one of its user, or the one that asks that one for a window and ends. */
export async function runShell({ windows, autostart, background, exit }: Kind): Promise<void> {
  const started = Promise.withResolvers<Shell>();
  let wasOpened = false;
  const instance = await becomeInstance(
    {
      'shell.open': async ({ view }) => {
        wasOpened = true;
        return (await started.promise).open(view);
      },
    },
    onFault,
  );
  if (instance === undefined) {
    if (!background) await askShell('overview');
    return exit();
  }
  const shell = await Shell.start({
    windows,
    autostart: new Autostart(autostart),
    onFault,
    note: say,
    onQuit: () => void instance.close().finally(exit),
  });
  started.resolve(shell);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => shell.quit());
  shell.startEngine().catch(onFault);
  if (background) await pause(trayComesWithinMs);
  if (wasOpened || (background && shell.hasTray)) return;
  const { address } = await shell.open('overview');
  if (address !== undefined) say('No browser could be opened. For a window: homeward open');
}

/** To the log; never an address or a token. */
function say(words: string): void {
  process.stderr.write(`${new Date().toISOString()} ${words}\n`);
}

function onFault(thrown: unknown): void {
  const { message, hint } = reportOf(thrown);
  say(hint === undefined ? message : `${message} ${hint}`);
}
