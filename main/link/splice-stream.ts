import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { keepQueueShort } from './send-buffer.ts';
import { follow, splice } from './splice.ts';
import type { TrafficKind } from './traffic.ts';
import { UrgentPages } from './urgent-pages.ts';
import { sendAtPace } from './urgent-pages-pace.ts';

/** Guest memory is mostly text and tables; the fastest level already takes two thirds of it away. */
const level = 1;
/** What a peer may make us hold to unpack: 8 MiB. */
const maxWindowLog = 23;

/**
 * Joins what is local to what came over the link. A migration crosses compressed: the dearest bytes there are
 * cross while a guest waits for them, so each piece is flushed as it comes.
 */
export function spliceStream(kind: TrafficKind, local: Duplex, wire: Duplex): Promise<void> {
  return kind === 'migration' ? splicePacked(local, wire) : splice(local, wire);
}

/**
 * As `splice`, with zstd (RFC 8878) on the wire's side, and pages that the guest waits for first. What does not unpack
 * destroys both.
 */
async function splicePacked(local: Duplex, wire: Duplex): Promise<void> {
  const packer = createZstdCompress({
    flush: constants.ZSTD_e_flush,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
  const unpacker = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog } });
  // Both ends do this; it is whoever sends the memory that it matters for.
  if (wire instanceof Socket) keepQueueShort(wire);
  const pages = new UrgentPages();
  const halves = [packer, unpacker, pages, pages.returnPath];
  for (const half of halves) {
    half.on('error', () => {
      local.destroy();
      wire.destroy();
    });
  }
  local.pipe(pages);
  sendAtPace(pages, packer, wire);
  wire.pipe(unpacker).pipe(pages.returnPath).pipe(local);
  await Promise.all([follow(local, wire), follow(wire, local)]);
  for (const half of halves) half.destroy();
}
