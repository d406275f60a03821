import { isOver, isUndecided } from '../../shared/machine/move-machine.ts';
import type { Seen } from '../../shared/machine/verdict.ts';
import type { Writer } from '../disk/index.ts';
import { parseMoveData } from '../migrate/index.ts';
import type { Journal } from './journal.ts';

/** What tells whether home can have a copy of a VM whose move is undecided. */
export interface HomeNow {
  readonly bootId: () => Promise<string>;
  /** What home's libvirt says of the VM. */
  readonly seen: () => Promise<Seen>;
}

/**
 * Who may write a VM's disk, as the journal has it: where the VM is, or each end of a move that is not decided yet. Home only
 * where it can have a copy: otherwise whoever started the VM there would run a second one.
 * A visitor that is being cut off, or lost a move, gets its disk back from nobody.
 */
export async function writersOf(
  vm: string,
  journal: Pick<Journal, 'openMoves' | 'place'>,
  home: HomeNow,
): Promise<Writer[]> {
  const open = journal.openMoves().find(({ move }) => move.vm === vm);
  const data = parseMoveData(open?.data);
  if (data === undefined || isOver(data.state.phase)) return [atRest(vm, journal)];
  const { phase, direction, outcome } = data.state;
  const visit: Writer = `visit-${data.record.visit}`;
  if (isUndecided(phase)) return (await mayBeAtHome(data.bootId, home)) ? [visit, 'home'] : [visit];
  const arrived = phase === 'switched' || outcome === 'done';
  const endsAway = outcome !== 'lost' && (direction === 'out') === arrived;
  return [endsAway ? visit : 'home'];
}

/** No copy outlives the boot of this computer in which its move began. A libvirt that does not answer proves nothing. */
async function mayBeAtHome(began: string | undefined, home: HomeNow): Promise<boolean> {
  return began === (await home.bootId()) && (await home.seen()) !== 'absent';
}

function atRest(vm: string, journal: Pick<Journal, 'place'>): Writer {
  const place = journal.place(vm)?.place;
  return place?.kind === 'away' && place.restarting === undefined ? `visit-${place.visit}` : 'home';
}
