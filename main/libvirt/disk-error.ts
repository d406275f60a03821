import { z } from 'zod';
import type { Connection } from './connection.ts';
import type { DomainState } from './state.ts';

/** QMP query-status. */
const StatusInfo = z.object({ status: z.string() });

/**
 * Whether a VM stands still because a disk answered with an error. Where that happens during a move, libvirt puts
 * VIR_DOMAIN_PAUSED_USER over VIR_DOMAIN_PAUSED_IOERROR when the move is over (qemuMigrationDstFinish); QEMU keeps the truth.
 * @throws LibvirtError where QEMU cannot be asked
 */
export async function isStoppedByDisk(
  connection: Pick<Connection, 'qemuMonitorCommand'>,
  uuid: string,
  { state, reason }: Pick<DomainState, 'state' | 'reason'>,
): Promise<boolean> {
  if (state !== 'paused') return false;
  if (reason !== 'paused-user') return reason === 'paused-ioerror';
  const answer = await connection.qemuMonitorCommand(uuid, { execute: 'query-status' });
  return StatusInfo.parse(answer).status === 'io-error';
}
