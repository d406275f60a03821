import type { Duplex } from 'node:stream';

/** Joins two byte streams, each half closing by itself; a fault of one ends both. */
export function splice(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on('error', () => to.destroy());
    from.once('close', () => {
      if (!from.readableEnded || from.errored) to.destroy();
    });
    from.pipe(to);
  }
}
