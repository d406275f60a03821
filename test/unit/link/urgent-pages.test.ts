import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UrgentPages } from '../../../main/link/urgent-pages.ts';
import {
  aStream,
  blocks,
  command,
  type Page,
  page,
  pieces,
  readStream,
  request,
  sectionOf,
} from './urgent-pages-streams.ts';

/** Writes the chunks, with what the destination says between them, and takes pieces at random moments. */
async function through(chunks: readonly Buffer[], said: readonly Buffer[], takes: readonly boolean[]): Promise<Buffer> {
  const pages = new UrgentPages();
  pages.returnPath.resume();
  const out: Buffer[] = [];
  const take = () => {
    const piece = pages.take();
    if (piece !== undefined) out.push(piece);
    return piece !== undefined;
  };
  for (const [index, chunk] of chunks.entries()) {
    const written = new Promise<void>((resolve) => pages.write(chunk, () => resolve()));
    const words = said[index % Math.max(1, said.length)];
    if (words !== undefined) pages.returnPath.write(words);
    if (takes[index % takes.length] === true) take();
    while (!(await Promise.race([written.then(() => true), turn().then(() => false)]))) take();
  }
  pages.end();
  await turn();
  while (!pages.spent) take();
  return Buffer.concat(out);
}

const takes = fc.array(fc.boolean(), { minLength: 1, maxLength: 7 });
const anyRequests = fc.array(
  fc.record({ block: fc.nat(blocks.length - 1), page: fc.nat(30) }).map(({ block, page: at }) => request(block, at)),
  { maxLength: 40 },
);
const byPlace = (a: Page, b: Page) => a.block.localeCompare(b.block) || a.offset - b.offset;

describe('urgent pages', () => {
  it('hands on every page once and all else in its order, whatever is asked for and wherever the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(aStream, pieces, anyRequests, takes, async (stream, cut, requests, taken) => {
        const before = readStream(stream);
        const after = readStream(await through(cut(stream), requests, taken));
        expect(after.pages.sort(byPlace)).toEqual(before.pages.sort(byPlace));
        expect(after.others.equals(before.others)).toBe(true);
        expect(after.precopy.equals(before.precopy)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('changes no byte while nothing is asked for', async () => {
    await fc.assert(
      fc.asyncProperty(aStream, pieces, takes, async (stream, cut, taken) => {
        expect((await through(cut(stream), [], taken)).equals(stream)).toBe(true);
      }),
    );
  });

  it('changes no byte of what is no migration stream, nor of a damaged one', async () => {
    const damaged = fc.tuple(aStream, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([stream, where, bits]) => {
      const copy = Buffer.from(stream);
      const at = where % copy.length;
      copy.writeUInt8(copy.readUInt8(at) ^ bits, at);
      return copy;
    });
    const garbage = fc.uint8Array({ minLength: 1, maxLength: 5_000 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(fc.oneof(damaged, garbage), pieces, takes, async (stream, cut, taken) => {
        expect((await through(cut(stream), [], taken)).equals(stream)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps the meaning of what follows where it ceases to understand, after pages have been moved', async () => {
    // A record of flags that nobody knows, which means the block of the page before it.
    const strange = Buffer.from('0000000000001820feedfeedfeed', 'hex');
    await fc.assert(
      fc.asyncProperty(aStream, pieces, anyRequests, takes, async (stream, cut, requests, taken) => {
        const opened = Buffer.concat([
          stream.subarray(0, -1),
          sectionOf([page(0, 200, true), page(1, 201, true)], false),
        ]);
        const before = readStream(opened);
        const out = await through(cut(Buffer.concat([opened, strange])), requests, taken);
        expect(out.subarray(-strange.length).equals(strange)).toBe(true);
        const after = readStream(out.subarray(0, -strange.length));
        expect(after.lastBlock).toBe(before.lastBlock);
        expect(after.pages.sort(byPlace)).toEqual(before.pages.sort(byPlace));
      }),
    );
  });

  it('sends a page asked for next, those around it after it, and the rest last', async () => {
    const pages = new UrgentPages();
    pages.returnPath.resume();
    const list = Array.from({ length: 64 }, (_, index) => page(0, index * 3, index === 0));
    pages.write(Buffer.concat([command.start, command.flip, sectionOf(list, true)]));
    pages.take();
    const behind = Array.from({ length: 64 }, (_, index) => page(0, 300 + index, false));
    pages.write(sectionOf(behind, true));
    await turn();
    pages.returnPath.write(request(0, 310));
    await turn();
    const urgent = pages.take();
    expect(urgent?.readUInt32BE(4)).toBe((310 << 12) | 0x28);
    const near = pages.take();
    expect(near?.readUInt32BE(4)).toBe((304 << 12) | 0x28);
  });

  it('asks QEMU for the cluster around a page, within its block, and only once in post-copy', async () => {
    const pages = new UrgentPages();
    const heard: Buffer[] = [];
    pages.returnPath.on('data', (chunk: Buffer) => heard.push(chunk));
    const [pong, asked] = [Buffer.from('0002000400000001', 'hex'), request(1, 21)];
    pages.returnPath.write(pong);
    pages.returnPath.write(asked);
    pages.write(Buffer.concat([command.start, command.flip]));
    await turn();
    for (const byte of asked) pages.returnPath.write(Buffer.from([byte]));
    await turn();
    const said = Buffer.concat(heard);
    expect(said.subarray(0, pong.length + asked.length).equals(Buffer.concat([pong, asked]))).toBe(true);
    const widened = said.subarray(pong.length + asked.length);
    expect(widened.length).toBe(asked.length);
    expect([widened.readBigUInt64BE(4), widened.readUInt32BE(12)]).toEqual([16n * 4096n, 16 * 4096]);
    expect(widened.subarray(16).equals(asked.subarray(16))).toBe(true);
  });

  it('changes no byte of a return path that it does not know', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), pieces, async (bytes, cut) => {
        const { returnPath } = new UrgentPages();
        const heard: Buffer[] = [];
        returnPath.on('data', (chunk: Buffer) => heard.push(chunk));
        for (const chunk of cut(Buffer.from(bytes))) returnPath.write(chunk);
        returnPath.end();
        await turn();
        expect(Buffer.concat(heard).equals(bytes)).toBe(true);
      }),
    );
  });

  it('stops reading when enough waits, and reads on while a page asked for has not come', async () => {
    const pages = new UrgentPages();
    pages.returnPath.resume();
    let accepted = 0;
    const write = (chunk: Buffer) => pages.write(chunk, () => accepted++);
    write(Buffer.concat([command.start, command.flip]));
    const section = (from: number) =>
      sectionOf(
        Array.from({ length: 100 }, (_, at) => page(0, from + at, at === 0)),
        true,
      );
    for (const from of [0, 100, 200]) write(section(from));
    await turn();
    expect(accepted).toBe(1);
    pages.returnPath.write(request(0, 250));
    await turn();
    expect(accepted).toBe(3);
    pages.destroy();
  });
});
