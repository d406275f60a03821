import { Writable } from 'node:stream';
import {
  type FixedBytes,
  type PageRecord,
  pageBytes,
  type RamBlock,
  ramFlag,
  recordHeaderBytes,
  type StreamPart,
  StreamReader,
} from './urgent-pages-reader.ts';
import { type PageRequest, type Range, ReturnPath } from './urgent-pages-requests.ts';

/** Read ahead of what the wire takes, so that it never waits: 2.5 ms of a wire at 100 MB/s. */
const aheadBytes = 256 * 1024;
/**
 * Read at most, while a page asked for has not come. QEMU sends it next, but behind what it had written before: each
 * request may add 350 KB that the wire has yet to take.
 */
const mostAheadBytes = 128 * 1024 * 1024;
/** Taken at a time of what nobody waits for. */
const pieceBytes = 32 * 1024;
/**
 * A guest that wakes at the destination asks for page after page, each a moment after it has the one before: in its first
 * second the wire is its own, until it has asked for nothing for a while. Its silence is a third shorter so, the move
 * longer by less than that second.
 */
const wakingMs = 1_000;
const quietMs = 10;
/** A page is asked for with those around it, which the guest will want next: aligned, and one batch of QEMU's. */
const clusterBytes = 16 * pageBytes;

/**
 * A migration stream of QEMU in which the pages that the guest waits for overtake the others: what the capability
 * postcopy-preempt (QEMU 7.1; not offered by libvirt 9) does with a second connection, for any QEMU. The stream is
 * written to this, and `take` gives it back piece by piece. In post-copy QEMU sends each page once, so that their order
 * is free within the RAM sections; all else keeps its place, and so does a stream that is not fully understood.
 */
export class UrgentPages extends Writable {
  readonly #reader = new StreamReader();
  #onMore: () => void = () => undefined;
  /** In the order of the stream; what is before `#head` is gone, and so are some pages behind it. */
  #queue: (FixedBytes | QueuedPage)[] = [];
  #head = 0;
  #queuedBytes = 0;
  /** Pages queued and not gone, by their number among all pages. */
  readonly #queuedPages = new Map<number, QueuedPage>();
  /** The page read last. Whatever follows may mean its block without naming it, so it stays where it is till a page follows. */
  #newest: QueuedPage | undefined;
  /** Asked for, and not yet to be sent. */
  readonly #awaited = new Set<number>();
  /** Around those, likewise. */
  readonly #nearAwaited = new Set<number>();
  #urgent: QueuedPage[] = [];
  readonly #near: QueuedPage[] = [];
  /** By number of the page: 1 once it has gone out in post-copy. */
  #gone = new Uint8Array(0);
  /** What goes out next may be a page record. */
  #inRam = false;
  #lastBlock: RamBlock | undefined;
  #readOn: (() => void) | undefined;
  #ended = false;
  #firstAskedAtMs = Number.POSITIVE_INFINITY;
  #lastAskedAtMs = Number.NEGATIVE_INFINITY;
  #quietTimer: NodeJS.Timeout | undefined;

  constructor() {
    super({ decodeStrings: true, highWaterMark: 1 });
  }

  /** What the other end says passes through here to QEMU. */
  readonly returnPath = new ReturnPath((request) => this.#asked(request));

  /** Called whenever `take` may have more to give, and when the stream has ended. */
  whenMore(callback: () => void): void {
    this.#onMore = callback;
  }

  /** All has been taken and no more will come. */
  get spent(): boolean {
    return this.#ended && this.#head === this.#queue.length;
  }

  /** The next piece to send: what is urgent, or else some of what follows in the stream. */
  take(): Buffer | undefined {
    // Urgent ones by themselves: a piece is of use at the other end only when all of it is there.
    const pieces = this.#takeUrgent();
    if (pieces.length === 0) {
      for (let bytes = 0; bytes < pieceBytes; ) {
        if (this.#inRam && this.#urgent.length > 0) break;
        const piece = this.#takeNear() ?? (this.#waking() ? undefined : this.#takeNext());
        if (piece === undefined) break;
        pieces.push(piece);
        bytes += piece.length;
      }
    }
    this.#readAhead();
    return pieces.length > 0 ? Buffer.concat(pieces) : undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#enqueue(this.#reader.read(chunk));
    this.#readOn = done;
    this.#onMore();
    this.#readAhead();
  }

  override _final(done: () => void): void {
    this.#enqueue(this.#reader.end());
    this.#ended = true;
    this.#onMore();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#quietTimer);
    done(error);
  }

  #enqueue(parts: readonly StreamPart[]): void {
    for (const part of parts) {
      this.#queuedBytes += part.bytes.length;
      if (!('block' in part)) {
        this.#queue.push(part);
        continue;
      }
      const page = pageNumber(part.block, part.offset);
      const queued = { record: part, page, gone: false };
      this.#queue.push(queued);
      // Were a page to come twice, the first must stay the first.
      if (!this.#queuedPages.has(page) && this.#gone[page] !== 1) this.#queuedPages.set(page, queued);
      const before = this.#newest;
      if (before === undefined && !part.named) this.#lastBlock = this.#reader.blockAtFlip;
      this.#newest = queued;
      if (before !== undefined) this.#hasten(before.page);
    }
    // It will never be seen to come.
    if (!this.#reader.inPostcopy) this.#awaited.clear();
  }

  /** Notes what the destination waits for. Returns what to ask QEMU for instead. */
  #asked({ blockName, offset, lengthBytes }: PageRequest): Range | undefined {
    const block = this.#reader.inPostcopy ? this.#reader.block(blockName) : undefined;
    // A page of the host that is larger crosses in parts that must not be parted.
    if (block === undefined || lengthBytes !== pageBytes || offset % pageBytes !== 0 || offset >= block.lengthBytes) {
      return undefined;
    }
    this.#lastAskedAtMs = performance.now();
    this.#firstAskedAtMs = Math.min(this.#firstAskedAtMs, this.#lastAskedAtMs);
    const from = offset - (offset % clusterBytes);
    const to = Math.min(from + clusterBytes, block.lengthBytes);
    this.#want(this.#awaited, pageNumber(block, offset));
    for (let near = from; near < to; near += pageBytes) this.#want(this.#nearAwaited, pageNumber(block, near));
    this.#onMore();
    this.#readAhead();
    return { offset: from, lengthBytes: to - from };
  }

  #want(awaited: Set<number>, page: number): void {
    if (this.#gone[page] === 1) return;
    awaited.add(page);
    this.#hasten(page);
  }

  /** Lets a page that is wanted overtake, once it may. */
  #hasten(page: number): void {
    const queued = this.#queuedPages.get(page);
    if (queued === undefined || queued === this.#newest) return;
    if (this.#awaited.delete(page)) this.#urgent.push(queued);
    else if (this.#nearAwaited.delete(page)) this.#near.push(queued);
  }

  /** Whether the wire is to stay free for what the guest will ask for next. */
  #waking(): boolean {
    // What is urgent can wait for the start of a RAM section that has yet to go out.
    if (this.#ended || this.#urgent.length > 0) return false;
    const nowMs = performance.now();
    if (nowMs > this.#lastAskedAtMs + quietMs || nowMs > this.#firstAskedAtMs + wakingMs) return false;
    this.#quietTimer ??= setTimeout(() => {
      this.#quietTimer = undefined;
      this.#onMore();
    }, quietMs);
    return true;
  }

  #takeUrgent(): Buffer[] {
    const pieces: Buffer[] = [];
    if (!this.#inRam) return pieces;
    // One that was asked for twice is here twice.
    for (const queued of this.#urgent) if (!queued.gone) pieces.push(this.#send(queued));
    this.#urgent = [];
    return pieces;
  }

  #takeNear(): Buffer | undefined {
    while (this.#inRam) {
      const near = this.#near.shift();
      if (near === undefined) break;
      if (!near.gone) return this.#send(near);
    }
    return undefined;
  }

  #takeNext(): Buffer | undefined {
    while (this.#head < this.#queue.length) {
      const next = this.#queue[this.#head];
      this.#head += 1;
      if (next === undefined || ('gone' in next && next.gone)) continue;
      if (this.#head === this.#queue.length || this.#head >= 4096) this.#forget();
      if ('record' in next) return this.#send(next);
      this.#inRam = next.opensRam;
      this.#queuedBytes -= next.bytes.length;
      return next.bytes;
    }
    this.#forget();
    return undefined;
  }

  /** Lets go of what was taken. */
  #forget(): void {
    this.#queue.splice(0, this.#head);
    this.#head = 0;
  }

  #send(queued: QueuedPage): Buffer {
    const { record, page } = queued;
    queued.gone = true;
    this.#queuedBytes -= record.bytes.length;
    this.#queuedPages.delete(page);
    this.#awaited.delete(page);
    this.#nearAwaited.delete(page);
    if (this.#gone.length === 0) this.#gone = new Uint8Array(this.#reader.pageCount);
    this.#gone[page] = 1;
    const follows = record.named || record.block === this.#lastBlock;
    this.#lastBlock = record.block;
    return follows ? record.bytes : withName(record);
  }

  /** Lets QEMU go on writing, unless enough of it waits here already. */
  #readAhead(): void {
    const limit = this.#awaited.size > 0 ? mostAheadBytes : aheadBytes;
    if (this.#readOn === undefined || this.#queuedBytes >= limit) return;
    const readOn = this.#readOn;
    this.#readOn = undefined;
    readOn();
  }
}

interface QueuedPage {
  readonly record: PageRecord;
  readonly page: number;
  gone: boolean;
}

function pageNumber(block: RamBlock, offset: number): number {
  return block.firstPage + offset / pageBytes;
}

/** The record, naming its block itself. */
function withName({ block, bytes }: PageRecord): Buffer {
  const header = Buffer.from(bytes.subarray(0, recordHeaderBytes));
  header.writeUInt32BE(header.readUInt32BE(4) & ~ramFlag.continue, 4);
  const name = Buffer.from(block.name, 'latin1');
  return Buffer.concat([header, Buffer.from([name.length]), name, bytes.subarray(recordHeaderBytes)]);
}
