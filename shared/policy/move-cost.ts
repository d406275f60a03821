/**
 * What a move takes: predicted from memory, dirty rate and link, then compared with what it took, and corrected per VM,
 * host and direction.
 */
import { z } from 'zod';
import type { Direction } from '../model/move.ts';
import { assumedLinkBytesPerSec } from './estimate.ts';

/** Preparing both ends, switching over, settling. */
const handoverS = 2.5;
/** Without a measurement: what a guest rewrites per second of what it uses. */
const assumedDirtyShare = 0.02;
/** From this share of the link on pre-copy does not converge, and the move is finished by post-copy. */
const convergingShareOfLink = 0.8;
/** Sent twice before a flip: about a quarter of the memory. */
const resentAtFlip = 0.25;
/** The guest stands still: QEMU's 300 ms and the network's. */
const downtimeS = 0.5;
/** Of the CPU it takes while being copied: page tracking, and a core that sends (Muda §7.4 measured 27 % on two old cores). */
const slowdownWhileCopying = 0.12;
/** On the way back home keeps part of the pages already (design §4.9); how many is learnt. */
const shareOnTheWayBack = 0.7;

/** Of a ratio's logarithm; the newest move weighs a third once a few are known. */
const leastWeight = 0.3;
/** One move may be held up by anything: no single ratio counts for more than fivefold. */
const mostLogRatio = Math.log(5);
/** Before any move: predictions are off by about a third. */
export const priorSpread = 0.3;

export const Correction = z.object({
  moves: z.int().min(0),
  /** Mean of ln(actual ÷ predicted). */
  bias: z.number().min(-3).max(3),
  /** Mean distance from it. */
  spread: z.number().min(0).max(3),
});
export type Correction = z.infer<typeof Correction>;

export interface MoveQuestion {
  readonly direction: Direction;
  readonly usedMemoryBytes: number;
  readonly linkBytesPerSec?: number | undefined;
  readonly dirtyBytesPerSec?: number | undefined;
  readonly correction?: Correction | undefined;
}

export interface MoveCost {
  /** From the order to the end; most likely. */
  readonly lastsS: number;
  /** Seldom longer than that. */
  readonly atMostS: number;
  readonly bytes: number;
  readonly downtimeS: number;
  /** Share of its speed the VM loses while it lasts. */
  readonly slowdown: number;
}

export function predictMove(question: MoveQuestion): MoveCost {
  const { direction, usedMemoryBytes, correction } = question;
  const link = question.linkBytesPerSec ?? 0;
  const rate = link > 0 ? link : assumedLinkBytesPerSec;
  const dirty = (question.dirtyBytesPerSec ?? assumedDirtyShare * usedMemoryBytes) / rate;
  // Rounds of pre-copy are a geometric series.
  const rounds = dirty < convergingShareOfLink ? 1 / (1 - dirty) : 1 + resentAtFlip;
  const bytes = usedMemoryBytes * (direction === 'home' ? shareOnTheWayBack : 1) * Math.min(rounds, 3);
  const lastsS = (handoverS + bytes / rate) * Math.exp(correction?.bias ?? 0);
  const spread = Math.max(0.05, correction?.spread ?? priorSpread);
  return {
    lastsS,
    atMostS: lastsS * Math.exp(2 * spread),
    bytes,
    downtimeS,
    slowdown: slowdownWhileCopying,
  };
}

/** `predictedS` as it was given out before the move, corrected already. */
export function corrected(known: Correction | undefined, predictedS: number, actualS: number): Correction {
  const before = known ?? { moves: 0, bias: 0, spread: priorSpread };
  if (!(predictedS > 0 && actualS > 0)) return before;
  const error = Math.max(-mostLogRatio, Math.min(mostLogRatio, Math.log(actualS / predictedS)));
  const weight = Math.max(leastWeight, 1 / (before.moves + 1));
  return {
    moves: before.moves + 1,
    bias: Math.max(-3, Math.min(3, before.bias + weight * error)),
    spread: before.spread + leastWeight * (Math.abs(error) - before.spread),
  };
}
