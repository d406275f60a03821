/** How small to make a guest before it comes home (Hines §3.3: dynamic self-ballooning). */

const MiB = 1024 * 1024;

/** From the balloon driver (virDomainMemoryStats), bytes. */
export interface BalloonStats {
  /** What the guest may have now. */
  readonly currentBytes: number;
  /** What of it the host has in memory: the guest has touched no more (…_RSS). */
  readonly residentBytes?: number | undefined;
  /** All the guest's kernel manages (VIR_DOMAIN_MEMORY_STAT_AVAILABLE). */
  readonly availableBytes?: number | undefined;
  /** What could be had without swapping (…_USABLE: free and reclaimable). */
  readonly usableBytes?: number | undefined;
  /** Entirely free (…_UNUSED). */
  readonly unusedBytes?: number | undefined;
}

/**
 * Room left above what is in use, so that the guest can go on working: a twentieth, never less than this. What a guest
 * calls usable leaves out the reserves of its kernel (some 130 MiB with huge pages on), which are left to it as well.
 */
const leastMarginBytes = 32 * MiB;
const marginShare = 0.05;
/**
 * Inflating takes a moment; below this gain it is not worth it. Less than what a guest that was ballooned while it was
 * away has kept above this margin, so that it gives that too.
 */
const leastGainBytes = 32 * MiB;

/** How fast a guest gives memory back, where nobody has seen it do so. */
export const usualShrinkBytesPerSec = 256 * MiB;

/** Guest memory in use: what cannot be taken without swapping. The whole, where the guest is silent. */
export function usedBytes(stats: BalloonStats): number {
  const { availableBytes, usableBytes, unusedBytes } = stats;
  const free = usableBytes ?? unusedBytes;
  if (availableBytes === undefined || free === undefined || free > availableBytes) return stats.currentBytes;
  // A report older than the balloon's size.
  if (free < 0 || free > stats.currentBytes) return stats.currentBytes;
  // The kernel's own share never shows in `available`, so count it as used.
  return stats.currentBytes - free;
}

/** Size to shrink to, or nothing where it does not pay. */
export function shrinkTargetBytes(stats: BalloonStats): number | undefined {
  const used = usedBytes(stats);
  const target = Math.ceil((used + Math.max(leastMarginBytes, used * marginShare)) / MiB) * MiB;
  return stats.currentBytes - target >= leastGainBytes ? target : undefined;
}
