import { HomewardError } from '../../shared/errors.ts';
import type { VisitInfo } from '../../shared/wire.ts';
import type { Peer } from './peers.ts';

/**
 * The owner of this workstation wants the room back: the laptop is asked, and moves the VM as ever. Nothing is kept
 * for later, since what is true when the laptop is back may be something else.
 * @throws HomewardError `bad-input`, `vm-not-running`, `host-unreachable`: nothing was sent then
 */
export function sendHome(visit: VisitInfo | undefined, laptop: Pick<Peer, 'connected' | 'notify'> | undefined): void {
  if (visit === undefined) {
    throw new HomewardError('bad-input', 'There is no such visitor on this workstation.', {
      hint: 'See who is here with: homeward host status',
    });
  }
  if (visit.state === 'gone') {
    throw new HomewardError('vm-not-running', `${visit.vmName} is not here any more.`, {
      hint: 'There is nothing to do: the room is free.',
    });
  }
  if (visit.state !== 'running' && visit.state !== 'paused') {
    throw new HomewardError('vm-not-running', `${visit.vmName} does not run here yet.`, {
      hint: 'Ask again when it has arrived; see: homeward host status',
    });
  }
  if (laptop?.connected !== true) {
    throw new HomewardError('host-unreachable', `The computer that ${visit.vmName} belongs to is not connected.`, {
      hint: 'Nothing was sent, and the VM stays here. Ask again when that computer is on and back on the network.',
    });
  }
  laptop.notify('home.wanted', { visit: visit.visit });
}
