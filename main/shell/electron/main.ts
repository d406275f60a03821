import { join } from 'node:path';
import { app } from 'electron';
import { packageRoot } from '../package-root.ts';
import { runShell } from '../run-shell.ts';
import { windowFiles } from '../site.ts';
import { ElectronWindows } from './electron-windows.ts';
import { lockDown, registerScheme } from './lockdown.ts';

/** Electron's main process. All it adds to the common shell is a window of its own. */
app.setName('Homeward');
app.setDesktopName('homeward-desktop.desktop');
registerScheme();
// The tray goes on without a window; the shell knows when it should not.
app.on('window-all-closed', () => undefined);

// Not awaited here: Electron is ready only once this module has been read.
void app.whenReady().then(() =>
  runShell({
    windows: async (shell) => {
      lockDown(windowFiles(join(packageRoot(), 'dist-window'), shell.onFault));
      return new ElectronWindows(shell);
    },
    autostart: [process.execPath, ...(app.isPackaged ? [] : [import.meta.filename]), '--background'],
    background: process.argv.includes('--background'),
    exit: () => app.exit(0),
  }),
);
