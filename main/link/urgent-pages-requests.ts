import { Transform, type TransformCallback } from 'node:stream';

/** The destination's QEMU waits for this memory. */
export interface PageRequest extends Range {
  readonly blockName: string;
}

/** Of a RAM block. */
export interface Range {
  readonly offset: number;
  readonly lengthBytes: number;
}

/** migration/migration.h: MIG_RP_MSG_*, those that a migration without a break in it has. */
const messageType = { shut: 1, pong: 2, requestNamed: 3, request: 4 };
const headerBytes = 4;
const requestBytes = 12;

/**
 * The return path of a migration on its way to the source's QEMU, a message at a time. Each request of pages is shown
 * to `widen`, and asks for the range that it gives instead, if any. From the first message of another type on all bytes
 * pass as they come.
 */
export class ReturnPath extends Transform {
  readonly #widen: (request: PageRequest) => Range | undefined;
  #carry: Buffer = Buffer.alloc(0);
  #deaf = false;
  #lastBlock: string | undefined;

  constructor(widen: (request: PageRequest) => Range | undefined) {
    super();
    this.#widen = widen;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#deaf) {
      done(null, chunk);
      return;
    }
    // A copy: requests are changed in place.
    const bytes = Buffer.concat([this.#carry, chunk]);
    let at = 0;
    while (bytes.length - at >= headerBytes) {
      const type = bytes.readUInt16BE(at);
      if (type < messageType.shut || type > messageType.request) {
        this.#deaf = true;
        at = bytes.length;
        break;
      }
      const end = at + headerBytes + bytes.readUInt16BE(at + 2);
      if (bytes.length < end) break;
      if (type >= messageType.requestNamed) {
        this.#request(bytes.subarray(at + headerBytes, end), type === messageType.requestNamed);
      }
      at = end;
    }
    this.#carry = bytes.subarray(at);
    done(null, bytes.subarray(0, at));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#carry);
  }

  #request(payload: Buffer, named: boolean): void {
    if (payload.length < requestBytes) return;
    if (named) this.#lastBlock = payload.toString('latin1', requestBytes + 1);
    if (this.#lastBlock === undefined) return;
    const range = this.#widen({
      blockName: this.#lastBlock,
      offset: Number(payload.readBigUInt64BE(0)),
      lengthBytes: payload.readUInt32BE(8),
    });
    if (range === undefined) return;
    payload.writeBigUInt64BE(BigInt(range.offset), 0);
    payload.writeUInt32BE(range.lengthBytes, 8);
  }
}
