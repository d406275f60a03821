/** How long a visitor is kept whose laptop is silent. Pure. */

/** On the clock that counts from the machine's start, its sleep included; no setting of the time of day moves it. */
export interface LeaseQuestion {
  readonly nowMs: number;
  /** When the laptop was last connected. */
  readonly heardAtMs: number;
  /** Since when it could have been heard: this engine's start, or this machine's wake-up. */
  readonly listeningSinceMs: number;
  readonly leaseMs: number;
}

export interface Lease {
  readonly silentMs: number;
  /** Negative once it has run out. */
  readonly leftMs: number;
  /** Worth telling: the laptop is not merely between two networks. */
  readonly isSilent: boolean;
  readonly runsOutSoon: boolean;
}

/** However long this machine was off the air itself, the laptop is waited for so long. */
const graceMs = 10 * 60_000;
const silentAfterMs = 60_000;
const warnAtMostMs = 24 * 3_600_000;

export function leaseOf({ nowMs, heardAtMs, listeningSinceMs, leaseMs }: LeaseQuestion): Lease {
  const silentMs = Math.max(0, nowMs - heardAtMs);
  const endsAtMs = Math.max(heardAtMs + leaseMs, listeningSinceMs + Math.min(graceMs, leaseMs));
  const leftMs = endsAtMs - nowMs;
  const isSilent = silentMs > silentAfterMs;
  return { silentMs, leftMs, isSilent, runsOutSoon: isSilent && leftMs <= Math.min(warnAtMostMs, leaseMs / 4) };
}
