import type { Fleet } from './fleet.ts';
import type { KnownHost } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';

export interface HomeWantedRooms {
  readonly journal: Pick<Journal, 'places'>;
  readonly fleet: Pick<Fleet, 'settled'>;
  readonly moves: Pick<Moves, 'home' | 'isMoving'>;
}

/**
 * The owner of a host asks for a visitor to be brought home. Only a VM that is at that very host comes: where it is
 * elsewhere, home already or on its way, there is nothing left to do.
 * @throws HomewardError as `Moves.home`
 */
export async function bringHomeFor(
  host: Pick<KnownHost, 'fingerprint' | 'name'>,
  visit: string,
  { journal, fleet, moves }: HomeWantedRooms,
): Promise<void> {
  const found = journal
    .places()
    .find(({ place }) => place.kind === 'away' && place.visit === visit && place.host === host.fingerprint);
  if (found === undefined || moves.isMoving(found.vm)) return;
  const vm = await fleet.settled(found.vm);
  // Asked twice, the first may have begun meanwhile.
  if (moves.isMoving(found.vm)) return;
  await moves.home(vm, { by: 'host', reason: `${host.name} needs its room back.` });
}
