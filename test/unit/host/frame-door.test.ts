import { type Duplex, duplexPair } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { carryFrames } from '../../../main/host/frame-door.ts';

function frame(fill: number, bytes = 60): Buffer {
  const piece = Buffer.alloc(4 + bytes, fill);
  piece.writeUInt32BE(bytes);
  return piece;
}

function heardBy(stream: Duplex): () => Buffer {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks);
}

it('keeps the guest plugged in over a broken link, and never carries half a frame', async () => {
  const [qemu, guest] = duplexPair();
  const homes: Duplex[] = [];
  const gone = new AbortController();
  const carrying = carryFrames(
    guest,
    async () => {
      const [near, far] = duplexPair();
      homes.push(far);
      near.once('close', () => far.destroy());
      far.once('close', () => near.destroy());
      return near;
    },
    gone.signal,
  );
  const atGuest = heardBy(qemu);
  await expect.poll(() => homes.length).toBe(1);
  const atFirst = heardBy(homes[0] as Duplex);
  qemu.write(Buffer.concat([frame(1), frame(2).subarray(0, 20)]));
  homes[0]?.write(Buffer.concat([frame(3), frame(4).subarray(0, 30)]));
  await expect.poll(() => [atFirst().equals(frame(1)), atGuest().equals(frame(3))]).toEqual([true, true]);

  homes[0]?.destroy();
  await sleep(20);
  // Lost: nobody is there.
  qemu.write(Buffer.concat([frame(2).subarray(20), frame(5)]));
  await expect.poll(() => homes.length).toBe(2);
  const atSecond = heardBy(homes[1] as Duplex);
  qemu.write(frame(6));
  homes[1]?.write(frame(7));
  await expect.poll(() => atSecond().equals(frame(6))).toBe(true);
  await expect.poll(() => atGuest().equals(Buffer.concat([frame(3), frame(7)]))).toBe(true);
  expect(guest.destroyed).toBe(false);

  gone.abort();
  guest.destroy();
  await carrying;
});
