import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { measureLink } from '../../../main/link/index.ts';
import { type Bed, makeBed, makeRelay, readAll, until, visit, visitInfo } from './bed.ts';

let bed: Bed;
beforeEach(async () => {
  bed = await makeBed();
});
afterEach(() => bed.close());

const up = async (options?: Parameters<Bed['link']>[0]) => {
  const link = bed.link(options);
  await until(() => link.state === 'up');
  return link;
};
const libvirt = { kind: 'libvirt', visit } as const;

describe('the link', () => {
  it('comes up, answers calls and measures its round trip', async () => {
    const link = await up();
    expect(await link.call('visit.list', {})).toEqual({ visits: [visitInfo] });
    await expect(link.call('host.facts', {})).rejects.toMatchObject({ code: 'refused', message: 'Not in this test.' });
    expect(link.roundTripMs).toBeGreaterThan(0);
  });

  it('carries a stream to the socket behind the host', async () => {
    const link = await up();
    const stream = await link.openStream(libvirt);
    const sent = randomBytes(3_000_000);
    stream.end(sent);
    expect((await readAll(stream)).equals(sent)).toBe(true);
    expect(bed.hellos).toEqual([libvirt]);
    await until(() =>
      link
        .traffic()
        .some(({ kind, visit: of, sentBytes }) => kind === 'libvirt' && of === visit && sentBytes > 3_000_000),
    );
  });

  it('keeps one direction open when the other ends, both ways', async () => {
    bed.onLocal = (socket) => {
      let heard = '';
      socket.setEncoding('utf8').on('data', (text) => {
        heard += text;
      });
      socket.on('end', () => setTimeout(() => socket.end(`late answer to ${heard}`), 50));
    };
    const link = await up();
    const stream = await link.openStream(libvirt);
    stream.end('question');
    expect(String(await readAll(stream))).toBe('late answer to question');

    bed.onLocal = (socket) => socket.end('first word');
    const other = await link.openStream(libvirt);
    expect(String(await readAll(other))).toBe('first word');
    other.write('still heard');
    const local = bed.local[1];
    expect(String((await once(local ?? other, 'data'))[0])).toBe('still heard');
    other.end();
  });

  it('holds back a sender whose reader is slow', async () => {
    bed.onLocal = (socket) => socket.pause();
    const link = await up();
    const stream = await link.openStream(libvirt);
    const block = Buffer.alloc(1024 * 1024);
    const before = process.memoryUsage().rss;
    let accepted = 0;
    const stop = new AbortController();
    const pump = async () => {
      for (let n = 0; n < 512; n += 1) {
        if (!stream.write(block)) await once(stream, 'drain', { signal: stop.signal });
        accepted += block.length;
      }
    };
    const pumping = pump().catch(() => undefined);
    await sleep(500);
    // Kernel buffers of three sockets hold a few MB each; 512 MB were offered.
    expect(accepted).toBeLessThan(64 * block.length);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * block.length);
    stop.abort();
    await pumping;
    stream.destroy();
  });

  it('carries a hundred streams at once', async () => {
    const link = await up();
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const stream = await link.openStream(libvirt);
        const sent = randomBytes(50_000);
        stream.end(sent);
        expect((await readAll(stream)).equals(sent)).toBe(true);
      }),
    );
    expect(bed.local).toHaveLength(100);
  });

  it('passes small messages on without delay', async () => {
    const link = await up();
    const stream = await link.openStream(libvirt);
    const times: number[] = [];
    for (let n = 0; n < 200; n += 1) {
      const sentMs = performance.now();
      stream.write('x');
      await once(stream, 'data');
      times.push(performance.now() - sentMs);
    }
    stream.destroy();
    // Nagle with delayed acknowledgement would cost 40 ms each.
    expect(times.sort((a, b) => a - b)[180]).toBeLessThan(10);
  });

  it('hears that the host wants a visitor brought home, and nothing where the notice is not what was agreed', async () => {
    const wanted: string[] = [];
    await up({ onHomeWanted: (of) => wanted.push(of) });
    const laptop = bed.server.peer(bed.laptop.fingerprint);
    laptop?.notify('home.wanted', { visit: '../etc' });
    laptop?.notify('home.wanted', { visit });
    await until(() => wanted.length > 0);
    expect(wanted).toEqual([visit]);
    expect(bed.faults).toEqual([expect.objectContaining({ code: 'bad-input' })]);
  });

  it('brings the host the streams it wants', async () => {
    const wanted: unknown[] = [];
    const link = await up({
      onWanted: async (what) => {
        wanted.push(what);
        return new PassThrough();
      },
    });
    const peer = bed.server.peer(bed.laptop.fingerprint);
    const stream = await peer?.requestStream({ kind: 'disk', visit, disk: 'vda' });
    if (stream === undefined) throw new Error('no stream');
    stream.end('block');
    expect(String(await readAll(stream))).toBe('block');
    expect(wanted).toEqual([{ kind: 'disk', visit, disk: 'vda', stream: expect.stringMatching(/^[0-9a-f]{32}$/) }]);
    expect(link.traffic()).toContainEqual(
      expect.objectContaining({ kind: 'disk', visit, receivedBytes: expect.any(Number) }),
    );
  });

  it('ends a wanted stream at once when the laptop has nothing to join it to', async () => {
    await up();
    const peer = bed.server.peer(bed.laptop.fingerprint);
    const stream = await peer?.requestStream({ kind: 'frames', visit, nic: 0 });
    if (stream === undefined) throw new Error('no stream');
    expect(await readAll(stream)).toHaveLength(0);
    expect(bed.faults[0]?.message).toContain('could not be joined');
  });

  it('tells the laptop what the host notices', async () => {
    const heard: unknown[] = [];
    await up({ onVisitChanged: (info) => heard.push(info) });
    bed.server.peer(bed.laptop.fingerprint)?.notify('visit.changed', visitInfo);
    await until(() => heard.length > 0);
    expect(heard).toEqual([visitInfo]);
  });

  it('says why a stream cannot be had', async () => {
    await bed.server.close();
    const server = await bed.listen({
      openLocal: () => Promise.reject(new Error('no such visit')),
    });
    const link = await up({ addresses: () => [{ address: '127.0.0.1', port: server.port }] });
    await expect(link.openStream(libvirt)).rejects.toMatchObject({ code: 'internal', message: 'no such visit' });
  });

  it('measures itself', async () => {
    const link = await up();
    for (const direction of ['out', 'home'] as const) {
      expect(await measureLink(link, direction, 8_000_000)).toBeGreaterThan(1_000_000);
    }
  });

  it('is lost after three silent beats, and its streams with it, on both sides', async () => {
    const relay = await makeRelay(() => bed.server.port);
    bed.atEnd(relay.close);
    const link = await up({
      addresses: () => [{ address: '127.0.0.1', port: relay.port }],
      heartbeatEveryMs: 50,
    });
    const stream = await link.openStream(libvirt);
    stream.on('error', () => undefined);
    const waiting = link.call('visit.list', {});
    await waiting;
    const closed = once(stream, 'close');
    relay.freeze();
    const hanging = link.call('visit.list', {});
    const frozenMs = performance.now();
    await expect(hanging).rejects.toMatchObject({ code: 'host-unreachable' });
    await closed;
    expect(performance.now() - frozenMs).toBeLessThan(1_000);
    expect(link.state).toBe('down');
    await expect(link.call('visit.list', {})).rejects.toMatchObject({ code: 'host-unreachable' });
    await expect(link.openStream(libvirt)).rejects.toMatchObject({ code: 'host-unreachable' });
  });

  it('is dropped by the host too when the laptop goes silent', async () => {
    await bed.server.close();
    const server = await bed.listen({ heartbeatEveryMs: 50 });
    const relay = await makeRelay(() => server.port);
    bed.atEnd(relay.close);
    const link = await up({ addresses: () => [{ address: '127.0.0.1', port: relay.port }], heartbeatEveryMs: 50 });
    const stream = await link.openStream(libvirt);
    stream.on('error', () => undefined);
    const peer = server.peer(bed.laptop.fingerprint);
    expect(peer?.connected).toBe(true);
    relay.freeze();
    await until(() => peer?.connected === false, 2_000);
    await until(() => bed.local[0]?.destroyed === true);
  });

  it('comes back by itself, at whatever port the host has then', async () => {
    const states: string[] = [];
    let port = bed.server.port;
    const link = await up({ addresses: () => [{ address: '127.0.0.1', port }] });
    link.onState((state) => states.push(state));
    await bed.server.close();
    await until(() => link.state === 'down');
    expect(link.obstacle?.code).toBe('host-unreachable');
    const again = await bed.listen();
    port = again.port;
    link.nudge();
    await until(() => link.state === 'up', 2_000);
    expect(await link.call('visit.list', {})).toEqual({ visits: [visitInfo] });
    expect(states).toEqual(['down', 'up']);
  });

  it('takes the address that answers, when others lead nowhere', async () => {
    await up({
      addresses: () => [
        { address: '127.0.0.1', port: 1 },
        { address: '192.0.2.1', port: 1 },
        bed.address(),
        bed.address(),
        bed.address(),
      ],
    });
    await sleep(100);
    expect(bed.server.peer(bed.laptop.fingerprint)?.connected).toBe(true);
  });

  it('leaves an address that does not answer as soon as it is told of another', async () => {
    // Accepts and never says a word: what a dead route looks like until its time is out.
    const mute = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    bed.atEnd(() => mute.close());
    let port = (mute.address() as AddressInfo).port;
    const link = bed.link({ addresses: () => [{ address: '127.0.0.1', port }] });
    await sleep(1_050);
    port = bed.server.port;
    link.nudge();
    await until(() => link.state === 'up', 1_000);
  });

  it('closes in the middle of an attempt', async () => {
    const mute = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    bed.atEnd(() => mute.close());
    const { port } = mute.address() as AddressInfo;
    const link = bed.link({ addresses: () => [{ address: '127.0.0.1', port }] });
    await sleep(50);
    const beganMs = performance.now();
    await link.close();
    expect(performance.now() - beganMs).toBeLessThan(500);
  });

  it('replaces a laptop’s earlier connection, streams included, by its later one', async () => {
    const first = await up();
    const stream = await first.openStream(libvirt);
    stream.on('error', () => undefined);
    const closed = once(stream, 'close');
    const states: string[] = [];
    first.onState((state) => states.push(state));
    const second = await up();
    await closed;
    expect(states).toEqual(['down']);
    expect(await second.call('visit.list', {})).toEqual({ visits: [visitInfo] });
    await first.close();
  });
});
