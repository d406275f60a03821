import { EventEmitter } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { ElectronWindows } from '../../../main/shell/electron/electron-windows.ts';
import { lockDown, registerScheme } from '../../../main/shell/electron/lockdown.ts';
import { siteFiles } from '../../../main/shell/site.ts';
import type { HomewardError } from '../../../shared/errors.ts';
import { maxLineBytes } from '../../../shared/wire.ts';

/** Stands for Electron: keeps what it was told, so that a test can look. */
const fake = vi.hoisted(() => ({
  order: [] as string[],
  exposed: new Map<string, unknown>(),
  sent: [] as unknown[][],
  windows: [] as FakeWindow[],
  protocols: new Map<string, (request: Request) => Promise<Response>>(),
  permission: {} as { request?: (...args: unknown[]) => void; check?: () => boolean },
  app: undefined as EventEmitter | undefined,
  ipcMain: undefined as EventEmitter | undefined,
  ipcRenderer: undefined as (EventEmitter & { send(...args: unknown[]): void }) | undefined,
  shells: [] as { readonly background: boolean; readonly autostart: readonly string[] }[],
}));

interface FakeWindow extends EventEmitter {
  readonly options: Record<string, unknown>;
  readonly webContents: EventEmitter & { readonly mainFrame: { url: string }; readonly sent: unknown[][] };
  readonly loaded: string[];
  destroy(): void;
}

vi.mock('electron', async () => {
  const { EventEmitter: Emitter } = await import('node:events');
  class BrowserWindow extends Emitter {
    readonly options: unknown;
    readonly loaded: string[] = [];
    readonly webContents = Object.assign(new Emitter(), {
      mainFrame: { url: '' },
      sent: [] as unknown[][],
      send: (...args: unknown[]) => void this.webContents.sent.push(args),
    });
    #destroyed = false;
    constructor(options: unknown) {
      super();
      this.options = options;
      fake.windows.push(this as unknown as FakeWindow);
    }
    async loadURL(address: string): Promise<void> {
      this.loaded.push(address);
      this.webContents.mainFrame.url = address;
    }
    isDestroyed(): boolean {
      return this.#destroyed;
    }
    isMinimized(): boolean {
      return true;
    }
    restore(): void {}
    show(): void {}
    focus(): void {}
    destroy(): void {
      this.#destroyed = true;
      this.emit('closed');
    }
  }
  const app = Object.assign(new Emitter(), {
    isPackaged: false,
    setName: () => undefined,
    setDesktopName: () => undefined,
    exit: () => undefined,
    whenReady: async () => void fake.order.push('ready'),
  });
  const ipcMain = new Emitter();
  const ipcRenderer = Object.assign(new Emitter(), { send: (...args: unknown[]) => void fake.sent.push(args) });
  Object.assign(fake, { app, ipcMain, ipcRenderer });
  return {
    app,
    ipcMain,
    ipcRenderer,
    BrowserWindow,
    contextBridge: { exposeInMainWorld: (name: string, api: unknown) => void fake.exposed.set(name, api) },
    net: {
      fetch: async (address: string) =>
        new Response(await import('node:fs/promises').then((fs) => fs.readFile(new URL(address)))),
    },
    protocol: {
      registerSchemesAsPrivileged: () => void fake.order.push('scheme'),
      handle: (scheme: string, handler: (request: Request) => Promise<Response>) =>
        void fake.protocols.set(scheme, handler),
    },
    session: {
      defaultSession: {
        setPermissionRequestHandler: (handler: (...args: unknown[]) => void) => {
          fake.permission.request = handler;
        },
        setPermissionCheckHandler: (handler: () => boolean) => {
          fake.permission.check = handler;
        },
      },
    },
  };
});

vi.mock('../../../main/shell/run-shell.ts', () => ({
  runShell: async (kind: { readonly background: boolean; readonly autostart: readonly string[] }) =>
    void fake.shells.push(kind),
}));

beforeEach(() => {
  fake.ipcMain?.removeAllListeners();
  fake.windows.length = 0;
});

interface Bed {
  readonly windows: ElectronWindows;
  readonly received: string[];
  readonly counts: number[];
  readonly faults: HomewardError[];
  readonly sends: ((line: string) => void)[];
  readonly closed: number[];
}

function bed(): Bed {
  const made: Omit<Bed, 'windows'> = { received: [], counts: [], faults: [], sends: [], closed: [] };
  const windows = new ElectronWindows({
    connect: (send) => {
      made.sends.push(send);
      return { receive: (text) => void made.received.push(text), close: () => void made.closed.push(1) };
    },
    onWindows: (count) => void made.counts.push(count),
    onFault: (fault) => void made.faults.push(fault),
  });
  return { ...made, windows };
}

/** What the window's page says, or another one claims to. */
function say(
  channel: string,
  line?: unknown,
  from: { readonly frame?: unknown; readonly sender?: unknown } = {},
): void {
  const contents = fake.windows[0]?.webContents;
  const event = { sender: from.sender ?? contents, senderFrame: from.frame ?? contents?.mainFrame };
  fake.ipcMain?.emit(channel, event, line);
}

test('the window is isolated, sandboxed and has no Node', async () => {
  const { windows } = bed();
  await windows.open('overview');
  expect(fake.windows[0]?.options).toMatchObject({
    webPreferences: { contextIsolation: true, sandbox: true, nodeIntegration: false, webviewTag: false },
  });
  expect(fake.windows[0]?.loaded).toEqual(['homeward://window/']);
});

test('lines go both ways between the page and its session', async () => {
  const { windows, received, sends } = bed();
  await windows.open('overview');
  say('homeward:ready');
  sends[0]?.('{"a":1}\n');
  expect(fake.windows[0]?.webContents.sent).toEqual([['homeward:line', '{"a":1}']]);
  say('homeward:line', '{"b":2}');
  say('homeward:line', '{"c":3}\n');
  expect(received).toEqual(['{"b":2}\n', '{"c":3}\n']);
});

test('nobody else is listened to: another window, a frame in ours, another page', async () => {
  const { windows, received } = bed();
  await windows.open('overview');
  say('homeward:ready');
  say('homeward:line', '{}', { sender: {} });
  say('homeward:line', '{}', { frame: { url: 'homeward://window/' } });
  const frame = fake.windows[0]?.webContents.mainFrame;
  if (frame !== undefined) frame.url = 'https://evil.example/homeward://window/';
  say('homeward:line', '{}');
  expect(received).toEqual([]);
});

test.each([[7], [undefined], ['x'.repeat(maxLineBytes + 1)], ['two\nlines']])(
  'what is not one line is refused: %#',
  async (line) => {
    const { windows, received, faults } = bed();
    await windows.open('overview');
    say('homeward:ready');
    say('homeward:line', line);
    expect(received).toEqual([]);
    expect(faults).toMatchObject([{ code: 'bad-input' }]);
  },
);

test('a page that is loaded anew gets a new session, and the old one ends', async () => {
  const { windows, sends, closed } = bed();
  await windows.open('overview');
  say('homeward:ready');
  say('homeward:ready');
  expect(sends).toHaveLength(2);
  expect(closed).toHaveLength(1);
});

test('there is one window: opened again it is brought to the front, at the view that was asked for', async () => {
  const { windows, counts } = bed();
  await windows.open('overview');
  say('homeward:ready');
  await windows.open('overview');
  await windows.open('settings');
  expect(fake.windows).toHaveLength(1);
  expect(fake.windows[0]?.loaded).toEqual(['homeward://window/', 'homeward://window/#/settings']);
  fake.windows[0]?.destroy();
  expect(counts).toEqual([1, 0]);
  await windows.open('overview');
  expect(fake.windows).toHaveLength(2);
});

test('a window whose process crashed is closed and said so', async () => {
  const { windows, counts, faults } = bed();
  await windows.open('overview');
  fake.windows[0]?.webContents.emit('render-process-gone', {}, { reason: 'crashed' });
  expect(counts).toEqual([1, 0]);
  expect(faults).toMatchObject([{ message: 'The window’s process has ended: crashed.' }]);
});

test('the window’s own files are served under a strict policy, and nothing else is', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hw-electron-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'index.html'), '<!doctype html>');
  registerScheme();
  lockDown(siteFiles(folder));
  const serve = fake.protocols.get('homeward');
  const page = await serve?.(new Request('homeward://window/'));
  expect(page?.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
  expect(await page?.text()).toBe('<!doctype html>');
  for (const address of ['homeward://window/../../etc/passwd', 'homeward://other/', 'homeward://window/nothing']) {
    expect((await serve?.(new Request(address)))?.status).toBe(404);
  }
});

test('permissions, other pages, new windows and webviews are denied', () => {
  lockDown(new Map());
  const decide = vi.fn();
  fake.permission.request?.({}, 'media', decide);
  expect(decide).toHaveBeenCalledWith(false);
  expect(fake.permission.check?.()).toBe(false);
  let opened: (() => { readonly action: string }) | undefined;
  const contents = Object.assign(new EventEmitter(), {
    setWindowOpenHandler: (handler: () => { readonly action: string }) => {
      opened = handler;
    },
  });
  fake.app?.emit('web-contents-created', {}, contents);
  expect(opened?.()).toEqual({ action: 'deny' });
  for (const name of ['will-navigate', 'will-frame-navigate', 'will-redirect', 'will-attach-webview']) {
    const preventDefault = vi.fn();
    contents.emit(name, { preventDefault });
    expect(preventDefault, name).toHaveBeenCalled();
  }
});

test('the page gets two functions and nothing of Electron', async () => {
  await import('../../../main/shell/electron/preload.ts');
  const bridge = fake.exposed.get('homeward') as { send(line: unknown): void; onLine(listener: unknown): void };
  expect(Object.keys(bridge)).toEqual(['send', 'onLine']);
  bridge.send('{"a":1}');
  const heard: unknown[][] = [];
  bridge.onLine((...args: unknown[]) => heard.push(args));
  fake.ipcRenderer?.emit('homeward:line', { sender: 'electron' }, '{"b":2}');
  fake.ipcRenderer?.emit('homeward:line', { sender: 'electron' }, 7);
  // Never the event, which leads to Electron.
  expect(heard).toEqual([['{"b":2}']]);
  expect(fake.sent).toEqual([['homeward:line', '{"a":1}'], ['homeward:ready']]);
});

test('the main process names its scheme before Electron is ready, then runs the common shell', async () => {
  fake.order.length = 0;
  await import('../../../main/shell/electron/main.ts');
  await expect.poll(() => fake.shells).toHaveLength(1);
  expect(fake.order).toEqual(['scheme', 'ready']);
  expect(fake.shells[0]?.background).toBe(false);
  expect(fake.shells[0]?.autostart.at(-1)).toBe('--background');
  // Without a listener Electron would end with its last window.
  expect(fake.app?.listenerCount('window-all-closed')).toBe(1);
});
