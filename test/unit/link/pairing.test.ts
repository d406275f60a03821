import { type AddressInfo, connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialPairing } from '../../../main/link/index.ts';
import { type Identity, makeIdentity, PairingDesk, PeerStore } from '../../../main/trust/index.ts';
import { beginPairing, type PairingSide, stepPairing } from '../../../main/trust/pairing-protocol.ts';
import type { Pairing } from '../../../shared/rpc.ts';
import { alpn } from '../../../shared/wire.ts';
import { type Bed, makeBed, until } from './bed.ts';

let bed: Bed;
let hostDesk: PairingDesk;
let laptopDesk: PairingDesk;
let laptop: Identity;
let laptopPeers: PeerStore;
let onHostScreen: Pairing[];
let nowMs: number;

beforeEach(async () => {
  onHostScreen = [];
  nowMs = 0;
  bed = await makeBed({ onPairing: (...what) => hostDesk.receive(...what) });
  laptop = await makeIdentity();
  laptopPeers = await PeerStore.open(join(bed.folder, 'laptop-peers.json'));
  hostDesk = new PairingDesk({
    identity: bed.host,
    peers: bed.hostPeers,
    ownName: () => 'desk',
    onPairing: (pairing) => onHostScreen.push(pairing),
    now: () => nowMs,
    timeoutMs: 1_000,
  });
  laptopDesk = new PairingDesk({
    identity: laptop,
    peers: laptopPeers,
    ownName: () => 'lap',
    onPairing: () => undefined,
  });
});
afterEach(async () => {
  hostDesk.close();
  laptopDesk.close();
  await bed.close();
});

/** The laptop asks whoever answers at `port` to pair. */
async function ask(port = bed.server.port): Promise<Pairing> {
  const { connection, fingerprint } = await dialPairing(laptop, { address: '127.0.0.1', port });
  return laptopDesk.begin(connection, fingerprint);
}

async function askedHost(): Promise<{ atLaptop: Pairing; atHost: Pairing }> {
  const atLaptop = await ask();
  await until(() => onHostScreen.length > 0);
  const [atHost] = onHostScreen.splice(0);
  if (atHost === undefined) throw new Error('nothing on the host’s screen');
  return { atLaptop, atHost };
}

describe('pairing over the port', () => {
  it('shows the same code on both screens and makes each known to the other', async () => {
    const { atLaptop, atHost } = await askedHost();
    expect(atLaptop).toMatchObject({ role: 'laptop', peerName: 'desk', fingerprint: bed.host.fingerprint });
    expect(atHost).toMatchObject({
      role: 'host',
      peerName: 'lap',
      fingerprint: laptop.fingerprint,
      code: atLaptop.code,
    });
    expect(hostDesk.pending()).toEqual([atHost]);
    const answers = [hostDesk.answer(atHost.id, true), laptopDesk.answer(atLaptop.id, true)];
    expect(await Promise.all(answers)).toEqual([{ paired: true }, { paired: true }]);
    expect(bed.hostPeers.get(laptop.fingerprint, 'laptop')).toMatchObject({ name: 'lap' });
    expect(laptopPeers.get(bed.host.fingerprint, 'host')).toMatchObject({ name: 'desk' });
    expect([hostDesk.pending(), laptopDesk.pending()]).toEqual([[], []]);
    const link = bed.link({ identity: laptop });
    await until(() => link.state === 'up');
  });

  it('makes nobody known when one side says no', async () => {
    const { atLaptop, atHost } = await askedHost();
    const waiting = laptopDesk.answer(atLaptop.id, true);
    expect(await hostDesk.answer(atHost.id, false)).toEqual({ paired: false });
    await expect(waiting).rejects.toMatchObject({ code: 'pairing-failed', message: expect.stringContaining('differ') });
    expect(bed.hostPeers.get(laptop.fingerprint, 'laptop')).toBeUndefined();
    expect(laptopPeers.list()).toEqual([]);
    await expect(hostDesk.answer(atHost.id, true)).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('ends when nobody answers in time', async () => {
    const { atLaptop } = await askedHost();
    await until(() => hostDesk.pending().length === 0 && laptopDesk.pending().length === 0);
    await expect(laptopDesk.answer(atLaptop.id, true)).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('is one at a time for each address, and three a minute', async () => {
    const { atHost } = await askedHost();
    await expect(ask()).rejects.toMatchObject({ code: 'pairing-failed', message: expect.stringContaining('busy') });
    await hostDesk.answer(atHost.id, false);
    for (let n = 0; n < 2; n += 1) {
      await until(() => hostDesk.pending().length === 0);
      const next = await askedHost();
      await hostDesk.answer(next.atHost.id, false);
    }
    await expect(ask()).rejects.toMatchObject({ message: expect.stringContaining('too often') });
    nowMs = 60_001;
    await askedHost();
  });

  it('fails for a peer that talks nonsense, and only for it', async () => {
    const socket = await dialRaw(bed.server.port, laptop);
    socket.write('\u0000\u0001 not a pairing\n');
    await new Promise((resolve) => socket.resume().once('close', resolve));
    await askedHost();
  });
});

describe('somebody in the middle', () => {
  /** Takes the laptop's connection with an own certificate and dials the host with it, too. */
  async function inTheMiddle(
    relay: (fromLaptop: TLSSocket, toHost: TLSSocket) => void,
  ): Promise<{ port: number; identity: Identity }> {
    const identity = await makeIdentity();
    const server = createServer(
      {
        key: identity.keyPem,
        cert: identity.certificatePem,
        requestCert: true,
        rejectUnauthorized: false,
        ALPNProtocols: [alpn.pair],
      },
      async (fromLaptop) => {
        fromLaptop.on('error', () => undefined);
        relay(fromLaptop, await dialRaw(bed.server.port, identity));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    bed.atEnd(() => server.close());
    return { port: (server.address() as AddressInfo).port, identity };
  }

  it('cannot pass the messages on unchanged: each side finds them made for another certificate', async () => {
    const { port } = await inTheMiddle((fromLaptop, toHost) => {
      fromLaptop.pipe(toHost);
      toHost.pipe(fromLaptop);
    });
    await expect(ask(port)).rejects.toMatchObject({ code: 'pairing-failed' });
    expect(onHostScreen).toEqual([]);
  });

  it('cannot make the codes agree by speaking for both with own commitments', async () => {
    const middle = await inTheMiddle((fromLaptop, toHost) => {
      impersonate(fromLaptop, middleAs('host', laptop.fingerprint));
      impersonate(toHost, middleAs('laptop', bed.host.fingerprint));
    });
    const middleAs = (role: PairingSide['role'], peerFingerprint: string): PairingSide => ({
      role,
      ownFingerprint: middle.identity.fingerprint,
      peerFingerprint,
      ownName: role === 'host' ? 'desk' : 'lap',
      nonce: '7'.repeat(64),
    });
    const atLaptop = await ask(middle.port);
    await until(() => onHostScreen.length > 0);
    const [atHost] = onHostScreen;
    // Both people see the names they expect; only the code gives it away (wrongly equal once in a million).
    expect(atLaptop.peerName).toBe('desk');
    expect(atHost?.peerName).toBe('lap');
    expect(atHost?.code).not.toBe(atLaptop.code);
  });

  it('cannot choose a nonce after having seen the other’s', async () => {
    const { port, identity } = await inTheMiddle((fromLaptop) => {
      const side = (nonce: string): PairingSide => ({
        role: 'host',
        ownFingerprint: identity.fingerprint,
        peerFingerprint: laptop.fingerprint,
        ownName: 'desk',
        nonce,
      });
      impersonate(fromLaptop, side('7'.repeat(64)), (message) =>
        message.kind === 'pair.reveal' ? { ...message, nonce: '8'.repeat(64) } : message,
      );
    });
    await expect(ask(port)).rejects.toMatchObject({
      message: expect.stringContaining('Somebody may be in the middle'),
    });
  });
});

type Message = ReturnType<typeof beginPairing>['send'][number];

/** Speaks the protocol over `socket` as `side`, `alter`ing what it says. */
function impersonate(socket: TLSSocket, side: PairingSide, alter = (message: Message): Message => message): void {
  let { state, send } = beginPairing(side);
  const post = () => {
    for (const { kind, ...params } of send.map(alter)) {
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', method: kind, params })}\n`);
    }
  };
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    const lines = `${text}${chunk}`.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      const { method, params } = JSON.parse(line);
      ({ state, send } = stepPairing(side, state, { kind: 'received', message: { kind: method, ...params } }));
      post();
    }
  });
  post();
}

async function dialRaw(port: number, identity: Identity): Promise<TLSSocket> {
  const socket = connect({
    socket: connectTcp(port, '127.0.0.1'),
    key: identity.keyPem,
    cert: identity.certificatePem,
    rejectUnauthorized: false,
    ALPNProtocols: [alpn.pair],
  });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('secureConnect', () => resolve()));
  return socket;
}
