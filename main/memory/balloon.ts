import type { BalloonStats } from '../../shared/plan/balloon.ts';
import { type Connection, type MemoryStats, readDomain } from '../libvirt/index.ts';

/** The balloon moves in steps; when it has not moved for this long, the guest will not give more. */
const stalledMs = 1_500;
const pollMs = 200;
const longestMs = 6_000;
const steadyWaitMs = 4_000;
const nudgeBytes = 1024 * 1024;
/** A driver takes a mebibyte in some milliseconds, under emulation too. */
const nudgeMs = 500;

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
  const startedAt = performance.now();
  let least = Number.POSITIVE_INFINITY;
  let leastAt = startedAt;
  while (!signal.aborted && performance.now() - startedAt < longestMs) {
    const { actualBytes = 0 } = await connection.memoryStats(uuid);
    if (actualBytes <= targetBytes) return;
    if (actualBytes < least) {
      least = actualBytes;
      leastAt = performance.now();
    } else if (performance.now() - leastAt > stalledMs) return;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Gives the guest its memory back. */
export async function restore(connection: Connection, uuid: string, bytes: number): Promise<void> {
  await connection.setMemory(uuid, bytes);
}

/** Whether libvirt counts at least `bytes` as the guest's. */
export async function hasMemory(
  connection: Pick<Connection, 'memoryStats'>,
  uuid: string,
  bytes: number,
): Promise<boolean> {
  return ((await connection.memoryStats(uuid)).actualBytes ?? 0) >= bytes;
}

/** As `restore`, by way of a little less: a guest's driver says what it holds only where that changes (virtio_balloon). */
export async function offerAnew(connection: Pick<Connection, 'setMemory'>, uuid: string, bytes: number): Promise<void> {
  await connection.setMemory(uuid, bytes - nudgeBytes);
  await new Promise((resolve) => setTimeout(resolve, nudgeMs));
  await connection.setMemory(uuid, bytes);
}

/** As `restore`, for a guest that is being migrated, or that libvirt holds for half-way gone: it changes nothing of it then, QEMU does. */
export async function giveOnTheMove(
  connection: Connection,
  uuid: string,
  bytes: number,
  deadlineMs: number,
): Promise<void> {
  await connection.qemuMonitorCommand(uuid, { execute: 'balloon', arguments: { value: bytes } }, { deadlineMs });
}

/**
 * Figures of one moment. While the balloon of a guest moves, its size and what the guest last said of itself do not belong
 * together, and what is in use cannot be told from them: it is waited, a few seconds at most, until it has kept its size
 * over a report. A guest that has all of `fullBytes` is not waited for; one without a balloon always has.
 */
export async function steadyStats(connection: Connection, uuid: string, fullBytes: number): Promise<BalloonStats> {
  const startedAt = performance.now();
  let stats = await connection.memoryStats(uuid);
  while ((stats.actualBytes ?? fullBytes) < fullBytes && performance.now() - startedAt < steadyWaitMs) {
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    const before = stats;
    stats = await connection.memoryStats(uuid);
    if (stats.actualBytes === before.actualBytes && stats.lastUpdateS !== before.lastUpdateS) break;
  }
  return statsOf(stats, fullBytes);
}

function statsOf(stats: MemoryStats, fullBytes: number): BalloonStats {
  return {
    currentBytes: stats.actualBytes ?? fullBytes,
    residentBytes: stats.rssBytes,
    availableBytes: stats.availableBytes,
    usableBytes: stats.usableBytes,
    unusedBytes: stats.unusedBytes,
  };
}

/** Without one, a guest has all of its memory at any time, and libvirt refuses to give or to take any. */
export function hasBalloon(domainXml: string): boolean {
  return readDomain(domainXml).balloon !== undefined;
}

/** Whether the kernel of a guest takes memory back from its balloon before it would kill a process; else none is taken. */
export function deflatesAtNeed(domainXml: string): boolean {
  return readDomain(domainXml).balloon?.autodeflate === true;
}
