import type { Place } from '../../shared/model/vm.ts';
import { type Connection, type DomainStats, domainState, readDomain } from '../libvirt/index.ts';
import { deflatesAtNeed, SelfBallooning } from '../memory/index.ts';
import { inWords, isInPostCopy, VisitRecord } from '../migrate/index.ts';
import type { Journal } from './journal.ts';
import type { Logger } from './log.ts';
import type { Moves } from './moves.ts';
import type { SettingsStore } from './settings.ts';

export interface AwayBalloonRooms {
  /** Told of each look at a VM that is away. */
  readonly onAway: (
    listener: (uuid: string, stats: DomainStats, connect: () => Promise<Connection>) => void,
  ) => unknown;
  readonly journal: Pick<Journal, 'place'>;
  readonly moves: Pick<Moves, 'isMoving'>;
  readonly settings: Pick<SettingsStore, 'current'>;
  readonly log: Pick<Logger, 'debug' | 'info'>;
}

/** Of a visit, read once. */
interface Terms {
  readonly visit: string;
  /** What the guest has at home. */
  readonly fullBytes: number;
  /** Its kernel takes memory back from the balloon before it would kill a process: without that, none is taken. */
  readonly isSafe: boolean;
}

/** virDomainState: running, blocked on a resource. */
const runningStates: readonly (number | undefined)[] = [1, 2];

/**
 * Balloons the VMs that are away, on the samples that are taken of them anyway. What to give back is in the journal
 * since before they left. Returns what stops it.
 */
export function balloonAway(rooms: AwayBalloonRooms): () => Promise<void> {
  const { onAway, journal, moves, settings, log } = rooms;
  const terms = new Map<string, Terms>();
  let isStopped = false;
  const ballooning = new SelfBallooning({
    monotonicMs: () => performance.now(),
    onAsked: (vm, bytes, reason) => log.info({ vm, bytes, reason }, 'a VM that is away is given another size'),
    onFault: (vm, thrown) => log.debug({ vm, err: inWords(thrown) }, 'ballooning a VM that is away'),
  });

  onAway((uuid, stats, connect) => {
    if (isStopped || !runningStates.includes(stats.stateNumber)) return;
    const known = termsOf(uuid, journal, terms);
    const { currentBytes } = stats.balloon;
    if (known === undefined || currentBytes === undefined) return;
    const { visit, fullBytes, isSafe } = known;
    // libvirt gives and takes nothing of a VM that it holds for half-way gone, as after a switch that failed.
    const isHalfGone = isInPostCopy(domainState(stats.stateNumber ?? 0, stats.stateReason ?? 0));
    const mode = moves.isMoving(uuid) || isHalfGone ? 'guard' : settings.current.balloon && isSafe ? 'balloon' : 'off';
    void ballooning.look({ uuid, visit, memory: { ...stats.balloon, currentBytes }, fullBytes, mode, connect });
  });
  return () => {
    isStopped = true;
    return ballooning.stop();
  };
}

function termsOf(uuid: string, journal: Pick<Journal, 'place'>, terms: Map<string, Terms>): Terms | undefined {
  const { place, data } = journal.place(uuid) ?? {};
  if (!isAway(place)) return undefined;
  const known = terms.get(uuid);
  if (known?.visit === place.visit) return known;
  const record = VisitRecord.safeParse(data);
  if (!record.success) return undefined;
  const read: Terms = {
    visit: place.visit,
    fullBytes: record.data.balloonBytes ?? readDomain(record.data.homeXml).currentMemoryBytes,
    isSafe: deflatesAtNeed(record.data.homeXml),
  };
  terms.set(uuid, read);
  return read;
}

function isAway(place: Place | undefined): place is Extract<Place, { kind: 'away' }> {
  return place?.kind === 'away';
}
