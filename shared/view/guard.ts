import type { Status } from '../rpc.ts';
import { sentence } from './units.ts';

/** Whether closing the lid waits, and for whom; undefined while nothing is away or on its way. */
export function guardWords({ guard, vms, moves }: Pick<Status, 'guard' | 'vms' | 'moves'>): string | undefined {
  switch (guard.state) {
    case 'off':
      return undefined;
    case 'held':
      return guard.takenBy === undefined
        ? `Sleep on lid close is held while ${whoIsAway({ vms, moves })}.`
        : `“${guard.takenBy}” handles the lid itself: closing it may put this computer to sleep while ${whoIsAway({ vms, moves })}. “homeward doctor” says what to do.`;
    case 'refused':
      return `Closing the lid would put this computer to sleep while ${whoIsAway({ vms, moves })}. ${sentence(guard.sentence)}`;
    default:
      return guard satisfies never;
  }
}

function whoIsAway({ vms, moves }: Pick<Status, 'vms' | 'moves'>): string {
  const away = vms.filter(({ uuid, place }) => place.kind === 'away' || moves.some(({ vm }) => vm === uuid));
  const names = away.map(({ name }) => name);
  const last = names.pop();
  if (last === undefined) return 'a VM is away';
  return names.length === 0 ? `${last} is away` : `${names.join(', ')} and ${last} are away`;
}
