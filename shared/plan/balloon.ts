/** How small to make a guest before it comes home (Hines §3.3: dynamic self-ballooning). */

const MiB = 1024 * 1024;

/** From the balloon driver (virDomainMemoryStats), bytes. */
export interface BalloonStats {
  /** What the guest may have now. */
  readonly currentBytes: number;
  /** All the guest's kernel manages (VIR_DOMAIN_MEMORY_STAT_AVAILABLE). */
  readonly availableBytes?: number | undefined;
  /** What could be had without swapping (…_USABLE: free and reclaimable). */
  readonly usableBytes?: number | undefined;
  /** Entirely free (…_UNUSED). */
  readonly unusedBytes?: number | undefined;
}

/** Room left above what is in use, so that the guest can go on working: a tenth, never less than this. */
const leastMarginBytes = 64 * MiB;
const marginShare = 0.1;
/** Inflating takes a moment; below this gain it is not worth it. */
const leastGainBytes = 64 * MiB;

/** Guest memory in use: what cannot be taken without swapping. The whole, where the guest is silent. */
export function usedBytes(stats: BalloonStats): number {
  const { availableBytes, usableBytes, unusedBytes } = stats;
  const free = usableBytes ?? unusedBytes;
  if (availableBytes === undefined || free === undefined || free > availableBytes) return stats.currentBytes;
  // The kernel's own share never shows in `available`, so count it as used.
  return Math.min(stats.currentBytes, Math.max(0, stats.currentBytes - free));
}

/** Size to shrink to, or nothing where it does not pay. */
export function shrinkTargetBytes(stats: BalloonStats): number | undefined {
  const used = usedBytes(stats);
  const target = Math.ceil((used + Math.max(leastMarginBytes, used * marginShare)) / MiB) * MiB;
  return stats.currentBytes - target >= leastGainBytes ? target : undefined;
}
