/** What two carriers say to each other: a type, a length, a payload. */
export const recordType = {
  /** Bytes of the stream received so far, from its very beginning, as u64. The first record of each session. */
  have: 0,
  /** Bytes of the stream. */
  data: 1,
  /** The stream has no more bytes in this direction. */
  end: 2,
  /** The connection behind this carrier broke off: so must the one behind the other. */
  broken: 3,
} as const;

const headerBytes = 5;
const haveBytes = 8;

export function dataRecord(bytes: Buffer): Buffer {
  return Buffer.concat([header(recordType.data, bytes.length), bytes]);
}

export function haveRecord(receivedBytes: number): Buffer {
  const payload = Buffer.alloc(haveBytes);
  payload.writeBigUInt64BE(BigInt(receivedBytes));
  return Buffer.concat([header(recordType.have, haveBytes), payload]);
}

export function emptyRecord(type: typeof recordType.end | typeof recordType.broken): Buffer {
  return header(type, 0);
}

function header(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt8(type);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

export interface RecordListener {
  onHave(receivedBytes: number): void;
  /** A part of a record's payload, as soon as it is there. */
  onData(bytes: Buffer): void;
  onEnd(): void;
  onBroken(): void;
}

/** Reads records from bytes that may be cut anywhere; holds nothing of a payload back. */
export class RecordReader {
  readonly #listener: RecordListener;
  #carry: Buffer = Buffer.alloc(0);
  #dataLeft = 0;

  constructor(listener: RecordListener) {
    this.#listener = listener;
  }

  /** @throws RangeError for what no carrier writes */
  read(chunk: Buffer): void {
    let bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    for (;;) {
      if (this.#dataLeft > 0 && bytes.length > 0) {
        const part = bytes.subarray(0, this.#dataLeft);
        this.#dataLeft -= part.length;
        bytes = bytes.subarray(part.length);
        this.#listener.onData(part);
        continue;
      }
      const taken = this.#record(bytes);
      if (taken === 0) break;
      bytes = bytes.subarray(taken);
    }
    this.#carry = Buffer.from(bytes);
  }

  /** Returns how many bytes it took; 0 where more are needed. */
  #record(bytes: Buffer): number {
    if (bytes.length < headerBytes) return 0;
    const type = bytes.readUInt8(0);
    const length = bytes.readUInt32BE(1);
    if (type === recordType.data) {
      this.#dataLeft = length;
      return headerBytes;
    }
    if (length !== (type === recordType.have ? haveBytes : 0))
      throw new RangeError(`A record ${type} of ${length} bytes.`);
    if (bytes.length < headerBytes + length) return 0;
    switch (type) {
      case recordType.have:
        this.#listener.onHave(Number(bytes.readBigUInt64BE(headerBytes)));
        break;
      case recordType.end:
        this.#listener.onEnd();
        break;
      case recordType.broken:
        this.#listener.onBroken();
        break;
      default:
        throw new RangeError(`A record of type ${type}.`);
    }
    return headerBytes + length;
  }
}
