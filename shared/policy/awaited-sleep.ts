/** Whether the sleep comes that a closed lid was let go for. Pure. */
import type { Signal } from '../model/signal.ts';
import { signalKey } from './departure.ts';

/** logind suspends at once, and for half a minute after it woke up not at all (HoldoffTimeoutSec). */
const sleepWithinMs = 45_000;

export interface AwaitedSleep {
  /** The closed lid that it is awaited for. */
  readonly lid: string;
  readonly sinceMs: number;
  /** Somebody else holds the lid, or takes care of it and does nothing: so it stays until the lid is opened. */
  readonly isMissing: boolean;
}

interface Now {
  readonly signals: readonly Signal[];
  /** The system has begun to sleep, or to end. */
  readonly isEnding: boolean;
  /** Nothing of ours keeps it from that. */
  readonly isLetGo: boolean;
  /** On the clock of the signals, ms. */
  readonly nowMs: number;
}

export function awaitedSleep(
  before: AwaitedSleep | undefined,
  { signals, isEnding, isLetGo, nowMs }: Now,
): AwaitedSleep | undefined {
  const closed = signals.find(({ trigger }) => trigger === 'lid');
  if (closed === undefined) return undefined;
  const lid = signalKey(closed);
  const same = before?.lid === lid ? before : undefined;
  if (same?.isMissing === true) return same;
  if (isEnding || !isLetGo) return undefined;
  const sinceMs = same?.sinceMs ?? nowMs;
  return { lid, sinceMs, isMissing: nowMs - sinceMs >= sleepWithinMs };
}
