import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { connectEngine } from '../../../main/client/index.ts';
import { createEndpoint } from '../../../shared/endpoint.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { calls } from '../../../shared/rpc.ts';
import { windowCalls, windowEvents } from '../../../shared/window.ts';
import { moving, preferences, vm, vmUuid } from '../cli/samples.ts';
import { type Bed, bed } from './web-shell-bed.ts';

/** The window as the renderer speaks: its address from the browser, its token, its socket. */
async function openWindow({ shell, opened }: Pick<Bed, 'shell' | 'opened'>) {
  await shell.open('overview');
  const address = new URL(opened.at(-1) ?? '');
  const token = new URLSearchParams(address.hash.slice(1)).get('t');
  const answer = await fetch(`${address.origin}/enter`, {
    method: 'POST',
    headers: { origin: address.origin, 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  const cookie = answer.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
  const socket = new WebSocket(`ws://${address.host}/socket`, { headers: { cookie, origin: address.origin } });
  onTestFinished(() => socket.terminate());
  const heard: { readonly name: string; readonly payload: unknown }[] = [];
  const hear = (name: string) => (payload: unknown) => void heard.push({ name, payload });
  const endpoint = createEndpoint({
    serves: {},
    handlers: {},
    uses: windowCalls,
    hears: windowEvents,
    listeners: {
      engine: hear('engine'),
      status: hear('status'),
      move: hear('move'),
      decision: hear('decision'),
      pairing: hear('pairing'),
    },
    sends: {},
    timeoutMs: 10_000,
    onFault: (fault) => {
      throw fault;
    },
    send: (line) => socket.send(line.trimEnd()),
  });
  socket.on('message', (data) => endpoint.receive(`${String(data)}\n`));
  await once(socket, 'open');
  return { socket, endpoint, heard, names: () => heard.map(({ name }) => name) };
}

function noBus(): void {
  vi.stubEnv('DBUS_SESSION_BUS_ADDRESS', 'unix:path=/nonexistent/bus');
}

async function engineIsUp(shell: Bed): Promise<void> {
  await expect.poll(() => shell.engine.asked).toHaveLength(1);
}

test('a window hears at once that the engine is there, then how things stand', async () => {
  noBus();
  const shell = await bed();
  await engineIsUp(shell);
  const window = await openWindow(shell);
  await expect.poll(window.names).toEqual(['engine', 'status']);
  expect(window.heard[0]?.payload).toEqual({ state: 'up' });
  expect(window.heard[1]?.payload).toMatchObject({ name: 'eva', vms: [{ name: 'work' }] });
});

test('every call of the engine’s is passed on, and its answers and refusals come back as they are', async () => {
  noBus();
  const shell = await bed({
    'move.offload': ({ vm: key }) => {
      if (key === 'nobody') throw new HomewardError('unknown-vm', 'There is no VM named nobody.', { hint: 'Look.' });
      return moving();
    },
  });
  await engineIsUp(shell);
  const { endpoint } = await openWindow(shell);
  expect(await endpoint.call('move.offload', { vm: vmUuid })).toMatchObject({ vmName: 'work', phase: 'copying' });
  await expect(endpoint.call('move.offload', { vm: 'nobody' })).rejects.toMatchObject({
    code: 'unknown-vm',
    message: 'There is no VM named nobody.',
    hint: 'Look.',
  });
  expect(Object.keys(windowCalls)).toEqual(expect.arrayContaining(Object.keys(calls)));
});

test('what a window sends is checked before it reaches the engine', async () => {
  noBus();
  const shell = await bed();
  await engineIsUp(shell);
  const { socket } = await openWindow(shell);
  const answers: string[] = [];
  socket.on('message', (data) => answers.push(String(data)));
  socket.send('{"jsonrpc":"2.0","id":"a","method":"move.offload","params":{"vm":7}}');
  socket.send('{"jsonrpc":"2.0","id":"b","method":"__proto__","params":{}}');
  socket.send('nonsense');
  await expect.poll(() => answers.filter((line) => line.includes('"error"'))).toHaveLength(3);
  expect(shell.engine.asked.map(({ call }) => call)).toEqual(['engine.status']);
});

test('two windows and the command line see the same', async () => {
  noBus();
  const shell = await bed({ 'preferences.change': () => ({ ...preferences, name: 'anna' }) });
  await engineIsUp(shell);
  const windows = [await openWindow(shell), await openWindow(shell)];
  const seen: unknown[] = [];
  const cli = await connectEngine({ listeners: { move: (move) => void seen.push(move) } });
  onTestFinished(() => cli.close());
  await expect.poll(() => shell.engine.server.clients).toBe(2);
  shell.engine.server.publish('move', moving());
  await expect.poll(() => seen).toHaveLength(1);
  for (const { heard } of windows) {
    await expect.poll(() => heard.filter(({ name }) => name === 'move')).toEqual([{ name: 'move', payload: seen[0] }]);
  }
  shell.tell({ vms: [vm({ level: 'automatic' })] });
  for (const { heard } of windows) {
    await expect.poll(() => heard.at(-1)?.payload).toMatchObject({ vms: [{ level: 'automatic' }] });
  }
});

test('an engine that ends is told at once, and calls say what to do', async () => {
  noBus();
  const shell = await bed();
  await engineIsUp(shell);
  const { endpoint, heard } = await openWindow(shell);
  await expect.poll(() => heard.length).toBe(2);
  await shell.engine.server.close();
  await expect.poll(() => heard.at(-1)).toEqual({ name: 'engine', payload: { state: 'gone' } });
  await expect(endpoint.call('vms.list', {})).rejects.toMatchObject({
    code: 'engine-not-running',
    hint: 'Start it here, or with: homeward engine --detach',
  });
});

test('start at login is a file that starts the shell without a window, and goes when switched off', async () => {
  noBus();
  const shell = await bed();
  const { endpoint } = await openWindow(shell);
  const file = `${shell.engine.folder}/auto/homeward.desktop`;
  expect(await endpoint.call('shell.facts', {})).toEqual({ kind: 'web', tray: false, startAtLogin: false });
  expect(await endpoint.call('shell.setStartAtLogin', { on: true })).toMatchObject({ startAtLogin: true });
  expect(await readFile(file, 'utf8')).toContain('\nExec="/usr/bin/homeward" "open" "--background"\n');
  expect(await endpoint.call('shell.setStartAtLogin', { on: false })).toMatchObject({ startAtLogin: false });
  await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a window can end the shell, and is answered before', async () => {
  noBus();
  const shell = await bed();
  const { endpoint, socket } = await openWindow(shell);
  const closed = once(socket, 'close');
  expect(await endpoint.call('shell.quit', {})).toEqual({});
  expect((await closed)[0]).toBe(1001);
  await expect.poll(() => shell.quits).toEqual([1]);
});

test('without a tray the shell ends with its last window, not at once: a window may only be reloading', async () => {
  noBus();
  const shell = await bed();
  await engineIsUp(shell);
  const first = await openWindow(shell);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  first.socket.close();
  await once(first.socket, 'close');
  await expect.poll(() => vi.getTimerCount()).toBeGreaterThan(0);
  vi.advanceTimersByTime(9_900);
  expect(shell.quits).toEqual([]);
  vi.advanceTimersByTime(200);
  vi.useRealTimers();
  await expect.poll(() => shell.quits).toEqual([1]);
  expect(shell.notes).toEqual(['The last window was closed. The engine goes on; for a new window: homeward open']);
});
