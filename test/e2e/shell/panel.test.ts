import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { Canvas } from '../../../main/shell/icon/canvas.ts';
import { drawTrayIcon } from '../../../main/shell/icon/tray-icon.ts';
import type { Status } from '../../../shared/rpc.ts';
import type { TrayIcon } from '../../../shared/view/index.ts';
import { away, moving, status, vmUuid } from '../../unit/cli/samples.ts';
import { homeward, scriptedEngine } from '../../unit/cli/scripted-engine.ts';
import { type Desktop, type Picture, startDesktop } from './desktop.ts';

const icons: readonly TrayIcon[] = [
  { state: 'home' },
  { state: 'suggestion' },
  { state: 'moving', percent: 62 },
  { state: 'moving', percent: 7 },
  { state: 'away' },
  { state: 'attention' },
  { state: 'engine-off' },
];

interface Seen {
  readonly icon: TrayIcon;
  readonly x: number;
  readonly y: number;
  /** How far its colours are off, on average, of 255: the panel scales what it is given. */
  readonly off: number;
}

/** Less than an empty panel is off from any of them. */
const mostOff = 50;

/** Which of our icons stands in the panel, and where: the one that what is to be seen is least far from. */
function look(picture: Picture): Seen | undefined {
  return icons
    .flatMap((icon) => places(icon, picture))
    .toSorted((one, other) => one.off - other.off)
    .at(0);
}

function places(icon: TrayIcon, picture: Picture): Seen[] {
  const drawn = drawTrayIcon(icon, 22);
  const found: Seen[] = [];
  for (let y = 0; y <= 12; y++) {
    for (let x = 0; x <= 60; x++) {
      found.push({ icon, x: x + drawn.size / 2, y: y + drawn.size / 2, off: differenceAt(drawn, picture, x, y) });
    }
  }
  return found;
}

function differenceAt({ size, rgba }: Canvas, { width, rgb }: Picture, left: number, top: number): number {
  let sum = 0;
  let opaque = 0;
  for (let at = 0; at < size * size; at++) {
    if (rgba[at * 4 + 3] !== 255) continue;
    const from = ((top + Math.floor(at / size)) * width + left + (at % size)) * 3;
    opaque += 3;
    for (let channel = 0; channel < 3; channel++) {
      sum += Math.abs((rgb[from + channel] ?? 0) - (rgba[at * 4 + channel] ?? 0));
    }
  }
  return sum / opaque;
}

async function shows(desktop: Desktop, icon: TrayIcon): Promise<Seen> {
  let seen: Seen | undefined;
  await expect
    .poll(
      async () => {
        seen = look(await desktop.picture());
        return { icon: seen?.icon, isNear: (seen?.off ?? 255) < mostOff };
      },
      { interval: 500 },
    )
    .toEqual({ icon, isNear: true });
  if (seen === undefined) throw new Error('Nothing was looked at.');
  return seen;
}

test.each([
  ['light', false],
  ['dark', true],
])('our icon stands in a real panel, %s, as we drew it, and follows the VM', async (name, dark) => {
  let now = status();
  const engine = await scriptedEngine({ 'move.home': () => moving({ direction: 'home' }) }, () => now);
  const tell = (over: Partial<Status>): void => {
    now = status(over);
    engine.server.statusChanged();
  };
  const desktop = await startDesktop(engine.env, dark);
  const started = spawn(process.execPath, [homeward, 'open', '--background'], { env: desktop.env, stdio: 'ignore' });
  onTestFinished(async () => {
    const [pid = ''] = (await readFile(`${engine.folder}/homeward/shell.lock`, 'utf8')).split(' ');
    process.kill(Number(pid));
  });
  expect(await once(started, 'exit')).toEqual([0, null]);

  const place = await shows(desktop, { state: 'home' });
  await desktop.keep(`tray-home-${name}`);
  tell({ moves: [moving()] });
  await shows(desktop, { state: 'moving', percent: 62 });
  await desktop.keep(`tray-moving-${name}`);
  tell({ vms: [away] });
  await shows(desktop, { state: 'away' });

  const before = await desktop.picture();
  await desktop.click(place.x, place.y, 3);
  // The menu covers what was empty below the panel.
  await expect.poll(async () => differing(before, await desktop.picture()), { interval: 500 }).toBeGreaterThan(5_000);
  await desktop.keep(`tray-menu-${name}`);
  // The first that can be chosen.
  await desktop.press('Down', 'Return');
  await expect.poll(() => engine.asked).toContainEqual({ call: 'move.home', params: { vm: vmUuid } });
});

function differing(one: Picture, other: Picture): number {
  let pixels = 0;
  for (let at = 0; at < one.rgb.length; at += 3) {
    if (one.rgb[at] !== other.rgb[at] || one.rgb[at + 1] !== other.rgb[at + 1]) pixels += 1;
  }
  return pixels;
}
