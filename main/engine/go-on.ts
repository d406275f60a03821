import type { VmUuid } from '../../shared/model/identifiers.ts';
import type { Away } from './ended-visit.ts';
import type { Journal } from './journal.ts';
import type { Visits } from './visits.ts';

/**
 * Has a VM run again that was paused at its host because this computer had to leave, and writes that down afterwards: cut
 * short by a crash, it is found and done again. Not while anything else is done with the VM (`Moves.exclusively`).
 * @throws what the visit's libvirt throws: the VM is still taken for paused then
 */
export async function goOn(
  { journal, visits }: { readonly journal: Pick<Journal, 'append'>; readonly visits: Pick<Visits, 'connection'> },
  vm: VmUuid,
  away: Away,
): Promise<void> {
  const connection = await visits.connection(away.visit);
  if ((await connection.state(vm)).state === 'paused') await connection.resume(vm);
  const { pausedSince: _, ...place } = away;
  await journal.append({ kind: 'place', vm, place });
}
