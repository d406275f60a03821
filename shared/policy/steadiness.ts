/** How often, and for how long, a good thing breaks off: a link, or the room on a host. Followed look by look. */

/** Breaks of yesterday count half. */
const halfLifeS = 24 * 3_600;
/** Looks farther apart than this saw nothing of what was between them. */
const longestLookS = 60;
/** Before anything was seen, a break of twenty seconds each ten hours. */
const prior = { watchedS: 3_600, breaks: 0.1, brokenS: 2 } as const;

export interface BreakRecord {
  readonly at: number;
  readonly downSince?: number | undefined;
  /** Time watched, breaks in it and how long they were together; older ones fade. */
  readonly watchedS: number;
  readonly breaks: number;
  readonly brokenS: number;
}

export interface Breaks {
  readonly perS: number;
  /** Mean. */
  readonly lengthS: number;
}

/**
 * `at`: milliseconds on a clock that never jumps. A break longer than `longestBreakS` is not counted: somebody has left,
 * or has sat down for the day.
 */
export function followBreaks(
  before: BreakRecord | undefined,
  at: number,
  isGood: boolean,
  longestBreakS: number,
): BreakRecord {
  if (before === undefined) return { at, ...prior, ...(isGood ? {} : { downSince: at }) };
  const lookS = Math.max(0, at - before.at) / 1_000;
  const fade = 0.5 ** (lookS / halfLifeS);
  const { downSince } = before;
  const breakS = downSince === undefined ? 0 : (at - downSince) / 1_000;
  const isOver = isGood && downSince !== undefined && breakS <= longestBreakS;
  return {
    at,
    watchedS: before.watchedS * fade + Math.min(lookS, longestLookS),
    breaks: before.breaks * fade + (isOver ? 1 : 0),
    brokenS: before.brokenS * fade + (isOver ? breakS : 0),
    ...(isGood ? {} : { downSince: downSince ?? at }),
  };
}

export function breaksOf({ watchedS, breaks, brokenS }: BreakRecord): Breaks {
  return { perS: breaks / watchedS, lengthS: brokenS / breaks };
}
