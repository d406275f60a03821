/** How a case may end, as data: what physics, or a libvirtd killed at the flip, takes may be lost, and nothing else. Pure. */
import type { Direction } from '../../../shared/model/move.ts';
import type { FaultName } from './faults.ts';
import { type Met, pointOf } from './moments.ts';

/**
 * `home-running`, `away-running`: one copy runs there, the engine says so, and the guest is heard. `ended`: no copy runs,
 * the disk is at home and starts, and the user was told why. `halted`: the VM stands still for good, and the user was
 * told. `waiting`, only while a fault lasts: nothing can be done before the link is back, and the user was told.
 */
export type GoodEnd = 'home-running' | 'away-running' | 'ended' | 'halted' | 'waiting';

type Ends = readonly GoodEnd[];

const anywhere: Ends = ['home-running', 'away-running'];
const home: Ends = ['home-running'];
const away: Ends = ['away-running'];
const ended: Ends = ['ended'];

/** A fault that takes no copy of a page: the VM goes on where the move had brought it to. */
export function unharmed(met: Met): Ends {
  if (met === 'idle-away') return away;
  if (met === 'idle-home') return home;
  const destination = met.startsWith('out/') ? away : home;
  switch (pointOf(met)) {
    case 'post-copy':
    case 'settle':
      return destination;
    default:
      return anywhere;
  }
}

/** The VM's memory, or a part that nobody else has, was on the machine at `place`. */
function memoryWas(place: 'home' | 'away', met: Met): boolean {
  if (met === 'idle-home' || met === 'idle-away') return met === `idle-${place}`;
  const source = met.startsWith('out/') ? 'home' : 'away';
  switch (pointOf(met)) {
    case 'prepare':
    case 'pre-copy':
      return place === source;
    case 'settle':
      return place !== source;
    default:
      return true;
  }
}

/** The machine at `place`, or its QEMU, died: what it alone held is lost, and anything else is not. */
function died(place: 'home' | 'away'): (met: Met) => Ends {
  const elsewhere = place === 'home' ? away : home;
  return (met) => {
    if (!memoryWas(place, met)) return elsewhere;
    const point = pointOf(met);
    // By the time the blow lands the other machine may have, or not yet have, all of it.
    if (point === 'post-copy' || point === 'switchover' || point === 'settle') return [...ended, ...elsewhere];
    return ended;
  };
}

/**
 * The libvirtd at the destination of a switchover ended before it had begun to finish the move: the next one ends what it
 * finds (qemuProcessRecoverMigrationIn), and QEMU takes no flip back (docs/decisions.md, “A flip that was asked for”).
 */
function receiverEnded(direction: Direction): (met: Met) => Ends {
  return (met) => (met === `${direction}/switchover` ? [...unharmed(met), ...ended] : unharmed(met));
}

/** The guest's own end; a move may have been over, and the VM started again by nobody. */
const guestEnded = (): Ends => ended;

const table: Partial<Record<FaultName, (met: Met) => Ends>> = {
  'qemu-home-killed': died('home'),
  'home-off': died('home'),
  'qemu-host-killed': died('away'),
  'host-off': died('away'),
  'libvirtd-home-killed': receiverEnded('home'),
  // A receiver that its call had not begun to finish is ended by libvirt, or never finished by anybody.
  'migration-killed': (met) => [...receiverEnded('home')(met), ...receiverEnded('out')(met)],
  'libvirtd-host-killed': receiverEnded('out'),
  'guest-shut-down': guestEnded,
  // What it had accepted and not written through is lost to the guest, which must not go on as if it were not.
  'storage-daemon-killed': (met) => [...unharmed(met), 'halted', 'ended'],
};

export function acceptable(fault: FaultName, met: Met): Ends {
  return (table[fault] ?? unharmed)(met);
}

/** While a fault that nobody mends goes on. */
export function acceptableMeanwhile(fault: FaultName, met: Met): Ends {
  return [...acceptable(fault, met), ...anywhere, 'waiting'];
}
