import { execFile } from 'node:child_process';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { runCli, type ScriptedEngine, scriptedEngine } from '../cli/scripted-engine.ts';

const run = promisify(execFile);

/** Surroundings without a desktop, where the shell is ended with the test. */
async function bed(): Promise<ScriptedEngine> {
  const engine = await scriptedEngine({});
  const { DISPLAY: _, WAYLAND_DISPLAY: __, BROWSER: ___, ...env } = engine.env;
  onTestFinished(async () => {
    const pid = await pidOf(engine.folder).catch(() => undefined);
    if (pid !== undefined) process.kill(pid);
  });
  return {
    ...engine,
    env: { ...env, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent/bus', ELECTRON_OVERRIDE_DIST_PATH: engine.folder },
  };
}

async function pidOf(folder: string): Promise<number> {
  const pid = Number((await readFile(join(folder, 'homeward/shell.lock'), 'utf8')).split(' ')[0]);
  if (!(pid > 1)) throw new Error('No shell.');
  return pid;
}

function logOf(folder: string): Promise<string> {
  return readFile(join(folder, 'state/homeward/shell.log'), 'utf8');
}

test('without a browser the address is given to the terminal, once, and is in no log', async () => {
  const { env, folder } = await bed();
  const { code, stdout } = await runCli(env, ['open']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Homeward is shown in your browser: Electron’s binary is not here; to get it: npx install-/);
  expect(stdout).toContain('There is no tray on this desktop');
  const address = /^http:\/\/127\.0\.0\.1:\d+\/enter#t=([\w-]{43})$/m.exec(stdout);
  expect(address).not.toBeNull();
  expect(await logOf(folder)).not.toContain(address?.[1]);
  expect(await logOf(folder)).not.toContain('http://');
});

test('a second start asks the shell that runs, whose socket is the user’s alone', async () => {
  const { env, folder } = await bed();
  const first = JSON.parse((await runCli(env, ['open', '--json'])).stdout) as { readonly address: string };
  const pid = await pidOf(folder);
  const second = JSON.parse((await runCli(env, ['open', '--settings', '--json'])).stdout) as typeof first;
  expect(await pidOf(folder)).toBe(pid);
  expect(second).toMatchObject({ kind: 'web', tray: false, startAtLogin: false, why: 'it was running already' });
  expect(new URL(second.address).origin).toBe(new URL(first.address).origin);
  expect(second.address).toMatch(/&v=settings$/);
  expect(second.address.split('#')[1]).not.toContain(new URL(first.address).hash.slice(1));
  expect((await stat(join(folder, 'homeward/shell.sock'))).mode & 0o777).toBe(0o600);
});

test('of two started at once one shows the windows of both', async () => {
  const { env } = await bed();
  const both = await Promise.all([runCli(env, ['open', '--json']), runCli(env, ['open', '--json'])]);
  const origins = both.map(
    ({ stdout }) => new URL((JSON.parse(stdout) as { readonly address: string }).address).origin,
  );
  expect(new Set(origins).size).toBe(1);
});

test('the user’s own browser is opened with the address, and nothing is left for the terminal', async () => {
  const { env, folder } = await bed();
  const browser = join(folder, 'browser');
  await writeFile(browser, `#!/bin/sh\necho "$@" > ${folder}/opened\n`);
  await chmod(browser, 0o755);
  const { stdout } = await runCli({ ...env, BROWSER: `/nonexistent/one:${browser} --new-window %s` }, ['open']);
  expect(stdout).toContain('Homeward opens in your browser');
  expect(stdout).not.toContain('http://');
  expect(await readFile(join(folder, 'opened'), 'utf8')).toMatch(/^--new-window http:\/\/127\.0\.0\.1:\d+\/enter#t=/);
});

test('a shell that was killed leaves nothing in the way of the next', async () => {
  const { env, folder } = await bed();
  await runCli(env, ['open']);
  const pid = await pidOf(folder);
  process.kill(pid, 'SIGKILL');
  await run('tail', [`--pid=${pid}`, '-f', '/dev/null']);
  expect((await runCli(env, ['open'])).code).toBe(0);
  expect(await pidOf(folder)).not.toBe(pid);
});
