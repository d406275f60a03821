import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { drawAppIcon } from '../../../main/shell/icon/app-icon.ts';
import { Canvas, roundedBox } from '../../../main/shell/icon/canvas.ts';
import { argb32, png } from '../../../main/shell/icon/formats.ts';
import { drawTrayIcon } from '../../../main/shell/icon/tray-icon.ts';
import type { TrayIcon } from '../../../shared/view/index.ts';

const states: readonly TrayIcon[] = [
  { state: 'home' },
  { state: 'suggestion' },
  { state: 'away' },
  { state: 'attention' },
  { state: 'engine-off' },
  { state: 'moving', percent: undefined },
  ...[0, 7, 62, 99].map((percent): TrayIcon => ({ state: 'moving', percent })),
];

test.each([16, 22, 24, 32, 48])('at %i pixels each state has a picture of its own', (size) => {
  const drawn = states.map((icon) => Buffer.from(drawTrayIcon(icon, size).rgba).toString('base64'));
  expect(new Set(drawn).size).toBe(states.length);
});

test.each(states)('every icon has light and dark in it, so it reads on any panel: %o', (icon) => {
  const { rgba } = drawTrayIcon(icon, 22);
  const opaque = Array.from({ length: 22 * 22 }, (_, at) => rgba.subarray(at * 4, at * 4 + 4)).filter(
    ([, , , opacity]) => opacity === 255,
  );
  const brightness = opaque.map(([red = 0, green = 0, blue = 0]) => (red + green + blue) / 3);
  expect(brightness.filter((value) => value < 60).length).toBeGreaterThan(10);
  expect(brightness.filter((value) => value > 140).length).toBeGreaterThan(8);
});

test('pixels are written in the order that panels want', () => {
  const canvas = new Canvas(1);
  canvas.fill(roundedBox(-1, -1, 2, 2, 0), [1, 2, 3, 255]);
  expect([...argb32(canvas)]).toEqual([255, 1, 2, 3]);
});

test('what half covers a pixel is half there', () => {
  const canvas = new Canvas(2);
  canvas.fill(roundedBox(0, 0, 0.25, 1, 0), [200, 100, 0, 255]);
  expect([...canvas.rgba.subarray(0, 8)]).toEqual([200, 100, 0, 128, 0, 0, 0, 0]);
});

test('a PNG holds the same pixels', () => {
  const canvas = drawAppIcon(32);
  const file = png(canvas);
  expect(file.subarray(1, 4).toString()).toBe('PNG');
  expect(file.readUInt32BE(16)).toBe(32);
  const at = file.indexOf('IDAT');
  const rows = inflateSync(file.subarray(at + 4, at + 4 + file.readUInt32BE(at - 4)));
  expect(rows).toHaveLength(32 * (32 * 4 + 1));
  expect(rows.subarray(1, 1 + 32 * 4)).toEqual(Buffer.from(canvas.rgba.subarray(0, 32 * 4)));
});
