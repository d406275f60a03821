import type { Place, Vm } from '../../shared/model/vm.ts';
import type { HostLink } from '../link/index.ts';
import type { Fleet } from './fleet.ts';
import type { Journal } from './journal.ts';
import type { Visits } from './visits.ts';

export type Away = Extract<Place, { kind: 'away' }>;

export interface EndedVisitRooms {
  readonly fleet: Pick<Fleet, 'follow' | 'local'>;
  readonly journal: Pick<Journal, 'append'>;
  readonly visits: Pick<Visits, 'end'>;
}

/**
 * A VM that ended while it was away leaves its disk to be taken back. Written down only once home may write again, and
 * each step may be repeated: what a crash cuts short is found and done again.
 */
export async function settleEnded(rooms: EndedVisitRooms, vm: Vm, away: Away, link: HostLink): Promise<void> {
  const { fleet, journal, visits } = rooms;
  const { disk } = await fleet.local(vm);
  // Whatever the host said: nobody but home can write from here on.
  await visits.end(away.visit);
  await disk.revoke(`visit-${away.visit}`);
  await disk.allow('home');
  await journal.append({ kind: 'place', vm: vm.uuid, place: { kind: 'home' }, data: null });
  await journal.append({
    kind: 'event',
    text: `${vm.name} was shut down while away, or ended on ${away.hostName}. Its disk is back home, where it can be started.`,
  });
  fleet.follow(vm.uuid, undefined);
  // A host that is not reached now is told when it is: nothing here refers to that visit any more.
  await link.call('visit.end', { visit: away.visit }).catch(() => undefined);
}
