import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from '@playwright/test';
import { expect, onTestFinished, test } from 'vitest';
import { scriptedEngine } from '../../unit/cli/scripted-engine.ts';
import { client } from '../../unit/shell/private-bus.ts';
import { startDesktop } from './desktop.ts';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const folder =
  process.env['ELECTRON_OVERRIDE_DIST_PATH'] ??
  join(dirname(createRequire(import.meta.url).resolve('electron/package.json')), 'dist');
const binary = join(folder, 'electron');
const missing = [binary, join(repository, 'dist-window/index.html')].find((file) => !existsSync(file));

if (missing !== undefined) console.warn(`NOT RUN: the tests of the real Electron. ${missing} is not there.`);

test.runIf(missing === undefined)(
  'the real Electron shows the window, its tray icon, and lives on in the tray',
  async () => {
    const engine = await scriptedEngine({});
    const desktop = await startDesktop(engine.env, false);
    const bus = client(desktop.busAddress);
    const icons = async (): Promise<readonly unknown[]> => {
      const names = await bus.listNames();
      return names.filter((name) => name.startsWith('org.kde.StatusNotifierItem-'));
    };
    const app = await _electron.launch({
      executablePath: binary,
      // As root Electron runs only so.
      args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), join(repository, 'dist/shell-electron-main.js')],
      env: Object.fromEntries(
        Object.entries(desktop.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
      ),
    });
    onTestFinished(() => app.close());
    const window = await app.firstWindow();
    expect(new URL(window.url()).protocol).toBe('homeward:');
    expect(await window.evaluate(() => Object.keys(Reflect.get(globalThis, 'homeward') as object))).toEqual([
      'send',
      'onLine',
    ]);
    expect(await window.evaluate(() => typeof Reflect.get(globalThis, 'require'))).toBe('undefined');
    expect(await window.evaluate(() => fetch('http://127.0.0.1:1/').then(String, String))).toContain('TypeError');
    await desktop.keep('electron-window');
    await expect.poll(() => icons()).toHaveLength(1);
    await window.close();
    await expect.poll(() => app.windows()).toEqual([]);
    expect(await icons()).toHaveLength(1);
  },
);
