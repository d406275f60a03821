/** Draws the icon's pixels for packages, one file a size; they are made when they are needed, never kept in git. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawAppIcon } from '../main/shell/icon/app-icon.ts';
import { png } from '../main/shell/icon/formats.ts';

const sizes = [16, 24, 32, 48, 64, 128, 256, 512];

export function drawIcons(folder) {
  mkdirSync(folder, { recursive: true });
  for (const size of sizes) writeFileSync(join(folder, `${size}x${size}.png`), png(drawAppIcon(size)));
}
