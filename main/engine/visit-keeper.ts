import type { Place } from '../../shared/model/vm.ts';
import type { VisitInfo } from '../../shared/wire.ts';
import { parseMoveData } from '../migrate/index.ts';
import type { AwayVms } from './away-vms.ts';
import { type Away, type EndedVisitRooms, endedUnknown, takeBack } from './ended-visit.ts';
import type { Fleet } from './fleet.ts';
import type { HomeServices } from './home-services.ts';
import type { Hosts, KnownHost } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';
import type { Visits } from './visits.ts';

export interface VisitKeeperOptions extends EndedVisitRooms {
  readonly fleet: EndedVisitRooms['fleet'] & Pick<Fleet, 'lookAgain' | 'settled'>;
  readonly journal: EndedVisitRooms['journal'] & Pick<Journal, 'openMoves' | 'places'>;
  readonly hosts: Pick<Hosts, 'onUp' | 'onVisitGone'>;
  readonly visits: Pick<Visits, 'end' | 'has'>;
  readonly services: Pick<HomeServices, 'writers'>;
  readonly moves: Pick<Moves, 'exclusively' | 'isMoving'>;
  readonly awayVms: Pick<AwayVms, 'noteForgotten'>;
  readonly onChange: () => void;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** Until it looks again after something that could not be done yet. */
  readonly lookAgainMs?: number;
}

interface Visiting {
  readonly vm: string;
  readonly place: Away;
}

const usualLookAgainMs = 5_000;

/**
 * Compares what a host says of this computer's visits with what the journal says: takes back what has ended there, ends
 * there what is over here. Looks when a host is met, when it tells that a visit is gone, after each move, and again where
 * something that has ended could not be taken back.
 */
export class VisitKeeper {
  readonly #options: VisitKeeperOptions;
  /** By host, as are the timers: the last look asked for, which begins when the one before is over. */
  readonly #looks = new Map<string, Promise<void>>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #stopped = false;

  constructor(options: VisitKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    const { fleet, hosts, journal } = this.#options;
    hosts.onUp((host) => {
      for (const { vm, place } of journal.places()) {
        if (isAwayAt(place, host.fingerprint)) fleet.lookAgain(vm);
      }
      this.lookAt(host);
    });
    hosts.onVisitGone((host) => this.lookAt(host));
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  lookAt(host: KnownHost): void {
    const { fingerprint, name } = host;
    clearTimeout(this.#timers.get(fingerprint));
    this.#timers.delete(fingerprint);
    const before = this.#looks.get(fingerprint) ?? Promise.resolve();
    const look = before
      .then(() => this.#look(host))
      .catch((thrown: unknown) => {
        this.#options.onFault(`asking ${name} for visits`, thrown);
        const visiting = this.#options.journal.places().some(({ place }) => isAwayAt(place, fingerprint));
        if (visiting) this.#lookLater(host);
      });
    this.#looks.set(fingerprint, look);
  }

  /** Only where the host says so itself: one that cannot be asked proves nothing. */
  async #look(host: KnownHost): Promise<void> {
    const { onFault } = this.#options;
    if (host.link.state !== 'up') return;
    const { visits } = await host.link.call('visit.list', {});
    for (const visit of visits) {
      const away = visit.state === 'gone' ? this.#restingIn(visit.visit, host.fingerprint) : undefined;
      if (away !== undefined) {
        await this.#takeBack(host, away.vm, away.place, visit).catch((thrown: unknown) =>
          onFault('taking back the disk of a VM that ended while away', thrown),
        );
      } else if (!this.#isReferredTo(visit.visit)) {
        await this.#endStray(host, visit).catch((thrown: unknown) => onFault('ending a stray visit', thrown));
      }
    }
    this.#noteForgotten(host, visits);
    if (visits.some(({ visit, state }) => state === 'gone' && this.#awayIn(visit, host.fingerprint) !== undefined)) {
      this.#lookLater(host);
    }
  }

  /** Something else was being done with a VM that has ended, or its disk could not be had: nobody tells when that is over. */
  #lookLater(host: KnownHost): void {
    const { fingerprint } = host;
    if (this.#stopped || this.#timers.has(fingerprint)) return;
    const timer = setTimeout(() => this.lookAt(host), this.#options.lookAgainMs ?? usualLookAgainMs);
    this.#timers.set(fingerprint, timer.unref());
  }

  async #takeBack({ link }: KnownHost, uuid: string, place: Away, { end }: VisitInfo): Promise<void> {
    const vm = await this.#options.fleet.settled(uuid);
    // Told twice at once, the first may have done it.
    if (this.#restingIn(place.visit, place.host) === undefined) return;
    await this.#options.moves.exclusively(vm, () => takeBack(this.#options, vm, place, end ?? endedUnknown(), link));
    this.#options.onChange();
  }

  /**
   * A left-over of a fence that could not reach the host, or of a move that came home while the link was down. One that may
   * still write its disk is nobody's left-over.
   */
  async #endStray({ link, name }: KnownHost, { visit, vm, vmName, state }: VisitInfo): Promise<void> {
    const isInhabited = state === 'running' || state === 'paused';
    // The daemon itself is asked, and not whether the VM can be served: that may be given back, or deleted, by now.
    if (isInhabited && (await this.#options.services.writers(vm)).includes(`visit-${visit}`)) {
      throw new Error(`${vmName} runs at ${name}, has its disk, and is not written down here; it is left alone.`);
    }
    await link.call('visit.end', { visit, ...(isInhabited ? { why: 'fenced' } : {}) });
  }

  #noteForgotten(host: KnownHost, listed: readonly VisitInfo[]): void {
    const { journal, awayVms, onChange } = this.#options;
    for (const { place } of journal.places()) {
      if (!isAwayAt(place, host.fingerprint)) continue;
      awayVms.noteForgotten(place.visit, !listed.some(({ visit }) => visit === place.visit));
    }
    onChange();
  }

  /** A VM on the move is not resting: what becomes of it is the move's business, and looked at when that is over. */
  #restingIn(visit: string, host: string): Visiting | undefined {
    const visiting = this.#awayIn(visit, host);
    return visiting === undefined || this.#options.moves.isMoving(visiting.vm) ? undefined : visiting;
  }

  /** Unless it is being restarted here, which takes it back itself. */
  #awayIn(visit: string, host: string): Visiting | undefined {
    for (const { vm, place } of this.#options.journal.places()) {
      if (!isAwayAt(place, host) || place.visit !== visit) continue;
      return place.restarting === undefined ? { vm, place } : undefined;
    }
    return undefined;
  }

  /**
   * By the journal first: right after a start no visit has been opened yet, and ending one that a VM lives in
   * would be ending the VM.
   */
  #isReferredTo(visit: string): boolean {
    const { journal, visits } = this.#options;
    if (visits.has(visit)) return true;
    const away = journal.places().some(({ place }) => place.kind === 'away' && place.visit === visit);
    return away || journal.openMoves().some(({ data }) => parseMoveData(data)?.record.visit === visit);
  }
}

function isAwayAt(place: Place, host: string): place is Away {
  return place.kind === 'away' && place.host === host;
}
