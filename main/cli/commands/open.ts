import type { Command } from 'commander';
import { askShell, type OpenedWindow } from '../../client/index.ts';
import { does, type Outcome } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { chooseShell, type ShellChoice, startShell } from '../start-shell.ts';

export function addOpen(program: Command): void {
  does<{ settings?: true; background?: true }>(
    program
      .command('open')
      .description('open the window, with an icon in the tray')
      .option('--settings', 'at its settings')
      .option('--background', 'only the icon in the tray, where there is a tray')
      .addHelpText(
        'after',
        `
Shown by Electron where its binary is, else by your browser; the engine is started where none runs. The window's
programs run in the background: this command returns once a window is open.

Examples:
  homeward open
  homeward open --background      as start at login does`,
      ),
    async ({ output }, { settings, background }) => {
      if (background === true) return openInBackground(output);
      const view = settings === true ? 'settings' : 'overview';
      const running = await askShell(view);
      if (running !== undefined) return tell(output, running, undefined);
      const choice = chooseShell();
      const opened = await startShell(choice, view);
      return opened === undefined ? exitCodes.ok : tell(output, opened, choice);
    },
  );
}

async function openInBackground(output: Output): Promise<Outcome> {
  const choice = chooseShell();
  await startShell(choice, undefined);
  output.result(
    { kind: choice.kind, why: choice.why },
    () => `Homeward starts in the background (${kindWords(choice)}).`,
  );
  return exitCodes.ok;
}

/** @param choice Undefined where the shell was running already. */
function tell(output: Output, { facts, address }: OpenedWindow, choice: ShellChoice | undefined): Outcome {
  const where = facts.kind === 'electron' ? 'in a window of its own' : 'in your browser';
  const why = choice === undefined ? 'it was running already' : choice.why;
  // The address opens the window once, within a minute: for this terminal and for nothing that is kept.
  const byHand =
    address === undefined ? [] : ['No browser could be opened. Open this address within a minute, once:', address];
  const noTray = facts.tray
    ? []
    : ['There is no tray on this desktop, so Homeward ends with its last window; the engine goes on.'];
  output.result({ ...facts, why, ...(address === undefined ? {} : { address }) }, () =>
    [`Homeward ${address === undefined ? 'opens' : 'is shown'} ${where}: ${why}.`, ...byHand, ...noTray].join('\n'),
  );
  return exitCodes.ok;
}

function kindWords({ kind, why }: ShellChoice): string {
  return `${kind === 'electron' ? 'Electron' : 'browser'}: ${why}`;
}
