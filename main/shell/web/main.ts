import { join } from 'node:path';
import { packageRoot } from '../package-root.ts';
import { runShell } from '../run-shell.ts';
import { WebWindows } from './web-windows.ts';

/** The web shell's process: `homeward open` starts it where Electron is not. */
const root = packageRoot();

await runShell({
  windows: (shell) => WebWindows.serve(shell, join(root, 'dist-window')),
  autostart: [process.execPath, join(root, 'bin/homeward.mjs'), 'open', '--background'],
  background: process.argv.includes('--background'),
  exit: () => process.exit(0),
});
