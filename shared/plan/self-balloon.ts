import { type BalloonStats, usedBytes } from './balloon.ts';

/**
 * Dynamic self-ballooning of a guest that is away (Hines §3.3, §4.2), decided from one sample a second: every five
 * seconds it gives up what it does not use, ten of those intervals long it is left alone after any sign of need, and
 * whatever it needs it has back at once, all of it.
 *
 * What protects a guest that suddenly allocates:
 * - The margin it always keeps: an eighth of its memory, never less than 128 MiB. Its driver reports once a second and
 *   is asked once a second, so need is seen two seconds late at worst. Three quarters of the margin (below that much
 *   usable memory all is given back) last these two seconds up to 48 MiB/s in a guest of 1 GiB, and up to 768 MiB/s
 *   in one of 16 GiB: it then neither swaps nor waits.
 * - Beyond that rate the balloon's own deflate-on-oom (adoption asks for it; without it nothing is taken): the guest's
 *   kernel takes pages back by itself before it would kill a process. A guest with swap may use it for a moment then.
 */

const MiB = 1024 * 1024;
const leastMarginBytes = 128 * MiB;
const marginShare = 1 / 8;
/** Of the margin: with less than this usable, the guest needs memory now. */
const lowShare = 3 / 4;
/** While it comes home it has been shrunk further, on purpose; below this it needs memory all the same. */
const lowOnTheMoveBytes = 16 * MiB;
export const intervalMs = 5_000;
export const backoffMs = 10 * intervalMs;
/** Of its entirely free memory per interval (Hines: all of it would wake the out-of-memory killer). */
const freeShare = 0.95;
/** Of its page cache per interval: the guest gives the coldest first, and says with major faults where that ends. */
const cacheShare = 1 / 8;
/** While the balloon moves, its size and the guest's report belong to different moments: what is in use cannot be told. */
const steadyMs = 3_000;
/** Not worth a request. */
const leastStepBytes = 8 * MiB;
/** Pages read back from disk because they had been dropped; starting a program makes some too. */
const mostMajorFaultsPerSec = 64;
/** A driver that has not reported for so long has gone, as in a reboot: what it said last means nothing. */
const silentAfterMs = 10_000;

/** From the balloon driver; swap and faults are counted since the guest booted. */
export interface GuestMemory extends BalloonStats {
  readonly swapInBytes?: number | undefined;
  readonly swapOutBytes?: number | undefined;
  readonly majorFaults?: number | undefined;
  /** When the guest last reported, on the clock of whatever machine it is on. */
  readonly lastUpdateS?: number | undefined;
}

export interface MemorySample {
  /** A clock that nobody sets. */
  readonly atMs: number;
  readonly memory: GuestMemory;
  /** What the guest may have when it is not ballooned. */
  readonly fullBytes: number;
  /** `guard`, while it moves: nothing is taken, but what it needs is given. `off`: it is to have all of it. */
  readonly mode: 'balloon' | 'guard' | 'off';
}

export interface SelfBalloonState {
  /** The last size asked for; undefined where none was, or where asking failed. */
  readonly askedBytes?: number | undefined;
  /** No memory is taken before this moment. */
  readonly takeFromMs: number;
  readonly last?: Seen | undefined;
}

interface Seen {
  readonly atMs: number;
  readonly swapBytes: number;
  readonly majorFaults: number;
  readonly lastUpdateS: number;
  /** When a new report that can be believed was first seen; undefined until one was. */
  readonly reportedAtMs?: number | undefined;
  readonly firstAtMs: number;
  readonly currentBytes: number;
  /** Since when the balloon has kept its size. */
  readonly steadyFromMs: number;
}

export interface SelfBalloonStep {
  readonly state: SelfBalloonState;
  /** Size to ask the guest for now, in bytes; absent where nothing is to be done. */
  readonly targetBytes?: number;
  readonly reason: string;
}

export const selfBalloonStart: SelfBalloonState = { takeFromMs: 0 };

/** Room above what is in use that a ballooned guest keeps. */
export function selfBalloonMarginBytes(fullBytes: number): number {
  return Math.max(leastMarginBytes, fullBytes * marginShare);
}

export function selfBalloon(before: SelfBalloonState, sample: MemorySample): SelfBalloonStep {
  const { atMs, memory, mode } = sample;
  const seen = look(before.last, atMs, memory);
  // Coming home shrinks it further, and ends with all given back: what was asked for before no longer holds.
  const state = { ...before, last: seen, ...(mode === 'guard' ? { askedBytes: undefined } : {}) };
  if (mode === 'off') return giveBack(state, sample, 'ballooning is off');
  if (atMs - (seen.reportedAtMs ?? seen.firstAtMs) > silentAfterMs) {
    return giveBack(state, sample, 'the guest does not say how much it needs');
  }
  const usable = believedUsable(memory);
  if (usable === undefined) return { state, reason: 'what the guest says does not fit together' };
  const need = needOf(before.last, seen, usable, sample);
  if (need !== undefined) return giveBack({ ...state, takeFromMs: atMs + backoffMs }, sample, need);
  if (mode === 'guard') return { state, reason: 'it is on the move' };
  if (seen.reportedAtMs === undefined) return { state, reason: 'the guest has not reported yet' };
  if (atMs < before.takeFromMs) return { state, reason: 'it is left alone for now' };
  if (atMs - seen.steadyFromMs < steadyMs) return { state, reason: 'its balloon is moving' };
  return take({ ...state, takeFromMs: atMs + intervalMs }, sample, usable);
}

/** One interval's step towards what is in use and the margin; upwards too, where the guest has grown. */
function take(state: SelfBalloonState, sample: MemorySample, usable: number): SelfBalloonStep {
  const { atMs, memory, fullBytes } = sample;
  const { currentBytes, unusedBytes = 0 } = memory;
  const floor = Math.min(fullBytes, usedBytes(memory) + selfBalloonMarginBytes(fullBytes));
  if (floor - currentBytes >= leastStepBytes) return ask(state, floor, 'the guest uses more than before');
  if (state.askedBytes !== undefined && currentBytes - state.askedBytes >= leastStepBytes) {
    // Its driver would go on pressing for what it cannot have.
    return ask({ ...state, takeFromMs: atMs + backoffMs }, currentBytes, 'the guest keeps the rest');
  }
  const free = unusedBytes >= 0 ? Math.min(usable, unusedBytes) : 0;
  const target = Math.max(floor, currentBytes - freeShare * free - cacheShare * (usable - free));
  if (currentBytes - target < leastStepBytes) return { state, reason: 'it has what it needs' };
  return ask(state, target, 'the guest has memory that it does not use');
}

/** The sign of need in this sample, in words. Swap and faults count against a ballooned guest only: others have them too. */
function needOf(
  last: Seen | undefined,
  seen: Seen,
  usable: number,
  { mode, memory, fullBytes }: MemorySample,
): string | undefined {
  if (memory.currentBytes >= fullBytes) return undefined;
  const low = mode === 'guard' ? lowOnTheMoveBytes : selfBalloonMarginBytes(fullBytes) * lowShare;
  if (usable < low) return 'little of its memory is left';
  if (last === undefined) return undefined;
  if (seen.swapBytes > last.swapBytes) return 'it swaps';
  const faultsPerSec = ((seen.majorFaults - last.majorFaults) * 1_000) / Math.max(1, seen.atMs - last.atMs);
  return faultsPerSec > mostMajorFaultsPerSec ? 'it reads back what it had in memory' : undefined;
}

function giveBack(state: SelfBalloonState, { memory, fullBytes }: MemorySample, reason: string): SelfBalloonStep {
  if (memory.currentBytes >= fullBytes || state.askedBytes === fullBytes) return { state, reason };
  return ask(state, fullBytes, reason);
}

function ask(state: SelfBalloonState, bytes: number, reason: string): SelfBalloonStep {
  const targetBytes = Math.ceil(bytes / MiB) * MiB;
  return { state: { ...state, askedBytes: targetBytes }, targetBytes, reason };
}

/** Nothing where figures are missing or do not fit, as those of a report that is older than the balloon's size. */
function believedUsable(memory: GuestMemory): number | undefined {
  const { currentBytes, availableBytes } = memory;
  const usable = memory.usableBytes ?? memory.unusedBytes;
  if (usable === undefined || availableBytes === undefined) return undefined;
  return usable >= 0 && usable <= availableBytes && usable < currentBytes ? usable : undefined;
}

/** Whether it still reports is told by its clock moving on, not by the time it shows: that is another machine's. */
function look(last: Seen | undefined, atMs: number, memory: GuestMemory): Seen {
  const { currentBytes, lastUpdateS = 0 } = memory;
  const isSteady = last !== undefined && Math.abs(currentBytes - last.currentBytes) < MiB;
  const hasReported = last !== undefined && lastUpdateS > 0 && lastUpdateS !== last.lastUpdateS;
  return {
    atMs,
    swapBytes: (memory.swapInBytes ?? 0) + (memory.swapOutBytes ?? 0),
    majorFaults: memory.majorFaults ?? 0,
    lastUpdateS,
    reportedAtMs: hasReported && believedUsable(memory) !== undefined ? atMs : last?.reportedAtMs,
    firstAtMs: last?.firstAtMs ?? atMs,
    currentBytes,
    steadyFromMs: isSteady ? last.steadyFromMs : atMs,
  };
}
