/** Trends of measured values: straight lines by least squares. */

export interface Point {
  /** On any clock that does not jump, ms. */
  readonly atMs: number;
  readonly value: number;
}

/** Change of the value per second; undefined with fewer than three points, or none apart in time. */
export function slopePerS(points: readonly Point[]): number | undefined {
  if (points.length < 3) return undefined;
  const meanAt = mean(points.map(({ atMs }) => atMs));
  const meanValue = mean(points.map(({ value }) => value));
  let together = 0;
  let spread = 0;
  for (const { atMs, value } of points) {
    together += (atMs - meanAt) * (value - meanValue);
    spread += (atMs - meanAt) ** 2;
  }
  return spread === 0 ? undefined : (together / spread) * 1_000;
}

/**
 * When the value, falling as it does, will have come down to `level`: ms from the last point on. Zero where it is there
 * already, undefined where it does not fall.
 */
export function reachesInMs(points: readonly Point[], level: number): number | undefined {
  const last = points.at(-1);
  if (last === undefined) return undefined;
  if (last.value <= level) return 0;
  const slope = slopePerS(points);
  return slope === undefined || slope >= 0 ? undefined : ((last.value - level) / -slope) * 1_000;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
