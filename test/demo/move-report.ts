import { setTimeout as sleep } from 'node:timers/promises';
import type { Move } from '../../shared/model/move.ts';
import type { Observer } from '../testbed/index.ts';

export interface MoveReport {
  readonly direction: 'out' | 'home';
  readonly mode: 'precopy' | 'postcopy';
  readonly total_ms: number;
  /** As QEMU reports it. */
  readonly downtime_ms: number;
  /** Longest silence of the heartbeat around the move, as heard from outside. */
  readonly guest_gap_ms: number;
  readonly wire_bytes: number;
  readonly memory_bytes: number;
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
}

/** After a move the guest may still stall on a missing page; what comes within this belongs to the move. */
const aftermathMs = 2_000;

/** Figures of a move that has just ended; `from` is when it began (performance.now()). */
export async function measuredMove(move: Move, observer: Observer, from: number): Promise<MoveReport> {
  await sleep(aftermathMs);
  return {
    direction: move.direction,
    mode: move.mode,
    total_ms: Math.round(move.totalMs ?? 0),
    downtime_ms: Math.round(move.downtimeMs ?? 0),
    guest_gap_ms: Math.round(observer.longestGapMs(from)),
    wire_bytes: move.wireBytes ?? 0,
    memory_bytes: move.memoryBytes ?? 0,
    phases: move.phases.map(({ name, ms }) => ({ name, ms: Math.round(ms) })),
  };
}
