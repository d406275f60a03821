import { fileURLToPath } from 'node:url';
import { BrowserWindow, type IpcMainEvent, ipcMain } from 'electron';
import { HomewardError } from '../../../shared/errors.ts';
import type { WindowView } from '../../../shared/view/index.ts';
import { maxLineBytes } from '../../../shared/wire.ts';
import type { ForWindows, Windows } from '../shell.ts';
import { oneLine, type WindowSession } from '../window-server.ts';
import { lineChannel, readyChannel } from './channels.ts';
import { windowOrigin } from './lockdown.ts';

/** Lies beside this program in dist/, the only place Electron runs it from. */
const preload = fileURLToPath(new URL('./shell-electron-preload.cjs', import.meta.url));

/** The one window of the Electron shell. Closing it ends it; whether the shell goes on is the shell's business. */
export class ElectronWindows implements Windows {
  readonly kind = 'electron';
  readonly reloadMs = 0;
  readonly #shell: ForWindows;
  #window: BrowserWindow | undefined;
  #session: WindowSession | undefined;

  constructor(shell: ForWindows) {
    this.#shell = shell;
    ipcMain.on(readyChannel, (event) => {
      if (this.#isOurs(event)) this.#begin();
    });
    ipcMain.on(lineChannel, (event, line: unknown) => {
      if (this.#isOurs(event)) this.#receive(line);
    });
  }

  async open(view: WindowView): Promise<Record<string, never>> {
    const window = this.#window ?? this.#create();
    const address = `${windowOrigin}/${view === 'overview' ? '' : `#/${view}`}`;
    // The window there is stays as it is unless another view was asked for.
    if (this.#session === undefined || view !== 'overview') await window.loadURL(address);
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
    return {};
  }

  async close(): Promise<void> {
    this.#window?.destroy();
  }

  #create(): BrowserWindow {
    const window = new BrowserWindow({
      title: 'Homeward',
      width: 1100,
      height: 760,
      minWidth: 320,
      minHeight: 400,
      show: false,
      autoHideMenuBar: true,
      webPreferences: {
        preload,
        contextIsolation: true,
        sandbox: true,
        nodeIntegration: false,
        webviewTag: false,
        spellcheck: false,
      },
    });
    window.on('closed', () => {
      this.#end();
      this.#window = undefined;
      this.#shell.onWindows(0);
    });
    window.webContents.on('render-process-gone', (_event, { reason }) => {
      this.#shell.onFault(new HomewardError('internal', `The window’s process has ended: ${reason}.`));
      window.destroy();
    });
    this.#window = window;
    this.#shell.onWindows(1);
    return window;
  }

  /** A page that was loaded, or loaded anew, listens. */
  #begin(): void {
    this.#end();
    const window = this.#window;
    this.#session = this.#shell.connect((line) => {
      if (window?.isDestroyed() === false) window.webContents.send(lineChannel, line.trimEnd());
    });
  }

  #receive(message: unknown): void {
    const line = typeof message === 'string' && message.length <= maxLineBytes ? oneLine(message) : undefined;
    if (line === undefined)
      this.#shell.onFault(new HomewardError('bad-input', 'The window sent what is not one line.'));
    else this.#session?.receive(line);
  }

  #end(): void {
    this.#session?.close();
    this.#session = undefined;
  }

  /** Only the window's own page speaks, not a frame in it and no other page. */
  #isOurs({ sender, senderFrame }: IpcMainEvent): boolean {
    const contents = this.#window?.webContents;
    if (contents === undefined || sender !== contents || senderFrame === null) return false;
    return senderFrame === contents.mainFrame && senderFrame.url.startsWith(`${windowOrigin}/`);
  }
}
