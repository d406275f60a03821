/**
 * How much longer what runs will run.
 *
 * Without history: what has run for t runs longer than x with probability t/x (Harchol-Balter and Downey 1997 measured
 * exponents near −1 for UNIX processes over a second old), so the median rest is t. With history: lengths of earlier
 * runs of this VM, and of the same program in it, are counted in logarithmic bins and outweigh that prior as they
 * become many. Older runs fade, so that a changed habit is learnt within a few dozen runs.
 *
 * Plain data: it can be written down, read by a person and erased.
 */
import { z } from 'zod';

/** Bin i holds lengths from 2^(i/2) s on; the last one all above three hours. */
const binsPerDoubling = 2;
const binCount = 28;
/** Outcomes are told twice as finely as runs are counted. */
const edgesPerDoubling = 4;
const edges = Array.from(
  { length: (binCount * edgesPerDoubling) / binsPerDoubling + 1 },
  (_, edge) => 2 ** (edge / edgesPerDoubling),
);
/** The prior weighs as much as so many runs of the VM, and what is known of the VM as so many of a program's own. */
const priorRuns = 1.5;
const vmRuns = 0.7;
const fadePerRun = 0.97;
/** Programs remembered per VM; the one not seen for longest is forgotten first. */
const mostPrograms = 100;

const Counts = z.array(z.number().min(0)).length(binCount);
export const Lifetimes = z.object({
  all: Counts,
  /** By program name; least recently seen first. */
  programs: z.record(z.string().max(100), Counts),
});
export type Lifetimes = z.infer<typeof Lifetimes>;

export function noLifetimes(): Lifetimes {
  return { all: new Array<number>(binCount).fill(0), programs: {} };
}

/** With one more run that has ended after `lengthS`. */
export function withRun(known: Lifetimes, lengthS: number, program?: string): Lifetimes {
  if (!(lengthS >= 1)) return known;
  const all = counted(known.all, lengthS);
  if (program === undefined) return { ...known, all };
  const own = programOf(known, program) ?? noLifetimes().all;
  const others = Object.fromEntries(Object.entries(known.programs).filter(([name]) => name !== program));
  const names = Object.keys(others);
  const dropped = names.length >= mostPrograms ? names[0] : undefined;
  if (dropped !== undefined) delete others[dropped];
  return { all, programs: { ...others, [program]: counted(own, lengthS) } };
}

function counted(counts: readonly number[], lengthS: number): number[] {
  const bin = binOf(lengthS);
  return counts.map((count, index) => count * fadePerRun + (index === bin ? 1 : 0));
}

function binOf(lengthS: number): number {
  return Math.min(binCount - 1, Math.max(0, Math.floor(binsPerDoubling * Math.log2(lengthS))));
}

export interface Outcome {
  readonly restS: number;
  readonly probability: number;
}

/** How long the rest may be, and how likely each length is; probabilities add up to 1. */
export function restOf(known: Lifetimes | undefined, ageS: number, program?: string): Outcome[] {
  const age = Math.max(1, ageS);
  const own = programOf(known, program);
  const longerThanAge = { all: above(known?.all, age), own: above(own, age) };
  const survival = (lengthS: number): number => {
    const general = (priorRuns * (age / lengthS) + above(known?.all, lengthS)) / (priorRuns + longerThanAge.all);
    return own === undefined ? general : (vmRuns * general + above(own, lengthS)) / (vmRuns + longerThanAge.own);
  };
  const outcomes: Outcome[] = [];
  let from = age;
  let left = 1;
  for (let edge = Math.floor(edgesPerDoubling * Math.log2(age)) + 1; edge < edges.length; edge += 1) {
    const to = edges[edge] ?? from;
    const leftAfter = edge === edges.length - 1 ? 0 : survival(to);
    outcomes.push({ restS: Math.sqrt(from * to) - age, probability: left - leftAfter });
    from = to;
    left = leftAfter;
  }
  return outcomes.length === 0 ? [{ restS: age, probability: 1 }] : outcomes;
}

/** Runs longer than that, a bin's own spread evenly over it on the logarithmic scale. */
function above(counts: readonly number[] | undefined, lengthS: number): number {
  if (counts === undefined) return 0;
  const place = binsPerDoubling * Math.log2(Math.max(1, lengthS));
  const bin = Math.min(binCount - 1, Math.floor(place));
  let sum = (counts[bin] ?? 0) * Math.max(0, 1 - (place - bin));
  for (let later = bin + 1; later < binCount; later += 1) sum += counts[later] ?? 0;
  return sum;
}

/** How many earlier runs speak for the estimate. */
export function runsKnown(known: Lifetimes | undefined, program?: string): number {
  const counts = programOf(known, program) ?? known?.all ?? [];
  return counts.reduce((sum, count) => sum + count, 0);
}

/** A program may be called "constructor". */
function programOf(known: Lifetimes | undefined, program: string | undefined): number[] | undefined {
  if (known === undefined || program === undefined || !Object.hasOwn(known.programs, program)) return undefined;
  return known.programs[program];
}
