import { HomewardError } from '../../shared/errors.ts';
import type { VisitPaths, VisitRequest } from '../../shared/wire.ts';

/**
 * A VM that left with a disk or a card too few would go on without it, and notice.
 * @throws HomewardError `incompatible` where the host offers anything else than was asked for
 */
export function needWhatWasAsked({ disks, nics }: VisitRequest, offered: VisitPaths): void {
  const asked = thingsOf(disks, nics);
  const got = thingsOf(Object.keys(offered.disks), offered.nicPorts.length);
  if (asked === got) return;
  throw new HomewardError('incompatible', `The host was asked for ${asked} and offers ${got}.`, {
    hint: 'Update Homeward there; if it still does so then, revoke that host: homeward peers revoke',
  });
}

/** In words that are equal only where the things are. */
function thingsOf(disks: readonly string[], nics: number): string {
  const named = disks.length === 0 ? 'no disk' : `disk ${[...disks].sort().join(', ')}`;
  return `${named} and ${nics} network ${nics === 1 ? 'card' : 'cards'}`;
}
