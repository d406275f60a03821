import type { Duplex, Transform } from 'node:stream';
import type { UrgentPages } from './urgent-pages.ts';

/** Bytes that may wait before the wire: what waits there cannot be overtaken. */
const mostWaitingBytes = 16 * 1024;

/** Sends `pages` through `packer` over `wire`, each piece taken only when the one before has all but left. */
export function sendAtPace(pages: UrgentPages, packer: Transform, wire: Duplex): void {
  let packing = false;
  const feed = () => {
    if (packing || packer.writableEnded || wire.destroyed || wire.writableLength > mostWaitingBytes) return;
    const piece = pages.take();
    if (piece === undefined) {
      if (pages.spent) packer.end();
      return;
    }
    packing = true;
    packer.write(piece, () => {
      packing = false;
      feed();
    });
  };
  packer.on('data', (chunk: Buffer) => wire.write(chunk, feed));
  packer.on('end', () => wire.end());
  pages.whenMore(feed);
}
