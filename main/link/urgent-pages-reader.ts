/** A RAM block as QEMU lists it at the start of its stream (RAM_SAVE_FLAG_MEM_SIZE). */
export interface RamBlock {
  readonly name: string;
  readonly lengthBytes: number;
  /** Pages of the blocks listed before it. */
  readonly firstPage: number;
}

/** One page of guest memory in post-copy. */
export interface PageRecord {
  readonly block: RamBlock;
  /** Offset in the block, a multiple of `pageBytes`. */
  readonly offset: number;
  /** Names its block itself, instead of meaning that of the record before it (RAM_SAVE_FLAG_CONTINUE). */
  readonly named: boolean;
  /** As it came, with its header. */
  readonly bytes: Buffer;
}

/** Bytes that keep their place. */
export interface FixedBytes {
  readonly bytes: Buffer;
  /** Page records may stand right behind them: a RAM section is open. */
  readonly opensRam: boolean;
}

export type StreamPart = PageRecord | FixedBytes;

export const pageBytes = 4096;
/** Header of a page record: offset and flags. */
export const recordHeaderBytes = 8;
/** migration/ram.c: RAM_SAVE_FLAG_*. */
export const ramFlag = {
  zero: 0x02,
  memSize: 0x04,
  page: 0x08,
  eos: 0x10,
  continue: 0x20,
  multifdFlush: 0x200,
} as const;

/** migration/savevm.c: QEMU_VM_*, MIG_CMD_*. */
const sectionType = { eof: 0x00, start: 0x01, part: 0x02, end: 0x03, configuration: 0x07, command: 0x08, footer: 0x7e };
const pingCommand = 2;
const packagedCommand = 7;
const fileMagic = 0x5145564d;
const fileVersion = 3;

/** More than any guest this is for has: 1 TiB. */
const mostMemoryBytes = 2 ** 40;

/** Instead of the length of an element: more bytes are needed to see all of it. */
const incomplete = 0;
/** Instead of the length of an element: it is none of those known here. */
const unknown = -1;

/**
 * Follows QEMU's migration stream (migration/savevm.c: sections, migration/ram.c: records of memory) to tell, from the
 * flip to post-copy on, page records from what stands around them. The flip is the packaged command, which carries the
 * state of all devices. Up to it bytes are handed on as they come, never held. Anything not understood to the last bit
 * makes the reader give up for good: all further bytes then keep their place.
 */
export class StreamReader {
  #phase: 'precopy' | 'postcopy' | 'lost' = 'precopy';
  #expected: 'file-header' | 'section' | 'block-list' | 'ram' | 'footer' = 'file-header';
  /** The beginning of an element whose end has not come. */
  #carry: Buffer = Buffer.alloc(0);
  /** Of the packaged state, still to come. */
  #packagedBytes: number | undefined;
  #ramSection: number | undefined;
  #memoryBytes = 0;
  #listedBytes = 0;
  readonly #blocks = new Map<string, RamBlock>();
  #lastBlock: RamBlock | undefined;
  #blockAtFlip: RamBlock | undefined;
  #parts: StreamPart[] = [];

  /** Page records are told apart. */
  get inPostcopy(): boolean {
    return this.#phase === 'postcopy';
  }

  /** Pages of all blocks. */
  get pageCount(): number {
    return this.#memoryBytes / pageBytes;
  }

  /** What a record means that comes first in post-copy and does not name its block. */
  get blockAtFlip(): RamBlock | undefined {
    return this.#blockAtFlip;
  }

  block(name: string): RamBlock | undefined {
    return this.#blocks.get(name);
  }

  /** What is now complete, in the stream's order. */
  read(chunk: Buffer): readonly StreamPart[] {
    this.#parts = [];
    if (this.#phase === 'lost') this.#fixed(chunk, false);
    else this.#follow(chunk);
    return this.#parts;
  }

  /** The stream is over: what was held of an element that never became whole. */
  end(): readonly StreamPart[] {
    this.#parts = [];
    if (this.#phase === 'postcopy') this.#fixed(this.#carry, false);
    this.#phase = 'lost';
    return this.#parts;
  }

  #follow(chunk: Buffer): void {
    const carried = this.#carry.length;
    const bytes = carried === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    // Handed on so far; before the flip what was carried has left already.
    let left = this.#phase === 'precopy' ? carried : 0;
    let at = 0;
    while (at < bytes.length || this.#packagedBytes === 0) {
      if (this.#packagedBytes !== undefined) {
        const taken = Math.min(this.#packagedBytes, bytes.length - at);
        at += taken;
        this.#packagedBytes -= taken;
        if (this.#packagedBytes > 0) break;
        this.#packagedBytes = undefined;
        this.#phase = 'postcopy';
        this.#blockAtFlip = this.#lastBlock;
        this.#fixed(bytes.subarray(left, at), false);
        left = at;
        continue;
      }
      const length = this.#element(bytes, at);
      if (length === incomplete) break;
      if (length === unknown) {
        this.#phase = 'lost';
        this.#fixed(bytes.subarray(left), false);
        return;
      }
      at += length;
      if (this.#phase === 'postcopy') left = at;
    }
    if (this.#phase === 'precopy') this.#fixed(bytes.subarray(left), false);
    // A copy, since a slice keeps the whole chunk in memory.
    this.#carry = Buffer.from(bytes.subarray(at));
  }

  /** The length of the element at `at`, which is complete; in post-copy it has become a part. */
  #element(bytes: Buffer, at: number): number {
    if (this.#expected === 'ram') return this.#record(bytes, at);
    const length = this.#frame(bytes, at);
    if (length > 0 && this.#phase === 'postcopy') this.#fixed(bytes.subarray(at, at + length), this.#opensRam());
    return length;
  }

  #opensRam(): boolean {
    return this.#expected === 'ram';
  }

  #frame(bytes: Buffer, at: number): number {
    switch (this.#expected) {
      case 'file-header':
        return this.#fileHeader(bytes, at);
      case 'section':
        return this.#section(bytes, at);
      case 'block-list':
        return this.#listedBlock(bytes, at);
      default:
        return this.#footer(bytes, at);
    }
  }

  #fileHeader(bytes: Buffer, at: number): number {
    if (bytes.length - at < 8) return incomplete;
    if (bytes.readUInt32BE(at) !== fileMagic || bytes.readUInt32BE(at + 4) !== fileVersion) return unknown;
    this.#expected = 'section';
    return 8;
  }

  #section(bytes: Buffer, at: number): number {
    const has = bytes.length - at;
    const type = bytes.readUInt8(at);
    const inPostcopy = this.#phase === 'postcopy';
    switch (type) {
      case sectionType.eof:
        return 1;
      case sectionType.configuration:
        if (inPostcopy) return unknown;
        if (has < 5) return incomplete;
        // The machine type's name. Nothing here may be so long that the reader waits for its end in vain.
        return bytes.readUInt32BE(at + 1) > 255 ? unknown : whole(has, 5 + bytes.readUInt32BE(at + 1));
      case sectionType.command: {
        if (has < 5) return incomplete;
        const command = bytes.readUInt16BE(at + 1);
        const length = bytes.readUInt16BE(at + 3);
        // Other commands change what the destination does with what follows.
        if (inPostcopy && command !== pingCommand) return unknown;
        if (command !== packagedCommand) return whole(has, 5 + length);
        if (length !== 4) return unknown;
        if (has < 9) return incomplete;
        this.#packagedBytes = bytes.readUInt32BE(at + 5);
        return 9;
      }
      case sectionType.start: {
        if (inPostcopy) return unknown;
        if (has < 6) return incomplete;
        const nameBytes = bytes.readUInt8(at + 5);
        const length = 6 + nameBytes + 8;
        if (has < length) return incomplete;
        if (bytes.toString('latin1', at + 6, at + 6 + nameBytes) !== 'ram') return unknown;
        this.#ramSection = bytes.readUInt32BE(at + 1);
        this.#expected = 'ram';
        return length;
      }
      case sectionType.part:
      case sectionType.end:
        if (has < 5) return incomplete;
        if (bytes.readUInt32BE(at + 1) !== this.#ramSection) return unknown;
        this.#expected = 'ram';
        return 5;
      default:
        return unknown;
    }
  }

  #footer(bytes: Buffer, at: number): number {
    if (bytes.readUInt8(at) !== sectionType.footer) return unknown;
    if (bytes.length - at < 5) return incomplete;
    if (bytes.readUInt32BE(at + 1) !== this.#ramSection) return unknown;
    this.#expected = 'section';
    return 5;
  }

  #listedBlock(bytes: Buffer, at: number): number {
    const nameBytes = bytes.readUInt8(at);
    if (nameBytes === 0) return unknown;
    const length = 1 + nameBytes + 8;
    if (bytes.length - at < length) return incomplete;
    const lengthBytes = Number(bytes.readBigUInt64BE(at + length - 8));
    // Blocks of huge pages have one more field here, and fail one of these.
    if (lengthBytes === 0 || lengthBytes % pageBytes !== 0) return unknown;
    const firstPage = this.#listedBytes / pageBytes;
    this.#listedBytes += lengthBytes;
    if (this.#listedBytes > this.#memoryBytes) return unknown;
    const name = bytes.toString('latin1', at + 1, at + 1 + nameBytes);
    this.#blocks.set(name, { name, lengthBytes, firstPage });
    if (this.#listedBytes === this.#memoryBytes) this.#expected = 'ram';
    return length;
  }

  /** One record of a RAM section. */
  #record(bytes: Buffer, at: number): number {
    if (bytes.length - at < recordHeaderBytes) return incomplete;
    const high = bytes.readUInt32BE(at);
    const low = bytes.readUInt32BE(at + 4);
    const flags = low & (pageBytes - 1);
    const offset = high * 2 ** 32 + (low - flags);
    switch (flags & ~ramFlag.continue) {
      case ramFlag.zero:
        return this.#page(bytes, at, offset, flags, 1);
      case ramFlag.page:
        return this.#page(bytes, at, offset, flags, pageBytes);
    }
    const inPostcopy = this.#phase === 'postcopy';
    switch (flags) {
      case ramFlag.memSize:
        if (inPostcopy || this.#blocks.size > 0 || offset === 0 || offset > mostMemoryBytes) return unknown;
        this.#memoryBytes = offset;
        this.#expected = 'block-list';
        return recordHeaderBytes;
      case ramFlag.eos:
      case ramFlag.multifdFlush: {
        if (offset !== 0) return unknown;
        if (flags === ramFlag.eos) this.#expected = 'footer';
        if (inPostcopy) this.#fixed(bytes.subarray(at, at + recordHeaderBytes), flags !== ramFlag.eos);
        return recordHeaderBytes;
      }
      default:
        return unknown;
    }
  }

  #page(bytes: Buffer, at: number, offset: number, flags: number, contentBytes: number): number {
    const named = (flags & ramFlag.continue) === 0;
    let length = recordHeaderBytes + contentBytes;
    let block = this.#lastBlock;
    if (named) {
      if (bytes.length - at < recordHeaderBytes + 1) return incomplete;
      const nameAt = at + recordHeaderBytes + 1;
      const nameBytes = bytes.readUInt8(nameAt - 1);
      length += 1 + nameBytes;
      if (bytes.length - at < length) return incomplete;
      block = this.#blocks.get(bytes.toString('latin1', nameAt, nameAt + nameBytes));
    }
    if (block === undefined || offset >= block.lengthBytes) return unknown;
    if (bytes.length - at < length) return incomplete;
    this.#lastBlock = block;
    if (this.#phase === 'postcopy') this.#parts.push({ block, offset, named, bytes: bytes.subarray(at, at + length) });
    return length;
  }

  #fixed(bytes: Buffer, opensRam: boolean): void {
    if (bytes.length > 0) this.#parts.push({ bytes, opensRam });
  }
}

function whole(hasBytes: number, lengthBytes: number): number {
  return hasBytes < lengthBytes ? incomplete : lengthBytes;
}
