/** A small picture and the few shapes our icons are made of; positions in 0..1 of its side, y downwards. */

/** Red, green, blue, opacity: 0..255 each. */
export type Colour = readonly [number, number, number, number];
/** Signed distance to an edge, negative inside. */
export type Shape = (x: number, y: number) => number;

/** Samples per pixel along each side: edges are smooth at the size of a panel. */
const samples = 4;

export class Canvas {
  readonly size: number;
  /** Red, green, blue, opacity for each pixel, row by row; not premultiplied. */
  readonly rgba: Uint8ClampedArray;

  constructor(size: number) {
    this.size = size;
    this.rgba = new Uint8ClampedArray(size * size * 4);
  }

  fill(shape: Shape, colour: Colour): void {
    for (let row = 0; row < this.size; row++) {
      for (let column = 0; column < this.size; column++) {
        const share = this.#covered(shape, column, row);
        if (share > 0) this.#blend(column, row, colour, share);
      }
    }
  }

  /** Whole pixels, for what has to be sharp. */
  fillPixels(column: number, row: number, width: number, height: number, colour: Colour): void {
    const endRow = Math.min(this.size, row + height);
    const endColumn = Math.min(this.size, column + width);
    for (let y = Math.max(0, row); y < endRow; y++) {
      for (let x = Math.max(0, column); x < endColumn; x++) this.#blend(x, y, colour, 1);
    }
  }

  #covered(shape: Shape, column: number, row: number): number {
    let inside = 0;
    for (let at = 0; at < samples * samples; at++) {
      const x = (column + ((at % samples) + 0.5) / samples) / this.size;
      const y = (row + (Math.floor(at / samples) + 0.5) / samples) / this.size;
      if (shape(x, y) <= 0) inside += 1;
    }
    return inside / (samples * samples);
  }

  #blend(column: number, row: number, [red, green, blue, opacity]: Colour, share: number): void {
    const at = (row * this.size + column) * 4;
    const above = (opacity / 255) * share;
    const below = ((this.rgba[at + 3] ?? 0) / 255) * (1 - above);
    const together = above + below;
    [red, green, blue].forEach((part, channel) => {
      this.rgba[at + channel] = (part * above + (this.rgba[at + channel] ?? 0) * below) / together;
    });
    this.rgba[at + 3] = together * 255;
  }
}

export function circle(centreX: number, centreY: number, radius: number): Shape {
  return (x, y) => Math.hypot(x - centreX, y - centreY) - radius;
}

export function roundedBox(left: number, top: number, right: number, bottom: number, radius: number): Shape {
  return (x, y) => {
    const dx = Math.abs(x - (left + right) / 2) - (right - left) / 2 + radius;
    const dy = Math.abs(y - (top + bottom) / 2) - (bottom - top) / 2 + radius;
    return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - radius;
  };
}

export function segment(x1: number, y1: number, x2: number, y2: number, halfWidth: number): Shape {
  return (x, y) => distanceToSegment(x, y, x1, y1, x2, y2) - halfWidth;
}

export function polygon(corners: readonly (readonly [number, number])[]): Shape {
  const edges = corners.map((corner, at) => [corner, corners.at(at - 1) ?? corner] as const);
  return (x, y) => {
    let inside = false;
    let distance = Number.POSITIVE_INFINITY;
    for (const [[x1, y1], [x2, y2]] of edges) {
      distance = Math.min(distance, distanceToSegment(x, y, x1, y1, x2, y2));
      if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
    }
    return inside ? -distance : distance;
  };
}

export function grown(shape: Shape, by: number): Shape {
  return (x, y) => shape(x, y) - by;
}

function distanceToSegment(x: number, y: number, x1: number, y1: number, x2: number, y2: number): number {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const along = Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
}
