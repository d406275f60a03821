import { type BalloonStats, shrinkTargetBytes } from '../../shared/plan/balloon.ts';
import type { Connection } from '../libvirt/index.ts';

/** The balloon moves in steps; when it has not moved for this long, the guest will not give more. */
const stalledMs = 1_500;
const pollMs = 200;
const longestMs = 6_000;

/** What the balloon driver says now; only `currentBytes` where the guest is silent. */
export async function balloonStats(connection: Connection, uuid: string): Promise<BalloonStats> {
  const stats = await connection.memoryStats(uuid);
  return {
    currentBytes: stats.actualBytes ?? 0,
    availableBytes: stats.availableBytes,
    usableBytes: stats.usableBytes,
    unusedBytes: stats.unusedBytes,
  };
}

/** Size in bytes the guest would be shrunk to before a move, or nothing where it does not pay. */
export async function shrinkTarget(connection: Connection, uuid: string): Promise<number | undefined> {
  return shrinkTargetBytes(await balloonStats(connection, uuid));
}

/**
 * Asks the guest for memory down to `targetBytes` and waits while it gives; never an error when the guest
 * keeps some: the balloon is a request. The caller has written down the size to restore before calling.
 */
export async function shrink(
  connection: Connection,
  uuid: string,
  targetBytes: number,
  signal: AbortSignal,
): Promise<void> {
  await connection.setMemory(uuid, targetBytes);
  const startedAt = Date.now();
  let least = Number.POSITIVE_INFINITY;
  let leastAt = startedAt;
  while (!signal.aborted && Date.now() - startedAt < longestMs) {
    const { currentBytes } = await balloonStats(connection, uuid);
    if (currentBytes <= targetBytes) return;
    if (currentBytes < least) {
      least = currentBytes;
      leastAt = Date.now();
    } else if (Date.now() - leastAt > stalledMs) return;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Gives the guest its memory back. */
export async function restore(connection: Connection, uuid: string, bytes: number): Promise<void> {
  await connection.setMemory(uuid, bytes);
}
