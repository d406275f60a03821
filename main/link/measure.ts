import { once } from 'node:events';
import type { Duplex } from 'node:stream';
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
      const ended = once(stream, 'end');
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
    if (!more) await changed(stream, 'drain');
  }
}

async function swallow(stream: Duplex, bytes: number): Promise<void> {
  let left = bytes;
  stream.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left <= 0) stream.emit('homeward-measured');
  });
  if (bytes > 0) await changed(stream, 'homeward-measured');
}

/** Waits for `event`. @throws when the stream closes first */
async function changed(stream: Duplex, event: string): Promise<void> {
  const stop = new AbortController();
  const closed = once(stream, 'close', { signal: stop.signal }).then(() => {
    throw new Error('the stream has closed');
  });
  try {
    await Promise.race([once(stream, event, { signal: stop.signal }), closed]);
  } finally {
    closed.catch(() => undefined);
    stop.abort();
  }
}
