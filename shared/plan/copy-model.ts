/**
 * How a copy of a guest's memory goes, as a fluid: pre-copy in rounds, post-copy with each page once (Hines, Deshpande,
 * Gopalan §3), a balloon that takes pages out of the first round meanwhile (§3.3). Bytes, milliseconds.
 */

/** What QEMU aims at by default (downtime-limit). */
export const targetDowntimeMs = 300;
/** The stop for the flip: the state of the devices alone. */
const flipDowntimeMs = 200;
/** More rounds than this tell nothing: QEMU would go on for ever. */
const mostRounds = 40;
/** How long a link's trend is taken to go on. */
const trendLastsMs = 30_000;

export interface CopyFacts {
  /** To be sent in this round; in the first all that the guest has ever touched. */
  readonly remainingBytes: number;
  /** Since this round's list was made: what was sent of it may have been written again. 0 before the copy. */
  readonly sinceSyncMs: number;
  /** Distinct memory written in a second. */
  readonly dirtyBytesPerSec: number;
  /** What it writes to at all, over any time. */
  readonly workingSetBytes: number;
  /** In how much of a second it may have written all that it writes in one: less than 1,000 where it may go in circles. */
  readonly burstMs: number;
  readonly linkBytesPerSec: number;
  /** Relative change of that in a second: -0.02 loses 2 % of it each second. Growth is not counted on. */
  readonly linkTrendPerSec: number;
}

/** Memory that the guest gives back, from wherever in its memory, before and during the first round; QEMU takes none in post-copy. */
export interface Shrinking {
  readonly freedBytes: number;
  readonly bytesPerSec: number;
  /** So much earlier than the copy. */
  readonly headStartMs: number;
}

export interface CopyOption {
  /** Rounds from now to the flip, 0 for at once; none: pre-copy to the end. */
  readonly flipAfterRounds?: number | undefined;
  readonly shrinking?: Shrinking | undefined;
}

export interface Copy {
  /** Until all of the VM is there; infinite where it never is. */
  readonly totalMs: number;
  /** Sent by then; of the first round alone where there is no end. */
  readonly bytes: number;
  readonly downtimeMs: number;
  /** Between flip and end, when the VM rests on both machines and the link. */
  readonly postcopyMs: number;
}

const never = (bytes: number): Copy => ({ totalMs: Number.POSITIVE_INFINITY, bytes, downtimeMs: 0, postcopyMs: 0 });

/** @param linkFactor the link as so many times what was measured */
export function predictCopy(facts: CopyFacts, option: CopyOption, linkFactor = 1): Copy {
  const link = linkOf(facts, linkFactor);
  const dirtied = (ms: number): number => {
    // Measured was a second; within a shorter time a guest that goes in circles may have been round once.
    const writingMs = Math.max(ms, Math.min(1_000, (ms / facts.burstMs) * 1_000));
    return Math.min(facts.workingSetBytes, (facts.dirtyBytesPerSec * writingMs) / 1_000);
  };
  const { beginsMs, residentBytes, toFreeBytes, freesPerMs } = headStart(facts, option.shrinking);
  if (option.flipAfterRounds === 0) {
    const left = residentBytes + againBytes(facts, dirtied(facts.sinceSyncMs));
    return flipped(beginsMs, left, link.sendMs(left, beginsMs));
  }
  const first = firstRound(residentBytes, toFreeBytes, freesPerMs, beginsMs, link);
  let atMs = beginsMs + first.ms;
  let { bytes } = first;
  let left = dirtied(facts.sinceSyncMs + first.ms);
  for (let round = 1; round <= mostRounds; round += 1) {
    if (!Number.isFinite(atMs)) return never(first.bytes);
    const downtimeMs = link.sendMs(left, atMs);
    if (downtimeMs <= targetDowntimeMs) {
      return { totalMs: atMs + downtimeMs, bytes: bytes + left, downtimeMs, postcopyMs: 0 };
    }
    if (option.flipAfterRounds === round) {
      const rest = flipped(atMs, left, downtimeMs);
      return { ...rest, bytes: bytes + rest.bytes };
    }
    atMs += downtimeMs;
    bytes += left;
    left = dirtied(downtimeMs);
  }
  return never(first.bytes);
}

function flipped(atMs: number, bytes: number, sendingMs: number): Copy {
  const totalMs = atMs + flipDowntimeMs + sendingMs;
  if (!Number.isFinite(totalMs)) return never(bytes);
  return { totalMs, bytes, downtimeMs: flipDowntimeMs, postcopyMs: sendingMs };
}

interface Link {
  /** How long `bytes` take that are sent from `atMs` on; infinite where the link has gone by then. */
  sendMs(bytes: number, atMs: number): number;
  readonly bytesPerMs: number;
}

function linkOf(facts: CopyFacts, factor: number): Link {
  const bytesPerMs = (Math.max(1, facts.linkBytesPerSec) * factor) / 1_000;
  const decay = Math.max(0, -facts.linkTrendPerSec) / 1_000;
  const settled = bytesPerMs * Math.exp(-decay * trendLastsMs);
  return {
    bytesPerMs,
    sendMs(bytes, atMs) {
      if (decay === 0) return bytes / bytesPerMs;
      if (atMs >= trendLastsMs) return bytes / settled;
      const now = bytesPerMs * Math.exp(-decay * atMs);
      const whileFalling = (now - settled) / decay;
      if (bytes <= whileFalling) return -Math.log(1 - (bytes * decay) / now) / decay;
      return trendLastsMs - atMs + (bytes - whileFalling) / settled;
    },
  };
}

/** What was sent in this round and has been written since. */
function againBytes({ remainingBytes, linkBytesPerSec, sinceSyncMs }: CopyFacts, dirtiedBytes: number): number {
  const sent = (linkBytesPerSec * sinceSyncMs) / 1_000;
  return sent === 0 ? 0 : dirtiedBytes * (sent / (sent + remainingBytes));
}

/** Where things stand when the copy begins. */
function headStart({ remainingBytes }: CopyFacts, shrinking: Shrinking | undefined) {
  if (shrinking === undefined || shrinking.freedBytes <= 0) {
    return { beginsMs: 0, residentBytes: remainingBytes, toFreeBytes: 0, freesPerMs: 0 };
  }
  const freesPerMs = shrinking.bytesPerSec / 1_000;
  const beginsMs = Math.min(shrinking.headStartMs, shrinking.freedBytes / freesPerMs);
  const freed = freesPerMs * beginsMs;
  return { beginsMs, residentBytes: remainingBytes - freed, toFreeBytes: shrinking.freedBytes - freed, freesPerMs };
}

/**
 * The balloon takes pages from anywhere, so those not yet sent in the share in which they still are there. With u the
 * unsent share of r(t) = r0 - S·t bytes, du/dt = -B/r: u = 1 - B/S · ln(r0/r).
 */
function firstRound(
  residentBytes: number,
  toFreeBytes: number,
  freesPerMs: number,
  beginsMs: number,
  link: Link,
): { readonly ms: number; readonly bytes: number } {
  if (toFreeBytes <= 0) return { ms: link.sendMs(residentBytes, beginsMs), bytes: residentBytes };
  const freeingMs = toFreeBytes / freesPerMs;
  const doneMs = (residentBytes * (1 - Math.exp(-freesPerMs / link.bytesPerMs))) / freesPerMs;
  if (doneMs <= freeingMs) return { ms: doneMs, bytes: doneMs * link.bytesPerMs };
  const leftBytes = residentBytes - toFreeBytes;
  const unsent = Math.max(0, 1 - (link.bytesPerMs / freesPerMs) * Math.log(residentBytes / leftBytes));
  const rest = unsent * leftBytes;
  return { ms: freeingMs + link.sendMs(rest, beginsMs + freeingMs), bytes: freeingMs * link.bytesPerMs + rest };
}
