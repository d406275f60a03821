import { isOver } from '../../shared/machine/move-machine.ts';
import type { Writer } from '../disk/index.ts';
import { parseMoveData } from '../migrate/index.ts';
import type { Journal } from './journal.ts';

/**
 * Who may write a VM's disk, as the journal has it: where the VM is, or both ends of a move that is not decided yet.
 * A visitor that is being cut off, or lost a move, gets its disk back from nobody.
 */
export function writersOf(vm: string, journal: Pick<Journal, 'openMoves' | 'place'>): Writer[] {
  const open = journal.openMoves().find(({ move }) => move.vm === vm);
  const data = parseMoveData(open?.data);
  if (data === undefined || isOver(data.state.phase)) return [atRest(vm, journal)];
  const { phase, direction, outcome } = data.state;
  const visit: Writer = `visit-${data.record.visit}`;
  const arrived = phase === 'switched' || outcome === 'done';
  if (!arrived && phase !== 'settling') return [visit, 'home'];
  const endsAway = outcome !== 'lost' && (direction === 'out') === arrived;
  return [endsAway ? visit : 'home'];
}

function atRest(vm: string, journal: Pick<Journal, 'place'>): Writer {
  const place = journal.place(vm)?.place;
  return place?.kind === 'away' && place.restarting === undefined ? `visit-${place.visit}` : 'home';
}
