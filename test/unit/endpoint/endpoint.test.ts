import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createEndpoint, endpointOver } from '../../../shared/endpoint.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { maxLineBytes } from '../../../shared/wire.ts';

const sums = {
  add: { params: z.object({ a: z.number(), b: z.number() }), result: z.object({ sum: z.number() }) },
  wait: { params: z.object({}).strict(), result: z.object({}) },
} as const;
const news = { ticked: z.object({ n: z.int() }) } as const;

interface Options {
  add?: (params: { a: number; b: number }) => { sum: number } | Promise<{ sum: number }>;
}

/** Two endpoints whose lines arrive in pieces of `pieceLength` characters. */
function pair({ add = ({ a, b }) => ({ sum: a + b }) }: Options = {}, pieceLength = 7) {
  const faults: HomewardError[] = [];
  const heard: number[] = [];
  const sent: string[] = [];
  const server = createEndpoint({
    serves: sums,
    handlers: { add, wait: () => new Promise<never>(() => undefined) },
    uses: {},
    hears: {},
    listeners: {},
    sends: news,
    timeoutMs: 1_000,
    onFault: (fault) => faults.push(fault),
    send: (line) => {
      sent.push(line);
      for (let at = 0; at < line.length; at += pieceLength) client.receive(line.slice(at, at + pieceLength));
    },
  });
  const client = createEndpoint({
    serves: {},
    handlers: {},
    uses: sums,
    hears: news,
    listeners: { ticked: ({ n }) => heard.push(n) },
    sends: {},
    timeoutMs: 1_000,
    onFault: (fault) => faults.push(fault),
    send: (line) => server.receive(line),
  });
  return { server, client, faults, heard, sent };
}

/** What the endpoint answers to a raw line. */
async function answerTo(line: string): Promise<{ id: unknown; error: { code: number; data: unknown } }> {
  const { server, sent } = pair();
  server.receive(`${line}\n`);
  await sleep(5);
  expect(sent).toHaveLength(1);
  return JSON.parse(sent[0] ?? '');
}

describe('an endpoint', () => {
  it('answers calls whose lines arrive in pieces', async () => {
    expect(await pair({}, 1).client.call('add', { a: 2, b: 3 })).toEqual({ sum: 5 });
  });

  it('keeps many calls at once apart', async () => {
    const { client } = pair({ add: async ({ a, b }) => sleep(Math.random() * 10, { sum: a + b }) });
    const sums = await Promise.all(Array.from({ length: 200 }, (_, n) => client.call('add', { a: n, b: 0 })));
    expect(sums.map(({ sum }) => sum)).toEqual(Array.from({ length: 200 }, (_, n) => n));
  });

  it('delivers notices and reports those that are not what was agreed', async () => {
    const { server, heard, faults } = pair();
    server.notify('ticked', { n: 4 });
    server.notify('ticked', { n: 4.5 });
    await sleep(5);
    expect(heard).toEqual([4]);
    expect(faults.map(({ code }) => code)).toEqual(['bad-input']);
  });

  it('brings a handler’s HomewardError to the caller with code and hint', async () => {
    const { client, faults } = pair({
      add: () => Promise.reject(new HomewardError('host-full', 'No room.', { hint: 'Wait.' })),
    });
    await expect(client.call('add', { a: 1, b: 1 })).rejects.toMatchObject({
      name: 'HomewardError',
      code: 'host-full',
      message: 'No room.',
      hint: 'Wait.',
    });
    expect(faults).toEqual([]);
  });

  it('keeps another machine’s control characters off this one’s terminal', async () => {
    const { client } = pair({ add: () => Promise.reject(new HomewardError('refused', '\u001b[2Jhello\nthere\u202e')) });
    await expect(client.call('add', { a: 1, b: 1 })).rejects.toMatchObject({ message: ' [2Jhello\nthere ' });
  });

  it('calls a handler’s other errors internal and reports them where they happened', async () => {
    const { client, faults } = pair({
      add: () => {
        throw new TypeError('x is not a function');
      },
    });
    await expect(client.call('add', { a: 1, b: 1 })).rejects.toMatchObject({ code: 'internal' });
    expect(faults[0]?.cause).toBeInstanceOf(TypeError);
  });

  it('refuses a result its own handler should not have given', async () => {
    const { client } = pair({ add: () => ({ sum: Number.NaN }) });
    await expect(client.call('add', { a: 1, b: 1 })).rejects.toMatchObject({ code: 'internal' });
  });

  it('gives up after its deadline', async () => {
    const { client } = pair();
    await expect(client.call('wait', {}, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'timeout' });
  });

  it('gives up when cancelled', async () => {
    const { client } = pair();
    const cancel = new AbortController();
    const waiting = client.call('wait', {}, { signal: cancel.signal, timeoutMs: Number.POSITIVE_INFINITY });
    cancel.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    await expect(client.call('wait', {}, { signal: cancel.signal })).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('tells waiting and later calls why it closed', async () => {
    const { client } = pair();
    const waiting = client.call('wait', {});
    client.close(new HomewardError('host-unreachable', 'The link is down.'));
    await expect(waiting).rejects.toMatchObject({ code: 'host-unreachable' });
    await expect(client.call('add', { a: 1, b: 1 })).rejects.toMatchObject({ code: 'host-unreachable' });
  });

  it('refuses more calls at once than it will run', async () => {
    const { client } = pair();
    const calls = Array.from({ length: 257 }, () => client.call('wait', {}, { timeoutMs: 50 }).catch((e) => e.code));
    const codes = await Promise.all(calls);
    expect(codes.filter((code) => code === 'refused')).toHaveLength(1);
  });

  it.each([
    ['no JSON', '{"jsonrpc":', -32700],
    ['another shape', '{"hello":1}', -32600],
    ['a batch', '[{"jsonrpc":"2.0","method":"add","id":1}]', -32600],
    ['an unknown method', '{"jsonrpc":"2.0","method":"rm","id":1}', -32601],
    ['a name every object has', '{"jsonrpc":"2.0","method":"constructor","id":1}', -32601],
    ['bad params', '{"jsonrpc":"2.0","method":"add","id":1,"params":{"a":"1"}}', -32602],
    ['surplus params', '{"jsonrpc":"2.0","method":"wait","id":1,"params":{"a":"1"}}', -32602],
  ])('answers %s with a clear refusal', async (_what, line, code) => {
    const answer = await answerTo(line);
    expect(answer.error.code).toBe(code);
    expect(answer.error.data).toMatchObject({ code: 'bad-input', message: expect.stringMatching(/\.|:/) });
  });

  it('never runs a call that came as a notification', async () => {
    let ran = false;
    const { server, sent } = pair({
      add: () => {
        ran = true;
        return { sum: 0 };
      },
    });
    server.receive('{"jsonrpc":"2.0","method":"add","params":{"a":1,"b":1}}\n');
    await sleep(5);
    expect({ ran, sent }).toEqual({ ran: false, sent: [] });
  });

  it('throws at a line too long, finished or not', () => {
    expect(() => pair().server.receive('x'.repeat(maxLineBytes + 1))).toThrow(/longer than/);
    expect(() => pair().server.receive(`${'x'.repeat(maxLineBytes + 1)}\n`)).toThrow(/longer than/);
  });

  it('takes a long line in very small pieces in reasonable time', async () => {
    const { server, sent } = pair();
    for (let at = 0; at < 500_000; at += 1) server.receive('x');
    server.receive('\n');
    await sleep(5);
    expect(sent).toHaveLength(1);
  });
});

describe('an endpoint over a socket', () => {
  const folder = mkdtempSync(join(tmpdir(), 'endpoint-'));
  const path = join(folder, 's');
  afterEach(() => rmSync(path, { force: true }));
  afterAll(() => rmSync(folder, { recursive: true }));

  async function served(serve: (socket: Socket) => void): Promise<{ socket: Socket; close: () => void }> {
    const server = createServer(serve).listen(path);
    await once(server, 'listening');
    const socket = connect(path);
    await once(socket, 'connect');
    return {
      socket,
      close: () => {
        socket.destroy();
        server.close();
      },
    };
  }
  const ours = {
    serves: sums,
    handlers: {
      add: ({ a, b }: { a: number; b: number }) => ({ sum: a + b }),
      wait: () => new Promise<never>(() => undefined),
    },
    uses: sums,
    hears: {},
    listeners: {},
    sends: news,
    timeoutMs: 1_000,
    onFault: () => undefined,
    whenClosed: () => new HomewardError('engine-not-running', 'The engine has gone.'),
  };

  it('calls, and fails what waits when the other end goes', async () => {
    let theirs: Socket | undefined;
    const { socket, close } = await served((accepted) => {
      theirs = accepted;
      endpointOver(accepted, ours);
    });
    const endpoint = endpointOver(socket, ours);
    expect(await endpoint.call('add', { a: 1, b: 2 })).toEqual({ sum: 3 });
    const waiting = endpoint.call('wait', {});
    theirs?.destroy();
    await expect(waiting).rejects.toMatchObject({ code: 'engine-not-running' });
    close();
  });

  it('ends with the peer’s last word, also where the socket could go on half open', async () => {
    const { socket, close } = await served((accepted) => {
      accepted.allowHalfOpen = true;
      endpointOver(accepted, ours);
    });
    socket.resume().end();
    await once(socket, 'close');
    close();
  });

  it('drops a peer that reads nothing rather than hoard what it should have read', async () => {
    const dropped = new Promise<void>((resolve) => {
      void served((accepted) => {
        const endpoint = endpointOver(accepted, { ...ours, sends: { blob: z.string() } });
        accepted.on('close', () => resolve());
        for (let n = 0; n < 100; n += 1) endpoint.notify('blob', 'x'.repeat(200_000));
      }).then(({ socket, close }) => {
        socket.pause();
        void dropped.then(close);
      });
    });
    await dropped;
  });
});
