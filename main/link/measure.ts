import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { HomewardError } from '../../shared/errors.ts';
import type { StreamHello } from '../../shared/wire.ts';

type Measure = StreamHello & { kind: 'measure' };

const block = Buffer.alloc(64 * 1024);

/** The host's part: swallows or sends what was asked for, then ends. */
export async function serveMeasure(stream: Duplex, { direction, bytes }: Measure): Promise<void> {
  if (direction === 'home') await send(stream, bytes);
  else await swallow(stream, bytes);
  stream.end();
  stream.resume();
}

/**
 * Payload bytes per second through the link in one direction, measured with `bytes` (at most 256 MiB) on a
 * connection of its own.
 * @throws HomewardError as `openStream`, or `host-unreachable`: the link broke meanwhile
 */
export async function measureLink(
  link: { openStream(hello: Measure): Promise<Duplex> },
  direction: Measure['direction'],
  bytes: number,
): Promise<number> {
  const stream = await link.openStream({ kind: 'measure', direction, bytes });
  try {
    const beganMs = performance.now();
    if (direction === 'out') {
      // Also where it is cut off before its end, though all was sent.
      const ended = finished(stream, { writable: false });
      stream.resume();
      await Promise.all([send(stream, bytes), ended]);
    } else {
      await swallow(stream, bytes);
    }
    return (bytes / Math.max(performance.now() - beganMs, 0.001)) * 1_000;
  } catch (cause) {
    throw new HomewardError('host-unreachable', 'The link broke while it was measured.', { cause });
  } finally {
    stream.destroy();
  }
}

async function send(stream: Duplex, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= block.length) {
    const more = stream.write(left < block.length ? block.subarray(0, left) : block);
    if (!more) await drained(stream);
  }
}

async function drained(stream: Duplex): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const settle = (): void => {
      stream.off('drain', settle).off('close', settle);
      if (stream.destroyed) reject(new Error('the stream has closed'));
      else resolve();
    };
    stream.on('drain', settle).on('close', settle);
    if (stream.destroyed) settle();
  });
}

async function swallow(stream: Duplex, bytes: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let left = bytes;
    const short = (): void => reject(new Error(`the stream has ended ${left} bytes early`));
    stream.once('end', short).once('close', short);
    stream.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) resolve();
    });
    if (bytes === 0) resolve();
    else if (stream.readableEnded || stream.destroyed) short();
  });
}
