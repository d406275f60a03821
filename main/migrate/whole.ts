import { HomewardError } from '../../shared/errors.ts';
import type { Connection } from '../libvirt/index.ts';
import { isInPostCopy } from './seen.ts';

/**
 * libvirt never ends the job of a move whose switch failed, and lets the VM, which goes on, neither move nor be changed
 * beside it: calls wait, and then time out.
 * @throws HomewardError `incompatible`
 */
export async function needWhole(
  source: Pick<Connection, 'state'>,
  { uuid, name }: { readonly uuid: string; readonly name: string },
): Promise<void> {
  if (!isInPostCopy(await source.state(uuid))) return;
  throw new HomewardError(
    'incompatible',
    `The last move of ${name} failed at the switch, and libvirt holds it for half-way gone since: it runs, but can be moved only after it was shut down.`,
    { hint: `Shut ${name} down from inside, then start it here; its disk is at home and whole.` },
  );
}
