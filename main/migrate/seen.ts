import type { Seen } from '../../shared/machine/verdict.ts';
import { type Connection, type DomainState, LibvirtError, libvirtErrorCode } from '../libvirt/index.ts';
import { migrationStatus } from './migration-status.ts';

/** libvirt's state and reason of a VM of which a part is, or was, on another machine. */
export function isInPostCopy({ reason }: DomainState): boolean {
  return ['running-postcopy', 'running-postcopy-failed', 'paused-postcopy', 'paused-postcopy-failed'].includes(reason);
}

/** libvirt's state and reason in the machine's words. `destination`: a stopped receiver has never run. */
function seenOf({ state, reason }: DomainState, destination: boolean): Seen {
  // Still under way, or its break not yet noticed: a resume now would meet the old attempt in libvirt and hang there.
  if (reason === 'running-postcopy' || reason === 'paused-postcopy') return 'unknown';
  // At a source it is what libvirt calls a VM that goes on after a flip that failed.
  if (reason === 'running-postcopy-failed') return destination ? 'postcopy-destination' : 'running';
  if (reason === 'paused-postcopy-failed') return destination ? 'postcopy-destination' : 'postcopy-source';
  switch (state) {
    case 'running':
    case 'blocked':
    case 'pmsuspended':
      return 'running';
    case 'paused':
      return destination && (reason === 'paused-migration' || reason === 'paused-starting-up') ? 'incoming' : 'paused';
    // On its way down: still a process, so still a copy.
    case 'shutdown':
      return 'running';
    case 'shutoff':
    case 'crashed':
    case 'nostate':
      return 'absent';
    default:
      return state satisfies never;
  }
}

/** libvirt calls both the same: a source whose post-copy can be resumed, and one that QEMU has let go of. */
async function hasCalledOff(source: Connection, uuid: string): Promise<boolean> {
  return ['failed', 'cancelled'].includes((await migrationStatus(source, uuid)) ?? '');
}

/** Asks one libvirt; a place that does not answer is `unknown`, never `absent`. */
export async function see(
  connection: Connection | Promise<Connection>,
  uuid: string,
  destination: boolean,
): Promise<Seen> {
  try {
    const end = await connection;
    const seen = seenOf(await end.state(uuid), destination);
    return seen === 'postcopy-source' && (await hasCalledOff(end, uuid)) ? 'flip-failed' : seen;
  } catch (thrown) {
    if (thrown instanceof LibvirtError && thrown.code === libvirtErrorCode.NO_DOMAIN) return 'absent';
    return 'unknown';
  }
}
