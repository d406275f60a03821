/** Which cases a run plays: every moment times every fault, in an order that the seed alone decides. Pure. */
import { randomFrom } from '../../random.ts';
import { type FaultName, faultNames, faults } from './faults.ts';
import { directionOf, type Moment } from './moments.ts';

export interface Case {
  /** Or how long after the beginning of a move, in whichever direction the VM can go. */
  readonly moment: Moment | { readonly afterMs: number };
  readonly fault: FaultName;
}

export const nameOf = ({ moment, fault }: Case): string =>
  `${typeof moment === 'string' ? moment : `after-${moment.afterMs}ms`}/${fault}`;

export function allCases(): readonly Case[] {
  return faultNames.flatMap((fault) => faults[fault].moments.map((moment): Case => ({ moment, fault })));
}

/**
 * `count` cases: each once before any comes twice. `only` keeps those whose name contains one of its parts. Where it can be,
 * a case begins where the one before it is likely to have left the VM, since a move to its beginning shows nothing.
 */
export function chooseCases(seed: number, count: number, only: readonly string[] = ['']): readonly Case[] {
  const candidates = allCases().filter((one) => only.some((part) => nameOf(one).includes(part)));
  if (candidates.length === 0) return [];
  const random = randomFrom(seed);
  const chosen: Case[] = [];
  while (chosen.length < count) chosen.push(...shuffled(candidates, random).slice(0, count - chosen.length));
  return onward(chosen);
}

/** The same cases in an order in which the VM travels least. */
function onward(cases: readonly Case[]): readonly Case[] {
  const waiting = {
    home: cases.filter(({ moment }) => startOf(moment) === 'home'),
    away: cases.filter(({ moment }) => startOf(moment) === 'away'),
  };
  const order: Case[] = [];
  let at: 'home' | 'away' = 'home';
  while (order.length < cases.length) {
    const next: Case | undefined = waiting[at].shift() ?? waiting[at === 'home' ? 'away' : 'home'].shift();
    if (next === undefined) break;
    order.push(next);
    at = next.moment === 'idle-away' || startOf(next.moment) === 'home' ? 'away' : 'home';
  }
  return order;
}

function startOf(moment: Case['moment']): 'home' | 'away' {
  return typeof moment === 'string' && directionOf(moment) === 'out' ? 'home' : 'away';
}

/** A move needs about this long on the bed. */
const moveMs = 8_000;

/** `count` moves there and back, with a fault at some time of each. */
export function randomMoves(seed: number, count: number, only: readonly string[] = ['']): readonly Case[] {
  const names = faultNames.filter((name) => only.some((part) => name.includes(part)));
  if (names.length === 0) return [];
  const random = randomFrom(seed);
  const chosen: FaultName[] = [];
  while (chosen.length < count) chosen.push(...shuffled(names, random));
  return chosen.slice(0, count).map((fault) => ({ fault, moment: { afterMs: Math.floor(random() * moveMs) } }));
}

function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1));
  return order;
}
