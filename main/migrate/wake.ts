import type { Connection } from '../libvirt/index.ts';

/**
 * Lets a VM run again that a move which came to nothing left stopped. Harmless when repeated, as by the next engine; one
 * that was paused on purpose stays as it is.
 */
export async function wakeStopped(connection: Pick<Connection, 'resume' | 'state'>, uuid: string): Promise<void> {
  const { state, reason } = await connection.state(uuid);
  if (state === 'paused' && reason !== 'paused-user') await connection.resume(uuid);
}
