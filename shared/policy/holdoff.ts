/** Why a VM is left alone now, whatever it does. */
import type { Judgement, PolicyInput } from './types.ts';
import { seconds } from './words.ts';

/** Samples older than this say nothing of now. */
const staleAfterMs = 10_000;
const mostDoublings = 4;
export interface Patience {
  /** Moves within the hour that are ordinary; each further one doubles the cooldown. */
  readonly ordinaryMoves: number;
  /** Where the case at hand asks for less than the user's cooldown. */
  readonly mostMs: number;
}

const oneRoundTrip: Patience = { ordinaryMoves: 2, mostMs: Number.POSITIVE_INFINITY };

export function whyNotNow(input: PolicyInput): string | undefined {
  return whyNotAtAll(input) ?? whyCooling(input);
}

export function whyNotAtAll({ vm }: PolicyInput): string | undefined {
  if (vm.level === 'off') return `Moving ${vm.name} is left to you: its level is off.`;
  if (!vm.adopted) return `${vm.name} is not ready to move: it has not been adopted.`;
  return undefined;
}

export function whyCooling({ vm, now, settings }: PolicyInput, patience: Patience = oneRoundTrip): string | undefined {
  if (vm.lastMoveEndedAt === undefined) return undefined;
  const doublings = Math.min(mostDoublings, Math.max(0, vm.movesRecent - patience.ordinaryMoves));
  const wantedMs = settings.cooldownMs * 2 ** doublings;
  const cooldownMs = Math.min(patience.mostMs, wantedMs);
  // A clock set back must not turn the cooldown into hours.
  const sinceMs = Math.max(0, now - vm.lastMoveEndedAt);
  if (sinceMs >= cooldownMs) return undefined;
  const often =
    doublings > 0 && cooldownMs === wantedMs ? ` because it moved ${vm.movesRecent} times within the hour` : '';
  return `the last move of ${vm.name} ended ${seconds(sinceMs / 1_000)} ago, and it is left alone for ${seconds(cooldownMs / 1_000)}${often}.`;
}

export function whyUnmeasured(name: string, newestAt: number | undefined, now: number): string | undefined {
  if (newestAt === undefined) return `${name} has not been measured yet.`;
  if (now - newestAt <= staleAfterMs) return undefined;
  return `${name} was last measured ${seconds((now - newestAt) / 1_000)} ago, too long to judge it now.`;
}

export function stay(reason: string): Judgement {
  return { action: 'stay', reason };
}
