import type { Connection } from '../libvirt/index.ts';

/**
 * Lets a VM run again that a move which came to nothing left stopped. Harmless when repeated, as by the next engine; one
 * that was paused on purpose stays as it is.
 */
export async function wakeStopped(
  connection: Pick<Connection, 'qemuMonitorCommand' | 'resume' | 'state'>,
  uuid: string,
): Promise<void> {
  const { state, reason } = await connection.state(uuid);
  if (state !== 'paused' || reason === 'paused-user') return;
  // libvirt holds such a VM for half-way gone and resumes it for nobody; QEMU knows that its flip has failed.
  if (reason === 'paused-postcopy-failed') await connection.qemuMonitorCommand(uuid, { execute: 'cont' });
  else await connection.resume(uuid);
}
