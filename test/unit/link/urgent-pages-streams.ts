import fc from 'fast-check';

/** Migration streams as QEMU 7.2 writes them, made up; and a reader of them that shares nothing with what is tested. */
export const blocks = [
  { name: 'pc.ram', pages: 1024 },
  { name: '/rom@etc/acpi/tables', pages: 256 },
  { name: 'vga', pages: 512 },
];

export interface Page {
  readonly block: string;
  readonly offset: number;
  readonly content: string;
}

/** A page to be written; `named` where it could go without. */
interface PageToWrite {
  readonly block: number;
  readonly at: number;
  readonly zero: boolean;
  readonly named: boolean;
}

const be16 = (value: number) => Buffer.from([value >> 8, value & 255]);
const be32 = (value: number) => Buffer.concat([be16(value >>> 16), be16(value & 0xffff)]);
const be64 = (value: number) => Buffer.concat([be32(Math.floor(value / 2 ** 32)), be32(value % 2 ** 32)]);
const name = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
const eos = be64(0x10);
const footer = Buffer.concat([Buffer.from([0x7e]), be32(2)]);

export function page(block: number, at: number, named: boolean): PageToWrite {
  return { block, at, zero: false, named };
}

export function request(block: number, at: number): Buffer {
  const idstr = name(blocks[block]?.name ?? '');
  return Buffer.concat([be16(3), be16(12 + idstr.length), be64(at * 4096), be32(4096), idstr]);
}

export const command = {
  /** From the file's header to the list of blocks. */
  start: Buffer.concat([
    Buffer.from('QEVM'),
    be32(3),
    Buffer.from([7]),
    be32(9),
    Buffer.from('pc-q35-7.2'.slice(0, 9)),
    Buffer.from([8]),
    be16(2),
    be16(4),
    be32(1),
    Buffer.from([1]),
    be32(2),
    name('ram'),
    be32(0),
    be32(4),
    be64(blocks.reduce((sum, { pages }) => sum + pages * 4096, 0) + 0x04),
    ...blocks.map((block) => Buffer.concat([name(block.name), be64(block.pages * 4096)])),
    eos,
    footer,
  ]),
  /** The packaged state of all devices, opaque. */
  flip: Buffer.concat([Buffer.from([8]), be16(7), be16(4), be32(700), Buffer.alloc(700, 'device')]),
};

let last: number | undefined;
/** A section of RAM; `closed` or left open behind its last record. */
export function sectionOf(pages: readonly PageToWrite[], closed: boolean): Buffer {
  last = undefined;
  return Buffer.concat([Buffer.from([2]), be32(2), ...pages.map(record), ...(closed ? [eos, footer] : [])]);
}

function record({ block, at, zero, named }: PageToWrite): Buffer {
  const follows = last === block && !named;
  last = block;
  const header = be64(at * 4096 + (zero ? 0x02 : 0x08) + (follows ? 0x20 : 0));
  const content = zero ? Buffer.alloc(1) : Buffer.alloc(4096, `${block}/${at}.`);
  return Buffer.concat([header, ...(follows ? [] : [name(blocks[block]?.name ?? '')]), content]);
}

const pageSet = fc.uniqueArray(
  fc.record({ block: fc.nat(blocks.length - 1), at: fc.nat(30), zero: fc.boolean(), named: fc.boolean() }),
  { selector: ({ block, at }) => block * 1_000 + at, maxLength: 60 },
);

/** Sections before the flip, which may send a page again and again; then each page at most once. */
export const aStream: fc.Arbitrary<Buffer> = fc
  .tuple(
    fc.array(pageSet, { maxLength: 2 }),
    pageSet,
    fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }),
    fc.boolean(),
  )
  .map(([precopy, postcopy, lengths, ping]) => {
    const sections: Buffer[] = [];
    let at = 0;
    for (const length of lengths) {
      sections.push(sectionOf(postcopy.slice(at, at + length), true));
      at += length;
    }
    const pings = ping ? [Buffer.from([8]), be16(2), be16(4), be32(4)] : [];
    return Buffer.concat([
      command.start,
      ...precopy.map((pages) => sectionOf(pages, true)),
      command.flip,
      ...pings,
      ...sections,
      Buffer.from([0]),
    ]);
  });

/** Ways to cut bytes into chunks. */
export const pieces: fc.Arbitrary<(bytes: Buffer) => Buffer[]> = fc
  .array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 20_000 })), {
    minLength: 1,
    maxLength: 12,
  })
  .map((lengths) => (bytes) => {
    const chunks: Buffer[] = [];
    // Small cuts only while there is little: a stream is not to become a hundred thousand chunks.
    for (let at = 0, index = 0; at < bytes.length; index++) {
      const length = index < 400 ? (lengths[index % lengths.length] ?? 1) : bytes.length;
      chunks.push(bytes.subarray(at, at + length));
      at += length;
    }
    return chunks;
  });

interface Read {
  readonly precopy: Buffer;
  readonly pages: Page[];
  /** All bytes after the flip that are no records of pages. */
  readonly others: Buffer;
  readonly lastBlock: string | undefined;
}

/** Reads a stream from the flip on, as the destination would. Throws where that would fail. */
export function readStream(stream: Buffer): Read {
  const from = stream.indexOf(command.flip) + command.flip.length;
  const pages: Page[] = [];
  const others: Buffer[] = [];
  let lastBlock: string | undefined;
  let inRam = false;
  let at = from;
  const keep = (length: number) => {
    others.push(stream.subarray(at, at + length));
    at += length;
  };
  while (at < stream.length) {
    if (!inRam) {
      const type = stream.readUInt8(at);
      if (type === 2) inRam = true;
      if (![0, 2, 8, 0x7e].includes(type)) throw new Error(`No section of type ${type}`);
      keep(type === 8 ? 9 : type === 0 ? 1 : 5);
      continue;
    }
    const header = stream.readBigUInt64BE(at);
    const flags = Number(header & 0xfffn);
    if (flags === 0x10) {
      keep(8);
      inRam = false;
      continue;
    }
    at += 8;
    if ((flags & 0x20) === 0) {
      const length = stream.readUInt8(at);
      lastBlock = stream.toString('latin1', at + 1, at + 1 + length);
      at += 1 + length;
    }
    const length = { 2: 1, 8: 4096 }[flags & ~0x20];
    if (length === undefined || lastBlock === undefined) throw new Error(`No record with flags ${flags}`);
    pages.push({
      block: lastBlock,
      offset: Number(header & ~0xfffn),
      content: stream.toString('latin1', at, at + length),
    });
    at += length;
  }
  return { precopy: stream.subarray(0, from), pages, others: Buffer.concat(others), lastBlock };
}
