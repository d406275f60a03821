import type { VisitEnd } from '../../shared/model/visit-end.ts';
import type { Place, Vm } from '../../shared/model/vm.ts';
import { visitEndSentences } from '../../shared/view/index.ts';
import type { HostLink } from '../link/index.ts';
import type { Fleet } from './fleet.ts';
import type { Journal } from './journal.ts';
import type { Visits } from './visits.ts';

export type Away = Extract<Place, { kind: 'away' }>;

export interface EndedVisitRooms {
  readonly fleet: Pick<Fleet, 'follow' | 'local' | 'putBack'>;
  readonly journal: Pick<Journal, 'append'>;
  readonly visits: Pick<Visits, 'end'>;
}

/** Why a visit ended where nobody knows. */
export function endedUnknown(): VisitEnd {
  return { why: 'unknown', at: new Date().toISOString() };
}

/**
 * A VM that ended while it was away, or was given up there, leaves its disk to be taken back. Written down only once home
 * may write again, and each step may be repeated: what a crash cuts short is found and done again.
 * @param end Why, for people.
 * @param link To the host, where it is known; told if it can be reached.
 * @param starting To be started here next.
 */
export async function takeBack(
  rooms: EndedVisitRooms,
  vm: Vm,
  away: Away,
  end: VisitEnd,
  link: Pick<HostLink, 'call'> | undefined,
  starting = false,
): Promise<void> {
  const { fleet, journal, visits } = rooms;
  // Whatever the host said: nobody but home can write from here on.
  await visits.end(away.visit);
  const { disk } = await fleet.local(vm);
  await disk.revoke(`visit-${away.visit}`);
  await disk.allow('home');
  await fleet.putBack(vm);
  const place: Place = {
    kind: 'home',
    ended: { ...end, hostName: away.hostName },
    ...(starting ? { starting: true } : {}),
  };
  await journal.append({ kind: 'event', text: visitEndSentences(vm.name, away.hostName, end) });
  // Last, and nobody waits for the host: as soon as people read that it is home they may have it started.
  await journal.append({ kind: 'place', vm: vm.uuid, place, data: null });
  fleet.follow(vm.uuid, undefined);
  // A host that is not reached now is told when it is: nothing here refers to that visit any more.
  void link?.call('visit.end', { visit: away.visit, why: end.why }).catch(() => undefined);
}
