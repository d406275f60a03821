import { HomewardError } from '../../shared/errors.ts';
import type { LocalVm } from './local-vm.ts';
import { see } from './seen.ts';

/**
 * Before a VM comes home: one of its UUID that runs here, as on another disk, keeps libvirt from taking it in, and would be
 * taken for it once the move has failed.
 * @throws HomewardError `incompatible`
 */
export async function needNoneHere({ connection, uuid, name, uri }: LocalVm): Promise<void> {
  const seen = await see(connection, uuid, true);
  // What else may be there is libvirt's to refuse, and is never taken for a VM that has arrived.
  if (seen !== 'running' && seen !== 'paused') return;
  throw new HomewardError('incompatible', `${name} was started here as well while it was away.`, {
    // One that is paused hears nobody.
    hint: `Shut down the one here, then bring it home: virsh -c ${uri} ${seen === 'running' ? 'shutdown' : 'destroy'} ${name}`,
  });
}
