import type { TrayIcon } from '../../../shared/view/index.ts';
import { Canvas, type Colour, circle, grown, polygon, roundedBox, type Shape, segment } from './canvas.ts';
import { blockRows } from './digits.ts';

/** Light shapes in a dark line: they read on a dark panel by their fill and on a light one by their line. */
const light: Colour = [250, 250, 250, 255];
const dark: Colour = [32, 36, 42, 255];
const grey: Colour = [158, 164, 172, 255];
const teal: Colour = [38, 176, 158, 255];
const amber: Colour = [245, 194, 17, 255];
const red: Colour = [224, 27, 36, 255];

/** The house of homeward.svg, in `width` of the icon's side from the left. */
function house(width = 1): Shape {
  return polygon(houseCorners.map(([x, y]) => [x * width, 0.5 + (y - 0.5) * width] as const));
}

export const houseCorners: readonly (readonly [number, number])[] = [
  [0.5, 0.1],
  [0.93, 0.5],
  [0.8, 0.5],
  [0.8, 0.9],
  [0.2, 0.9],
  [0.2, 0.5],
  [0.07, 0.5],
];

/** The icon for a panel, `size` pixels wide and high. */
export function drawTrayIcon(icon: TrayIcon, size: number): Canvas {
  const canvas = new Canvas(size);
  // A pixel in every panel, also in one that scales a larger picture down.
  const line = Math.max(0.05, 1 / size);
  switch (icon.state) {
    case 'home':
      drawHome(canvas, line, light);
      break;
    case 'suggestion':
      drawHome(canvas, line, light);
      outlined(canvas, circle(0.77, 0.25, 0.2), amber, line);
      break;
    case 'attention':
      drawHome(canvas, line, light);
      outlined(canvas, circle(0.7, 0.68, 0.29), red, line);
      canvas.fill(segment(0.7, 0.53, 0.7, 0.69, 0.05), light);
      canvas.fill(circle(0.7, 0.83, 0.055), light);
      break;
    case 'away':
      drawAway(canvas, line);
      break;
    case 'engine-off':
      drawHome(canvas, line, grey);
      outlined(canvas, segment(0.12, 0.9, 0.88, 0.14, 0.05), light, line);
      break;
    case 'moving':
      drawMoving(canvas, icon.percent);
      break;
  }
  return canvas;
}

function drawHome(canvas: Canvas, line: number, fill: Colour): void {
  outlined(canvas, house(), fill, line);
  // The VM, at home.
  canvas.fill(roundedBox(0.37, 0.5, 0.63, 0.76, 0.05), dark);
}

/** An empty house, and the VM outside it. */
function drawAway(canvas: Canvas, line: number): void {
  const empty = house(0.74);
  canvas.fill(grown(empty, line), dark);
  canvas.fill(empty, light);
  canvas.fill(grown(empty, -0.11), dark);
  outlined(canvas, roundedBox(0.66, 0.56, 0.96, 0.86, 0.07), teal, line);
}

function outlined(canvas: Canvas, shape: Shape, fill: Colour, line: number): void {
  canvas.fill(grown(shape, line), dark);
  canvas.fill(shape, fill);
}

/** Two digits over a bar: how much has arrived. Three dots where that is not known yet. */
function drawMoving(canvas: Canvas, percent: number | undefined): void {
  const { size } = canvas;
  canvas.fill(roundedBox(0, 0, 1, 1, 0.12), dark);
  const edge = Math.max(1, Math.round(size / 22));
  const block = Math.floor((size - 2 * edge) / 6.5);
  const gap = Math.max(1, Math.round(block / 2));
  const barHeight = Math.max(2, Math.round(size / 8));
  const barTop = size - barHeight - edge;
  const rows = blockRows(percent === undefined ? '...' : String(Math.min(99, percent)));
  const width = (column: string): number => (column === ' ' ? gap : block);
  const total = [...(rows[0] ?? '')].reduce((sum, column) => sum + width(column), 0);
  const top = Math.max(0, Math.floor((barTop - rows.length * block) / 2));
  rows.forEach((row, y) => {
    let left = Math.floor((size - total) / 2);
    for (const column of row) {
      if (column === '#') canvas.fillPixels(left, top + y * block, block, block, light);
      left += width(column);
    }
  });
  const inside = size - 2 * edge;
  canvas.fillPixels(edge, barTop, inside, barHeight, grey);
  canvas.fillPixels(edge, barTop, Math.round((inside * (percent ?? 0)) / 100), barHeight, teal);
}
