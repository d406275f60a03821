import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, symlink, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { connectEngine } from '../../../main/client/index.ts';
import { maxUnreadBytes, type RpcServer, startRpcServer } from '../../../main/engine/rpc-server.ts';
import type { Handlers } from '../../../shared/endpoint.ts';
import { HomewardError as Fault, type HomewardError } from '../../../shared/errors.ts';
import { type Calls, calls, type Status } from '../../../shared/rpc.ts';
import { mutatedInputs, randomInputs } from '../../fault/fuzz.ts';
import { move, status, vm } from '../cli/samples.ts';
import { tempFolder } from './temp-folder.ts';

interface Served {
  readonly server: RpcServer;
  readonly socketFile: string;
  readonly faults: HomewardError[];
}

async function serve(answers: Partial<Handlers<Calls>> = {}, current: () => Status = () => status()): Promise<Served> {
  const socketFile = join(await tempFolder(), 'engine.sock');
  const faults: HomewardError[] = [];
  const unscripted = (): never => {
    throw new Fault('refused', 'Not in this test.');
  };
  const handlers = {
    ...Object.fromEntries(Object.keys(calls).map((call) => [call, unscripted])),
    'engine.status': current,
    ...answers,
  } as unknown as Handlers<Calls>;
  const server = await startRpcServer({
    socketFile,
    handlers,
    status: current,
    onFault: (fault) => faults.push(fault),
  });
  onTestFinished(() => server.close());
  return { server, socketFile, faults };
}

async function rawClient(socketFile: string): Promise<Socket> {
  const socket = createConnection(socketFile);
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test('the socket is for its owner only, and gone after close', async () => {
  const { server, socketFile } = await serve();
  expect((await stat(socketFile)).mode & 0o777).toBe(0o600);
  await server.close();
  await expect(stat(socketFile)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('many clients are served, and each hears every event', async () => {
  const { server, socketFile } = await serve();
  const heard: string[] = [];
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      connectEngine({ socketFile, listeners: { move: (one) => heard.push(`${index} ${one.phase}`) } }),
    ),
  );
  const answers = await Promise.all(clients.map((client) => client.call('engine.status', {})));
  expect(answers.every(({ pid }) => pid === 4242)).toBe(true);
  expect(server.clients).toBe(20);
  server.publish('move', move({ phase: 'copying' }));
  await expect.poll(() => heard.length).toBe(20);
  for (const client of clients) client.close();
  await expect.poll(() => server.clients).toBe(0);
});

test('somebody looks on once a client has stayed for five seconds, until the last such client has gone', async () => {
  const { server, socketFile } = await serve();
  const realNow = performance.now.bind(performance);
  let laterMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => realNow() + laterMs);
  onTestFinished(() => clock.mockRestore());
  const window = await connectEngine({ socketFile });
  await window.call('engine.status', {});
  expect(server.watched).toBe(false);
  laterMs = 5_000;
  expect(server.watched).toBe(true);
  const command = await connectEngine({ socketFile });
  await command.call('engine.status', {});
  window.close();
  await expect.poll(() => server.clients).toBe(1);
  expect(server.watched).toBe(false);
  command.close();
});

test('status events come at most four times a second, the last one with the latest state', async () => {
  let paused = 0;
  const { server, socketFile } = await serve({}, () => status({ pid: paused }));
  const heard: number[] = [];
  const client = await connectEngine({ socketFile, listeners: { status: ({ pid }) => heard.push(pid) } });
  await client.call('engine.status', {});
  for (paused = 1; paused <= 100; paused += 1) {
    server.statusChanged();
    await sleep(10);
  }
  paused = 1_000;
  server.statusChanged();
  await expect.poll(() => heard.at(-1)).toBe(1_000);
  expect(heard.length).toBeGreaterThanOrEqual(4);
  expect(heard.length).toBeLessThanOrEqual(8);
  client.close();
});

test('nobody listening, no status is put together', async () => {
  let asked = 0;
  const { server } = await serve({}, () => {
    asked += 1;
    return status();
  });
  server.statusChanged();
  await sleep(400);
  expect(asked).toBe(0);
});

test('a client that does not read is dropped at the limit and keeps nobody else waiting', async () => {
  const { server, socketFile, faults } = await serve();
  const slow = await rawClient(socketFile);
  slow.pause();
  const heard: string[] = [];
  const good = await connectEngine({ socketFile, listeners: { move: ({ reason }) => heard.push(reason.slice(0, 8)) } });
  await good.call('engine.status', {});
  const large = move({ reason: 'x'.repeat(500_000) });
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 40; round += 1) {
    server.publish('move', large);
    await expect.poll(() => heard.length, { interval: 2 }).toBe(round + 1);
  }
  expect(server.clients).toBe(1);
  expect(faults).toMatchObject([
    { code: 'refused', message: `A client left ${maxUnreadBytes} bytes unread and was dropped.` },
  ]);
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  good.close();
});

test('a client that does not read gets the newest status once it reads again, not all of them', async () => {
  const vms = Array.from({ length: 400 }, (_, index) => vm({ name: `vm ${index} ${'x'.repeat(200)}` }));
  let pid = 0;
  const { server, socketFile } = await serve({}, () => status({ pid, vms }));
  const slow = await rawClient(socketFile);
  slow.pause();
  for (pid = 1; pid <= 12; pid += 1) {
    server.statusChanged();
    await sleep(260);
  }
  let text = '';
  slow.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  slow.resume();
  const last = (): number | undefined => {
    const lines = text.split('\n').filter((line) => line.endsWith('}'));
    return (JSON.parse(lines.at(-1) ?? '{}') as { params?: Status }).params?.pid;
  };
  await expect.poll(last, { timeout: 4_000 }).toBe(13);
  expect(text.trimEnd().split('\n').length).toBeLessThan(12);
}, 15_000);

test('a dead engine’s socket is replaced', async () => {
  const socketFile = join(await tempFolder(), 'engine.sock');
  const script = `require('node:net').createServer().listen(${JSON.stringify(socketFile)}, () => console.log('up'))`;
  const dead = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(dead.stdout, 'data');
  dead.kill('SIGKILL');
  await once(dead, 'exit');
  expect((await stat(socketFile)).isSocket()).toBe(true);
  const server = await startRpcServer({
    socketFile,
    handlers: {} as Handlers<Calls>,
    status,
    onFault: () => undefined,
  });
  await server.close();
});

test('a socket at which an engine answers is left alone', async () => {
  const { socketFile } = await serve();
  const second = startRpcServer({ socketFile, handlers: {} as Handlers<Calls>, status, onFault: () => undefined });
  await expect(second).rejects.toMatchObject({
    code: 'engine-running',
    message: `An engine already answers at ${socketFile}.`,
  });
  const client = await connectEngine({ socketFile });
  await client.call('engine.status', {});
  client.close();
});

test.each([
  ['a file', (path: string) => writeFile(path, 'mine')],
  ['a link', (path: string) => symlink('/etc/passwd', path)],
])('%s in the socket’s place is not removed', async (_, plant) => {
  const socketFile = join(await tempFolder(), 'engine.sock');
  await plant(socketFile);
  const start = startRpcServer({ socketFile, handlers: {} as Handlers<Calls>, status, onFault: () => undefined });
  await expect(start).rejects.toMatchObject({
    code: 'permission',
    message: `${socketFile} is in the way: it is not a socket.`,
  });
});

test('a status that cannot be put together is a fault, not the end', async () => {
  let broken = false;
  const { server, socketFile, faults } = await serve({}, () => {
    if (broken) throw new Error('no');
    return status();
  });
  const client = await connectEngine({ socketFile });
  await client.call('engine.status', {});
  broken = true;
  server.statusChanged();
  await expect.poll(() => faults.length).toBe(1);
  broken = false;
  await client.call('engine.status', {});
  client.close();
});

test('answers given just before close still arrive', async () => {
  const { server, socketFile } = await serve({
    'engine.stop': () => {
      setImmediate(() => void server.close());
      return {};
    },
  });
  const client = await connectEngine({ socketFile });
  await expect(client.call('engine.stop', {})).resolves.toEqual({});
  await client.closed;
});

const newline = Buffer.from('\n');
const seed = Date.now() % 2 ** 31;

test(`10,000 random and 10,000 mangled inputs (seed ${seed}) get clear refusals or nothing, and the server lives on`, async () => {
  const { server, socketFile } = await serve();
  const requests = Object.keys(calls).map((method) =>
    JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { vm: 'work', host: 'tower', limit: 5, accept: true } }),
  );
  const valid = requests.map((request) => Buffer.from(request));
  const inputs = [...randomInputs(10_000, seed), ...mutatedInputs(valid, 10_000, seed)];
  const raw = await rawClient(socketFile);
  let answers = '';
  raw.setEncoding('utf8').on('data', (text: string) => {
    answers += text;
  });
  for (const input of inputs) {
    // No faster than it is answered, or being dropped for not reading would be right.
    if (!raw.write(Buffer.concat([input, newline]))) await once(raw, 'drain');
  }
  raw.write(`${JSON.stringify({ jsonrpc: '2.0', id: 'last', method: 'engine.status', params: {} })}\n`);
  await expect.poll(() => answers.includes('"id":"last"'), { timeout: 10_000 }).toBe(true);
  const lines = answers.trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(10_000);
  for (const text of lines) {
    const answer = JSON.parse(text) as { id: unknown; error?: { message: string }; result?: unknown };
    if (answer.result === undefined) expect(answer.error?.message).toMatch(/\S/);
  }
  raw.destroy();
  const client = await connectEngine({ socketFile });
  await client.call('engine.status', {});
  client.close();
  await expect.poll(() => server.clients).toBe(0);
}, 30_000);

test('a line without an end closes its connection only', async () => {
  const { socketFile } = await serve();
  const raw = await rawClient(socketFile);
  raw.on('data', () => undefined);
  raw.write('x'.repeat(2 * 2 ** 20));
  // Not `once`, which would reject for the reset that comes before.
  await new Promise((resolve) => raw.on('close', resolve));
  const client = await connectEngine({ socketFile });
  await client.call('engine.status', {});
  client.close();
});
