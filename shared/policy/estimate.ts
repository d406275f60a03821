/**
 * How long a move will take, after Muda §6.5.3 (equations 6.1 and 6.2). The thesis counts MB and Mbit/s;
 * here both are bytes, so its factor 8 cancels.
 */

/** Where a link was never measured: 100 Mbit/s, the slowest link on which the thesis still saw a gain. */
export const assumedLinkBytesPerSec = 12_500_000;

/** What a move takes besides memory: preparing both ends, switching over, settling. */
const handoverS = 2;

interface MoveEstimateInput {
  readonly memoryBytes: number;
  readonly usedMemoryBytes: number;
  readonly linkBytesPerSec: number;
}

export interface MoveEstimate {
  /** T_M, equation 6.1: one pass over the whole memory, and the handover. */
  readonly baseS: number;
  /** T_S, equation 6.2: a further pass over the memory in use, as if all of it changed meanwhile. */
  readonly syncS: number;
  /** 2·T_M + T_S (Muda §6.4, condition 3). */
  readonly totalS: number;
}

export function estimateMove(input: MoveEstimateInput): MoveEstimate {
  const rate = input.linkBytesPerSec > 0 ? input.linkBytesPerSec : assumedLinkBytesPerSec;
  const occupied = input.memoryBytes > 0 ? Math.min(1, input.usedMemoryBytes / input.memoryBytes) : 0;
  const passS = input.memoryBytes / rate;
  const baseS = passS + handoverS;
  const syncS = passS * occupied;
  return { baseS, syncS, totalS: 2 * baseS + syncS };
}
