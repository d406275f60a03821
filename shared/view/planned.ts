import type { Move, Planned } from '../model/move.ts';
import { formatBytes, formatDuration } from './units.ts';

/** "pre-copy, since the link carries more than the guest writes: about 12 s and 120 MiB; 97 % sure to be in time". */
export function plannedWords(plan: Planned, hasDeadline: boolean): string {
  if (plan.mode === 'safe-end') {
    return `it would be paused where it is and go on when this computer is back, since ${plan.reason}`;
  }
  const cost = [
    plan.totalMs === undefined ? undefined : `about ${formatDuration(plan.totalMs)}`,
    plan.bytes === undefined ? undefined : formatBytes(plan.bytes),
  ].filter((part) => part !== undefined);
  const what = `${plan.mode}, since ${plan.reason}`;
  const figures = cost.length === 0 ? what : `${what}: ${cost.join(' and ')}`;
  return hasDeadline ? `${figures}; ${surenessWords(plan)}` : figures;
}

/** "pre-copy: the link carries more than the guest writes". */
export function planWords({ mode, reason }: Planned): string {
  return `${mode === 'safe-end' ? 'pause it where it is' : mode}: ${reason}`;
}

/** "97 % sure to be in time": never quite sure, nor quite lost. */
function surenessWords({ confidence }: Planned): string {
  return `${Math.min(99, Math.max(1, Math.round(confidence * 100)))} % sure to be in time`;
}

/** How sure it is that a move under way will be over in time; undefined where nobody waits. */
export function inTimeWords({
  plan,
  deadlineAt,
  phase,
}: Pick<Move, 'plan' | 'deadlineAt' | 'phase'>): string | undefined {
  if (plan === undefined || deadlineAt === undefined) return undefined;
  return phase === 'preparing' || phase === 'copying' ? surenessWords(plan) : undefined;
}
