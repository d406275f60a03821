import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Identity, makeIdentity } from '../../../main/trust/index.ts';
import { alpn } from '../../../shared/wire.ts';
import { type Bed, makeBed, until, visit } from './bed.ts';

let bed: Bed;
beforeEach(async () => {
  bed = await makeBed({ helloTimeoutMs: 300 });
});
afterEach(() => bed.close());

const hello = `${JSON.stringify({ kind: 'libvirt', visit })}\nremote procedure call`;

interface Outcome {
  readonly connected: boolean;
  readonly text: string;
}

/** Dials the port with `options`, says a stream's hello and waits until the host has hung up. */
async function knock(options: ConnectionOptions, words = hello): Promise<Outcome> {
  const socket = connect({ port: bed.server.port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  bed.atEnd(() => socket.destroy());
  let connected = false;
  let text = '';
  socket.on('error', () => undefined);
  socket.once('secureConnect', () => {
    connected = socket.alpnProtocol !== false;
    socket.write(words);
  });
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return { connected, text };
}

const as = (identity: Identity, protocol: string = alpn.stream): ConnectionOptions => ({
  key: identity.keyPem,
  cert: identity.certificatePem,
  ALPNProtocols: [protocol],
});

async function nothingCameThrough(): Promise<void> {
  await sleep(50);
  expect(bed.local).toEqual([]);
  expect(bed.hellos).toEqual([]);
}

describe('the port', () => {
  it.each([alpn.stream, alpn.control])(
    'tells a stranger at %s that it is not paired, and no more',
    async (protocol) => {
      const { text } = await knock(as(await makeIdentity(), protocol));
      expect(JSON.parse(text)).toMatchObject({ ok: false, error: { code: 'not-paired' } });
      await nothingCameThrough();
    },
  );

  it('does not let in a machine paired in the other role', async () => {
    const identity = await makeIdentity();
    await bed.hostPeers.add({
      fingerprint: identity.fingerprint,
      name: 'other desk',
      pairedAt: '2026-01-01T00:00:00.000Z',
      role: 'host',
    });
    expect((await knock(as(identity))).text).toContain('not-paired');
    await nothingCameThrough();
  });

  it('does not let in a paired certificate whose key is another', async () => {
    const thief = await makeIdentity();
    const socket = () => connect({ ...as(thief), cert: bed.laptop.certificatePem, port: bed.server.port });
    expect(socket).toThrow(/key values mismatch/);
    await nothingCameThrough();
  });

  it('does not let in who shows no certificate', async () => {
    expect((await knock({ ALPNProtocols: [alpn.stream] })).text).toBe('');
    await nothingCameThrough();
  });

  it.each([['homeward-stream/2'], ['h2', 'http/1.1']])('does not speak to another protocol: %s', async (...names) => {
    expect(await knock({ ...as(bed.laptop), ALPNProtocols: names })).toEqual({ connected: false, text: '' });
    await nothingCameThrough();
  });

  it('does not speak to who names no protocol', async () => {
    const { ALPNProtocols: _, ...unnamed } = as(bed.laptop);
    expect(await knock(unnamed)).toEqual({ connected: false, text: '' });
    await nothingCameThrough();
  });

  it('does not speak TLS 1.2', async () => {
    const old = { ...as(bed.laptop), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
    expect(await knock(old)).toEqual({ connected: false, text: '' });
    await nothingCameThrough();
  });

  it('opens no stream for a paired laptop without a control connection', async () => {
    expect((await knock(as(bed.laptop))).text).toContain('needs a control connection');
    await nothingCameThrough();
  });

  it.each([
    ['nonsense', 'nonsense\n'],
    ['half a hello', '{"kind":"libvirt"}\n'],
    ['an unknown kind', '{"kind":"shell","visit":"x"}\n'],
    ['a line too long', 'x'.repeat(10_000)],
    ['silence', ''],
  ])('hangs up on a paired laptop whose stream begins with %s', async (_what, words) => {
    const link = bed.link();
    await until(() => link.state === 'up');
    expect((await knock(as(bed.laptop), words)).text).toContain('hello line');
    await nothingCameThrough();
    expect(link.state).toBe('up');
  });

  it('drops a revoked laptop at once and does not take it back', async () => {
    const link = bed.link();
    await until(() => link.state === 'up');
    const stream = await link.openStream({ kind: 'libvirt', visit });
    stream.on('error', () => undefined);
    const closed = once(stream.resume(), 'close');
    await bed.hostPeers.revoke(bed.laptop.fingerprint);
    await closed;
    await until(() => link.obstacle?.code === 'not-paired');
    expect(bed.server.peer(bed.laptop.fingerprint)).toBeUndefined();
    await until(() => bed.local[0]?.destroyed === true);
    expect((await knock(as(bed.laptop))).text).toContain('not-paired');
    expect(bed.local).toHaveLength(1);
  });

  it('drops a laptop that is revoked between its handshake and its first word', async () => {
    const socket = connect({ ...as(bed.laptop, alpn.control), port: bed.server.port, rejectUnauthorized: false });
    await once(socket, 'data');
    await bed.hostPeers.revoke(bed.laptop.fingerprint);
    socket.write('{"jsonrpc":"2.0","id":1,"method":"visit.list","params":{}}\n');
    const said: string[] = [];
    socket.on('data', (data) => said.push(String(data)));
    await once(socket, 'close');
    expect(said).toEqual([]);
  });

  it('hangs up on who says nothing: before, in and after the handshake', async () => {
    const mute: Socket[] = [connectTcp(bed.server.port, '127.0.0.1'), connectTcp(bed.server.port, '127.0.0.1')];
    mute[1]?.write(Buffer.from('1603010200010001fc0303', 'hex'));
    for (const protocol of [alpn.stream, alpn.control]) {
      mute.push(connect({ ...as(bed.laptop, protocol), port: bed.server.port, rejectUnauthorized: false }));
    }
    const beganMs = performance.now();
    await Promise.all(mute.map((socket) => once(socket.on('error', () => undefined).resume(), 'close')));
    expect(performance.now() - beganMs).toBeLessThan(2_500);
  });

  it('stays open to the paired while strangers hold as many connections as they like', async () => {
    const { port } = await bed.listen({ helloTimeoutMs: 60_000 });
    const strangers = Array.from({ length: 200 }, () =>
      connectTcp(port, '127.0.0.1')
        .on('error', () => undefined)
        .resume(),
    );
    bed.atEnd(() => {
      for (const stranger of strangers) stranger.destroy();
    });
    await until(() => strangers.filter(({ destroyed }) => !destroyed).length === 64);
    const link = bed.link({ addresses: () => [{ address: '127.0.0.1', port }] });
    await until(() => link.state === 'up', 1_000);
  });

  it('is not spoken to by a laptop that finds another machine there', async () => {
    const link = bed.link({ fingerprint: '0'.repeat(64) });
    await until(() => link.obstacle?.code === 'not-paired');
    expect(link.obstacle?.message).toContain('another machine');
  });
});
