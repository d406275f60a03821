import type { Duplex } from 'node:stream';
import { constants, createZstdCompress, createZstdDecompress, type ZstdCompress, type ZstdDecompress } from 'node:zlib';
import { dataRecord, emptyRecord, haveRecord, RecordReader, recordType } from './carrier-records.ts';
import { UrgentPages } from './urgent-pages.ts';

/** Guest memory is mostly text and tables; the fastest level already takes two thirds of it away. */
const level = 1;
/** What a peer may make us hold to unpack: 8 MiB. */
const maxWindowLog = 23;
/** Bytes that may wait before the wire: what waits there cannot be overtaken. */
const mostWaitingBytes = 16 * 1024;
/** Sent and not known to have come: enough for 100 MB/s over a round trip of 40 ms. */
const mostUnackedBytes = 4 * 1024 * 1024;
/** Received and not yet acknowledged, at most for `ackDelayMs`. */
const ackEveryBytes = 256 * 1024;
const ackDelayMs = 20;
/** For the last acknowledgement, once the connection behind this end has closed; and for the wire to close after it. */
const lingerMs = 10_000;

interface Session {
  readonly wire: Duplex;
  readonly packer: ZstdCompress;
  readonly unpacker: ZstdDecompress;
  /** The other end has said what it has. */
  ready: boolean;
  packing: boolean;
  endSaid: boolean;
  /** To be sent again in this session. */
  again: Buffer[];
}

/**
 * One end of a QEMU migration stream that outlives the connections it crosses. `local` leads to QEMU, which would take
 * a break for the end: after the flip to post-copy it might never recover, since its main loop may itself wait for a
 * page (docs/decisions.md). A wire may therefore break and another take its place; bytes are kept until the other
 * carrier has them. They cross compressed (zstd, RFC 8878), each piece flushed, and pages that the guest waits for first.
 */
export class Carrier {
  /** Resolves when `local` has closed and the other end has all it is to have; or cannot be told any more. */
  readonly done: Promise<void>;
  readonly #local: Duplex;
  readonly #pages = new UrgentPages();
  #session: Session | undefined;
  #toldOfMore = false;
  /** Pieces sent, from `#ackedBytes` on. */
  #unacked: Buffer[] = [];
  #unackedBytes = 0;
  #ackedBytes = 0;
  #receivedBytes = 0;
  #toldBytes = 0;
  #ackTimer: NodeJS.Timeout | undefined;
  /** The end of a direction counts as one more byte, so that it is acknowledged like one. */
  #endCounted = false;
  #endHeard = false;
  #localClosed = false;
  #broken = false;
  #finished = false;
  readonly #finish: () => void;

  constructor(local: Duplex) {
    this.#local = local;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#finish = resolve;
    for (const stream of [local, this.#pages, this.#pages.returnPath]) stream.on('error', () => local.destroy());
    this.#pages.whenMore(() => {
      this.#toldOfMore = true;
      this.#feed();
    });
    local.pipe(this.#pages);
    this.#pages.returnPath.pipe(local);
    if (local.closed) this.#onLocalClosed();
    else local.once('close', () => this.#onLocalClosed());
  }

  /**
   * Carries over `wire` from here on, instead of any before it. Resolves when it is over with that wire, to whether a carrier at
   * its other end has said a word.
   */
  async attach(wire: Duplex): Promise<boolean> {
    this.#session?.wire.destroy();
    if (this.#finished) {
      wire.destroy();
      return true;
    }
    const session: Session = {
      wire,
      packer: createZstdCompress({
        flush: constants.ZSTD_e_flush,
        params: { [constants.ZSTD_c_compressionLevel]: level },
      }),
      unpacker: createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog } }),
      ready: false,
      packing: false,
      endSaid: false,
      again: [],
    };
    this.#session = session;
    await this.#carryOver(session);
    if (this.#session === session) this.#session = undefined;
    session.packer.destroy();
    session.unpacker.destroy();
    return session.ready;
  }

  /** Cuts QEMU off. */
  destroy(): void {
    this.#local.destroy();
    if (this.#localClosed) this.#end();
  }

  #carryOver(session: Session): Promise<void> {
    const { wire, packer, unpacker } = session;
    const reader = new RecordReader({
      onHave: (receivedBytes) => this.#onHave(session, receivedBytes),
      onData: (bytes) => this.#onData(session, bytes),
      onEnd: () => this.#onEnd(),
      onBroken: () => {
        // The other end knows: nothing is left to be told.
        this.#local.destroy();
        this.#end();
      },
    });
    unpacker.on('data', (chunk: Buffer) => {
      if (this.#session !== session) return;
      try {
        reader.read(chunk);
      } catch {
        this.destroy();
      }
    });
    packer.on('data', (chunk: Buffer) => wire.write(chunk, () => this.#feed()));
    // A wire that ends ends the session; whatever that cuts off comes again over the next.
    unpacker.once('end', () => wire.destroy());
    for (const stream of [wire, packer, unpacker]) stream.on('error', () => wire.destroy());
    wire.pipe(unpacker);
    this.#say(session, haveRecord(this.#receivedBytes));
    if (this.#broken) this.#say(session, emptyRecord(recordType.broken));
    return new Promise((resolve) => {
      if (wire.closed) resolve();
      else wire.once('close', resolve);
    });
  }

  #onHave(session: Session, receivedBytes: number): void {
    if (receivedBytes < this.#ackedBytes || receivedBytes > this.#ackedBytes + this.#unackedBytes) {
      // Not the end that this stream began with: nothing can be continued.
      this.destroy();
      return;
    }
    this.#forget(receivedBytes - this.#ackedBytes);
    if (!session.ready) {
      session.ready = true;
      session.again = [...this.#unacked];
    }
    this.#feed();
    this.#maybeEnd();
  }

  #forget(bytes: number): void {
    this.#ackedBytes += bytes;
    this.#unackedBytes -= bytes;
    let left = bytes;
    for (let first = this.#unacked[0]; first !== undefined && left > 0; first = this.#unacked[0]) {
      if (first.length > left) {
        this.#unacked[0] = first.subarray(left);
        return;
      }
      left -= first.length;
      this.#unacked.shift();
    }
  }

  #onData(session: Session, bytes: Buffer): void {
    this.#receivedBytes += bytes.length;
    const { returnPath } = this.#pages;
    if (!returnPath.writable) return;
    if (!returnPath.write(bytes)) {
      session.unpacker.pause();
      returnPath.once('drain', () => session.unpacker.resume());
    }
    if (this.#receivedBytes - this.#toldBytes >= ackEveryBytes) this.#acknowledge();
    else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ackDelayMs);
  }

  #onEnd(): void {
    if (this.#endHeard) return;
    this.#endHeard = true;
    this.#receivedBytes += 1;
    this.#acknowledge();
    this.#pages.returnPath.end();
  }

  #acknowledge(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (this.#session === undefined) return;
    this.#toldBytes = this.#receivedBytes;
    this.#say(this.#session, haveRecord(this.#receivedBytes));
  }

  #say({ packer }: Session, record: Buffer): void {
    if (packer.writable) packer.write(record);
  }

  /** The next piece to the wire, as soon as the one before has all but left. */
  #feed(): void {
    const session = this.#session;
    if (session === undefined || !session.ready || session.packing) return;
    const { wire, packer } = session;
    if (wire.destroyed || !packer.writable || wire.writableLength > mostWaitingBytes) return;
    // From here on: taking a piece makes room for more, of which this is told at once.
    session.packing = true;
    let piece: Buffer | undefined;
    do {
      this.#toldOfMore = false;
      piece = session.again.shift() ?? this.#take();
    } while (piece === undefined && this.#toldOfMore);
    if (piece === undefined) {
      session.packing = false;
      this.#maybeSayEnd(session);
      return;
    }
    packer.write(dataRecord(piece), () => {
      session.packing = false;
      if (this.#session === session) this.#feed();
    });
  }

  #take(): Buffer | undefined {
    if (this.#unackedBytes >= mostUnackedBytes) return undefined;
    const piece = this.#pages.take();
    if (piece === undefined) return undefined;
    this.#unacked.push(piece);
    this.#unackedBytes += piece.length;
    return piece;
  }

  #maybeSayEnd(session: Session): void {
    if (session.endSaid || !this.#pages.spent) return;
    if (!this.#endCounted) {
      this.#endCounted = true;
      this.#unackedBytes += 1;
    }
    session.endSaid = true;
    if (this.#unackedBytes === 0) return;
    this.#say(session, emptyRecord(recordType.end));
  }

  #onLocalClosed(): void {
    this.#localClosed = true;
    if (this.#finished) return;
    // A clean end has been said, and heard, in both directions.
    this.#broken = !this.#local.readableEnded || !this.#local.writableFinished;
    if (this.#broken && this.#session !== undefined) this.#say(this.#session, emptyRecord(recordType.broken));
    setTimeout(() => this.#end(), lingerMs).unref();
    this.#maybeEnd();
  }

  #maybeEnd(): void {
    if (!this.#localClosed || this.#finished) return;
    if (this.#broken ? this.#session?.ready === true : this.#endCounted && this.#unackedBytes === 0) this.#end();
  }

  #end(): void {
    if (this.#finished) return;
    this.#finished = true;
    clearTimeout(this.#ackTimer);
    this.#pages.destroy();
    this.#pages.returnPath.destroy();
    if (this.#session === undefined || this.#session.wire.closed) this.#finish();
    else this.#takeLeave(this.#session);
  }

  /** What was said last is heard: all is flushed first, and a socket closed with bytes unread could take it back. */
  #takeLeave({ wire, packer, unpacker }: Session): void {
    // All written is not yet all read: a callback of `end` would come too early.
    packer.once('end', () => wire.end());
    packer.end();
    unpacker.resume();
    const giveUp = setTimeout(() => wire.destroy(), lingerMs).unref();
    wire.once('close', () => {
      clearTimeout(giveUp);
      this.#finish();
    });
  }
}
