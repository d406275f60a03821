import { Canvas, type Colour, polygon, roundedBox } from './canvas.ts';
import { houseCorners } from './tray-icon.ts';

const ground: Colour = [11, 110, 99, 255];
const white: Colour = [255, 255, 255, 255];

/** assets/homeward.svg at `size` pixels, for desktops and packages that want pixels. */
export function drawAppIcon(size: number): Canvas {
  const canvas = new Canvas(size);
  canvas.fill(roundedBox(0.03, 0.03, 0.97, 0.97, 0.2), ground);
  canvas.fill(polygon(houseCorners.map(([x, y]) => [0.5 + (x - 0.5) * 0.76, 0.5 + (y - 0.52) * 0.76] as const)), white);
  canvas.fill(roundedBox(0.4, 0.5, 0.6, 0.7, 0.04), ground);
  return canvas;
}
