/**
 * QEMU's socket NIC framing, which passt shares: each Ethernet frame after its length, four bytes, big
 * endian (QEMU net/socket.c, passt(1) --socket).
 */

const headerBytes = 4;
const ethernetHeaderBytes = 14;
/** The largest IP packet with its Ethernet header. */
export const maxFrameBytes = 65_535 + ethernetHeaderBytes;

/** Cuts a stream into frames. Each piece handed on begins with its length, ready to be passed along. */
export class FrameReader {
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  /** The frames that `chunk` completes. Throws RangeError for a length no frame has: the stream is then useless. */
  read(chunk: Buffer): Buffer[] {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes < headerBytes) return [];
    let data = this.#joined();
    const frames: Buffer[] = [];
    while (data.length >= headerBytes) {
      const bytes = data.readUInt32BE(0);
      if (bytes < ethernetHeaderBytes || bytes > maxFrameBytes) {
        throw new RangeError(`a frame of ${bytes} bytes`);
      }
      if (data.length < headerBytes + bytes) break;
      frames.push(data.subarray(0, headerBytes + bytes));
      data = data.subarray(headerBytes + bytes);
    }
    this.#pending = data.length > 0 ? [data] : [];
    this.#pendingBytes = data.length;
    return frames;
  }

  #joined(): Buffer {
    const [first = Buffer.alloc(0), ...more] = this.#pending;
    return more.length === 0 ? first : Buffer.concat(this.#pending, this.#pendingBytes);
  }
}

/** The Ethernet frame without its length. */
export function payload(piece: Buffer): Buffer {
  return piece.subarray(headerBytes);
}
