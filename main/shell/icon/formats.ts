import { crc32, deflateSync } from 'node:zlib';
import type { Canvas } from './canvas.ts';

/** ARGB32 in network byte order, as StatusNotifierItem's IconPixmap wants it. */
export function argb32({ rgba }: Canvas): Buffer {
  const bytes = Buffer.alloc(rgba.length);
  for (let at = 0; at < rgba.length; at += 4) {
    bytes[at] = rgba[at + 3] ?? 0;
    bytes[at + 1] = rgba[at] ?? 0;
    bytes[at + 2] = rgba[at + 1] ?? 0;
    bytes[at + 3] = rgba[at + 2] ?? 0;
  }
  return bytes;
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const eightBitRgba = [8, 6, 0, 0, 0];

/** Portable Network Graphics (W3C, third edition): no filter, one data chunk. */
export function png({ size, rgba }: Canvas): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set(eightBitRgba, 8);
  const rowBytes = size * 4;
  const rows = Buffer.alloc(size * (rowBytes + 1));
  for (let row = 0; row < size; row++) {
    rows.set(rgba.subarray(row * rowBytes, (row + 1) * rowBytes), row * (rowBytes + 1) + 1);
  }
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND')]);
}

function chunk(name: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
