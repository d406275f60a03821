import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectUnixSocket, type HostLink, serveUnixSocket } from '../../main/link/index.ts';
import { type Identity, makeIdentity, PairingDesk } from '../../main/trust/index.ts';
import { endpointOver } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import { alpn, hostCalls, hostNotices, maxLineBytes } from '../../shared/wire.ts';
import { type Bed, makeBed, until, visit, visitInfo } from '../unit/link/bed.ts';
import { closing, eachOf, mutatedInputs, randomInputs, sendLines } from './fuzz.ts';

// Named in each test, so that a failure can be run again.
const seed = randomInt(2 ** 31);
const hangMs = 10_000;

let bed: Bed;
let desk: PairingDesk;
let stranger: Identity;
let nowMs = 0;

beforeAll(async () => {
  bed = await makeBed({
    helloTimeoutMs: 1_000,
    openLocal: () => Promise.reject(new HomewardError('refused', 'No such visit.')),
    onPairing: (...what) => {
      // Rationing is tested elsewhere; here it would keep the messages out.
      nowMs += 60_001;
      desk.receive(...what);
    },
  });
  stranger = await makeIdentity();
  desk = new PairingDesk({
    identity: bed.host,
    peers: bed.hostPeers,
    ownName: () => 'desk',
    onPairing: () => undefined,
    now: () => nowMs,
    timeoutMs: 1_000,
  });
});
afterAll(async () => {
  desk.close();
  await bed.close();
});

const lineOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const callOf = (method: string, params: unknown): Buffer => lineOf({ jsonrpc: '2.0', id: 1, method, params });
const validCalls: Buffer[] = [
  callOf('ping', {}),
  callOf('visit.list', {}),
  callOf('visit.end', { visit }),
  callOf('visit.listen', { visit, name: 'migration' }),
  callOf('host.benchmark', {}),
  callOf('host.hashChain', { seed: 'b'.repeat(64), hashes: 1 }),
  lineOf({ jsonrpc: '2.0', method: 'visit.changed', params: visitInfo }),
  lineOf({ jsonrpc: '2.0', id: 1, result: {} }),
  lineOf({ jsonrpc: '2.0', id: 1, error: { code: 1, message: 'x', data: { code: 'timeout', message: 'x' } } }),
  lineOf([JSON.parse(callOf('ping', {}).toString())]),
];
const validHellos: Buffer[] = [
  lineOf({ kind: 'libvirt', visit }),
  lineOf({ kind: 'migration', visit, name: 'out' }),
  lineOf({ kind: 'answer', stream: visit }),
  lineOf({ kind: 'measure', direction: 'out', bytes: 1_000 }),
  lineOf({ kind: 'measure', direction: 'home', bytes: 1_000 }),
];
const hash = 'b'.repeat(64);
const validPairing: Buffer[] = [
  lineOf({ jsonrpc: '2.0', method: 'pair.commit', params: { commitment: hash, name: 'lap' } }),
  lineOf({ jsonrpc: '2.0', method: 'pair.reveal', params: { nonce: hash } }),
  lineOf({ jsonrpc: '2.0', method: 'pair.answer', params: { accept: true } }),
];

async function dial(protocol: string, identity: Identity): Promise<TLSSocket> {
  const socket = connectTls({
    port: bed.server.port,
    host: '127.0.0.1',
    key: identity.keyPem,
    cert: identity.certificatePem,
    rejectUnauthorized: false,
    ALPNProtocols: [protocol],
  });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('secureConnect', resolve).once('close', () => resolve()));
  return socket;
}

/** Sends one input on a connection of its own, newline included, and waits until the host has hung up. */
const sendOne = (connect: () => Promise<Socket>) => async (input: Buffer) => {
  const connection = await connect();
  await closing(connection, hangMs, () => connection.end(Buffer.concat([input, Buffer.from('\n')])));
};

async function expectServing(): Promise<void> {
  const link: HostLink = bed.link();
  await until(() => link.state === 'up');
  expect(await link.call('visit.list', {})).toEqual({ visits: [visitInfo] });
  await link.close();
  expect(bed.local).toEqual([]);
  expect(bed.hostPeers.list()).toHaveLength(1);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
}

/** The first bytes a TLS client sends. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = connectTls({ port, host: '127.0.0.1', minVersion: 'TLSv1.3', ALPNProtocols: [alpn.stream] });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

describe(`garbage at the link’s port (seed ${seed})`, () => {
  it('before TLS: 4,000 random and 4,000 mutated greetings', async () => {
    const inputs = [...randomInputs(4_000, seed), ...mutatedInputs([await clientHello()], 4_000, seed)];
    await eachOf(
      inputs,
      16,
      sendOne(async () => connectTcp(bed.server.port, '127.0.0.1')),
    );
    await expectServing();
  });

  it('after TLS, from a stranger: 250 random and 250 mutated inputs, of which none is read', async () => {
    const inputs = [...randomInputs(250, seed), ...mutatedInputs([...validCalls, ...validHellos], 250, seed)];
    let control = false;
    await eachOf(
      inputs,
      8,
      sendOne(() => {
        control = !control;
        return dial(control ? alpn.control : alpn.stream, stranger);
      }),
    );
    await expectServing();
  });

  it('pairing: 750 random and 750 mutated messages', async () => {
    const inputs = [...randomInputs(750, seed), ...mutatedInputs(validPairing, 750, seed)];
    // One at a time is what a host takes from one address.
    await sendLines(() => dial(alpn.pair, stranger), inputs, { perConnection: 3, atOnce: 1 });
    expect(desk.pending()).toEqual([]);
    await expectServing();
  });

  it('from a paired laptop: 1,000 random and 1,000 mutated hellos', async () => {
    const link = bed.link();
    await until(() => link.state === 'up');
    const inputs = [...randomInputs(1_000, seed), ...mutatedInputs(validHellos, 1_000, seed)];
    await eachOf(
      inputs,
      8,
      sendOne(() => dial(alpn.stream, bed.laptop)),
    );
    expect(link.state).toBe('up');
    await link.close();
    await expectServing();
  });

  it('from a paired laptop: 4,000 random and 4,000 mutated control lines', async () => {
    const inputs = [...randomInputs(4_000, seed), ...mutatedInputs(validCalls, 4_000, seed)];
    await sendLines(() => dial(alpn.control, bed.laptop), inputs, { perConnection: 40, atOnce: 1 });
    await expectServing();
  });
});

describe(`garbage at a local socket (seed ${seed})`, () => {
  it('10,000 random and 10,000 mutated lines, and lines without end', async () => {
    const path = join(bed.folder, 'fuzzed');
    const options = {
      serves: { ping: hostCalls.ping, 'visit.end': hostCalls['visit.end'], 'visit.list': hostCalls['visit.list'] },
      handlers: { ping: () => ({}), 'visit.end': () => ({}), 'visit.list': () => ({ visits: [visitInfo] }) },
      uses: {},
      hears: hostNotices,
      listeners: {
        'stream.wanted': () => undefined,
        'visit.changed': () => undefined,
        'home.wanted': () => undefined,
      },
      sends: {},
      timeoutMs: 1_000,
      onFault: () => undefined,
      whenClosed: () => new HomewardError('engine-not-running', 'Gone.'),
    };
    const server = await serveUnixSocket(path, (socket) => {
      endpointOver(socket, options);
    });
    const connect = () => connectUnixSocket(path);
    await sendLines(connect, [...randomInputs(10_000, seed), ...mutatedInputs(validCalls, 10_000, seed)]);
    await sendLines(connect, [Buffer.alloc(maxLineBytes + 1, 'x'), Buffer.alloc(20 * maxLineBytes, '[')], {
      perConnection: 1,
    });
    const caller = endpointOver(await connect(), { ...options, uses: hostCalls });
    expect(await caller.call('visit.list', {})).toEqual({ visits: [visitInfo] });
    await server.close();
  });
});
