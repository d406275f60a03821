import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Carrier } from '../../../main/link/index.ts';
import { readAll, until } from './bed.ts';

interface Pair {
  readonly laptop: Duplex;
  readonly host: Duplex;
  readonly near: Carrier;
  readonly far: Carrier;
}

/** Two carriers and what a QEMU at each end would hold; not yet joined. */
function carrierPair(): Pair {
  const [laptop, a] = duplexPair({ allowHalfOpen: true });
  const [host, b] = duplexPair({ allowHalfOpen: true });
  return { laptop, host, near: new Carrier(a), far: new Carrier(b) };
}

/** Joins both over a wire of their own, and tells how to break it. */
function join({ near, far }: Pair): { wire: Duplex; over: Promise<unknown>; cut(): void } {
  const [wire, other] = duplexPair({ allowHalfOpen: true });
  const over = Promise.all([near.attach(wire), far.attach(other)]);
  return {
    wire,
    over,
    cut() {
      wire.destroy();
      other.destroy();
    },
  };
}

describe('a migration stream', () => {
  it('arrives as it left, both ways, in fewer bytes', async () => {
    const pair = carrierPair();
    const { wire } = join(pair);
    let crossed = 0;
    wire.on('data', (chunk: Buffer) => {
      crossed += chunk.length;
    });
    const out = randomBytes(300_000);
    const home = Buffer.concat(Array.from({ length: 500 }, () => Buffer.alloc(4096, 'a page like many others ')));
    pair.laptop.end(out);
    pair.host.end(home);
    const [atHost, atLaptop] = await Promise.all([readAll(pair.host), readAll(pair.laptop)]);
    expect(atHost.equals(out) && atLaptop.equals(home)).toBe(true);
    expect(crossed).toBeLessThan(home.length / 10);
    await Promise.all([pair.near.done, pair.far.done]);
  });

  it('holds nothing back: a page somebody waits for crosses at once', async () => {
    const pair = carrierPair();
    join(pair);
    for (let round = 0; round < 20; round += 1) {
      const heard = once(pair.host, 'data');
      pair.laptop.write(randomBytes(24));
      await heard;
      const answered = once(pair.laptop, 'data');
      pair.host.write(randomBytes(4104));
      await answered;
    }
  });

  it('outlives its wires: no byte is lost or comes twice, wherever they break', async () => {
    const cuts = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(cuts, fc.integer({ min: 1, max: 3_000_000 }), async (pauses, size) => {
        const pair = carrierPair();
        const [out, home] = [randomBytes(size), randomBytes(200_000)];
        pair.laptop.end(out);
        pair.host.end(home);
        const arrived = Promise.all([readAll(pair.host), readAll(pair.laptop)]);
        for (const pause of pauses) {
          const { cut, over } = join(pair);
          await sleep(pause);
          cut();
          await over;
        }
        join(pair);
        const [atHost, atLaptop] = await arrived;
        expect(atHost.equals(out) && atLaptop.equals(home)).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it('waits for the next wire, and does not read on for ever meanwhile', async () => {
    const pair = carrierPair();
    const { cut, over } = join(pair);
    cut();
    await over;
    let accepted = 0;
    const chunk = randomBytes(1024 * 1024);
    for (let at = 0; at < 32; at += 1) pair.laptop.write(chunk, () => accepted++);
    await sleep(50);
    expect(accepted).toBeLessThan(8);
    expect(pair.host.destroyed).toBe(false);
    let heard = 0;
    pair.host.on('data', (bytes: Buffer) => {
      heard += bytes.length;
    });
    join(pair);
    await until(() => heard === 32 * chunk.length);
  });

  it('breaks off at the other end when it breaks off at this one, also over a later wire', async () => {
    const breakOff = async (attached: boolean): Promise<void> => {
      const pair = carrierPair();
      const first = join(pair);
      pair.host.resume();
      pair.laptop.write(randomBytes(10_000));
      await once(pair.host, 'data');
      if (!attached) {
        first.cut();
        await first.over;
      }
      pair.near.destroy();
      if (!attached) join(pair);
      await Promise.all([pair.near.done, pair.far.done]);
      expect(pair.host.destroyed || pair.host.readableEnded).toBe(true);
    };
    // Which of two events comes first is up to zlib's threads: often enough for the rarer order.
    await Promise.all(Array.from({ length: 200 }, (_, at) => breakOff(at % 2 === 0)));
  });

  it('ends when what arrives is no carrier’s', async () => {
    const [laptop, local] = duplexPair({ allowHalfOpen: true });
    const [peer, wire] = duplexPair({ allowHalfOpen: true });
    const carrier = new Carrier(local);
    laptop.resume();
    peer.resume();
    void carrier.attach(wire);
    peer.write(randomBytes(5_000));
    await until(() => wire.destroyed);
  });
});
