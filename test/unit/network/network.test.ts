import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { announceResolver } from '../../../main/network/dhcp.ts';
import { FrameReader, maxFrameBytes, payload } from '../../../main/network/frames.ts';
import { FrameHub } from '../../../main/network/hub.ts';
import { isDhcpAnswer, leaseOf } from './fake-guest.ts';

function piece(frame: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(frame.length);
  return Buffer.concat([header, frame]);
}

describe('the frame reader', () => {
  test('gives back every frame, however the stream is cut', () => {
    const frame = fc.uint8Array({ minLength: 14, maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 20 }), fc.array(fc.nat(400), { maxLength: 40 }), (frames, cuts) => {
        const reader = new FrameReader();
        const read: Buffer[] = [];
        let rest = Buffer.concat(frames.map(piece));
        for (const cut of [...cuts, rest.length]) {
          read.push(...reader.read(rest.subarray(0, cut)));
          rest = rest.subarray(cut);
        }
        read.push(...reader.read(rest));
        expect(read.map(payload)).toEqual(frames);
      }),
    );
  });

  test('takes the longest frame there is and refuses the next longer before it has arrived', () => {
    const longest = piece(Buffer.alloc(maxFrameBytes));
    expect(new FrameReader().read(longest)).toHaveLength(1);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(maxFrameBytes + 1);
    expect(() => new FrameReader().read(header)).toThrow(RangeError);
  });

  test('survives random bytes: frames or a refusal, never more kept than one frame', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (chunks) => {
        const reader = new FrameReader();
        try {
          for (const chunk of chunks) reader.read(Buffer.from(chunk));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});

/** A DHCP answer with these options and `padding` bytes after their end. */
function dhcpAnswer(options: string, padding: number): Buffer {
  const frame = Buffer.alloc(282);
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame[23] = 17;
  frame.writeUInt16BE(67, 34);
  frame.writeUInt16BE(68, 36);
  frame.writeUInt16BE(0xabcd, 40);
  frame.writeUInt32BE(0x63825363, 278);
  return piece(Buffer.concat([frame, Buffer.from(options.replaceAll(' ', ''), 'hex'), Buffer.alloc(padding)]));
}

describe('the DHCP answer', () => {
  const resolver = [10, 0, 2, 3];

  test.each([
    ['that names none', '350102 03040a000202 ff', 40],
    ['that names another', '350102 06047f000035 ff', 0],
    ['that names several', '350102 060cc0a80101c0a80102c0a80103 03040a000202 ff', 0],
    ['with padding in between', '350102 0000 ff', 40],
  ])('%s names our resolver and no other, and loses its checksum', (_, options, padding) => {
    const answer = dhcpAnswer(options, padding);
    const bytes = answer.length;
    announceResolver(answer, resolver);
    expect(answer.length).toBe(bytes);
    const frame = payload(answer);
    expect(isDhcpAnswer(frame)).toBe(true);
    expect(frame.readUInt16BE(40)).toBe(0);
    if (!options.includes('0000 ')) expect(new Set(leaseOf(frame).resolvers)).toEqual(new Set(['10.0.2.3']));
  });

  test.each([
    ['without room', '350102 ff', 0],
    ['whose options never end', '350102', 0],
    ['whose option is longer than the frame', '35ff', 0],
    ['whose DNS option is too short', '060101 ff', 0],
  ])('%s stays as it was', (_, options, padding) => {
    const answer = dhcpAnswer(options, padding);
    const before = Buffer.from(answer);
    announceResolver(answer, resolver);
    expect(answer).toEqual(before);
  });

  test('is all that is touched, and no frame makes it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 14, maxLength: 400 }), fc.boolean(), (bytes, looksRight) => {
        const random = Buffer.from(bytes);
        if (looksRight) payload(dhcpAnswer('', 0)).copy(random, 0, 0, Math.min(282, random.length));
        announceResolver(piece(random), resolver);
      }),
      { numRuns: 1_000 },
    );
  });
});

/** A receiver that takes nothing until told to. */
class SlowStream extends Duplex {
  readonly taken: Buffer[] = [];
  blocked = false;
  #waiting: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 16 * 1024 });
  }

  override _read(): void {
    // Data is pushed by the test.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(chunk);
    if (this.blocked) this.#waiting = done;
    else done();
  }

  release(): void {
    this.blocked = false;
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

describe('the hub', () => {
  const frame = piece(Buffer.alloc(1_000, 7));

  function hubWith(ports: readonly SlowStream[]) {
    const uplink = new SlowStream();
    const hub = new FrameHub({ stream: uplink }, () => undefined);
    for (const port of ports) hub.plug(port);
    return { hub, uplink };
  }

  test('gives the uplink’s frames to every port, and a port’s frames to the uplink alone', async () => {
    const ports = [new SlowStream(), new SlowStream()];
    const { hub, uplink } = hubWith(ports);
    hub.fromUplink([frame]);
    for (const port of ports) expect(Buffer.concat(port.taken)).toEqual(frame);
    ports[0]?.push(frame);
    await expect.poll(() => Buffer.concat(uplink.taken).length).toBe(frame.length);
    expect(ports[1]?.taken).toHaveLength(1);
  });

  test('keeps no more than a bound for a port that takes nothing, and does not slow the other for it', () => {
    const slow = new SlowStream();
    const quick = new SlowStream();
    slow.blocked = true;
    const { hub, uplink } = hubWith([slow, quick]);
    for (let count = 0; count < 5_000; count += 1) hub.fromUplink([frame]);
    expect(slow.writableLength).toBeLessThan(300 * 1024);
    expect(Buffer.concat(quick.taken).length).toBe(5_000 * frame.length);
    expect(uplink.isPaused()).toBe(false);
  });

  test('holds the uplink back while its only port is full, and lets go when the port takes again', async () => {
    const port = new SlowStream();
    port.blocked = true;
    const { hub, uplink } = hubWith([port]);
    for (let count = 0; count < 200; count += 1) hub.fromUplink([frame]);
    expect(uplink.isPaused()).toBe(true);
    port.release();
    await expect.poll(() => uplink.isPaused()).toBe(false);
  });

  test('waits for a stopped guest but once: then its frames are dropped', () => {
    vi.useFakeTimers();
    try {
      const port = new SlowStream();
      port.blocked = true;
      const { hub, uplink } = hubWith([port]);
      for (let count = 0; count < 200; count += 1) hub.fromUplink([frame]);
      vi.advanceTimersByTime(1_000);
      expect(uplink.isPaused()).toBe(false);
      for (let count = 0; count < 1_000; count += 1) hub.fromUplink([frame]);
      expect(uplink.isPaused()).toBe(false);
      expect(port.writableLength).toBeLessThan(300 * 1024);
    } finally {
      vi.useRealTimers();
    }
  });

  test('hangs up on the oldest when far too many are plugged in', () => {
    const ports = Array.from({ length: 6 }, () => new SlowStream());
    hubWith(ports);
    expect(ports.map(({ destroyed }) => destroyed)).toEqual([true, true, false, false, false, false]);
  });
});
