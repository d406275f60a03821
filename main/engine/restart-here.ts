import { setTimeout as sleep } from 'node:timers/promises';
import { HomewardError } from '../../shared/errors.ts';
import type { VisitEnd } from '../../shared/model/visit-end.ts';
import type { Place, Vm } from '../../shared/model/vm.ts';
import { sentencesOf } from '../migrate/index.ts';
import { type Away, type EndedVisitRooms, endedUnknown, takeBack } from './ended-visit.ts';
import type { Fleet } from './fleet.ts';
import type { Hosts } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';

export interface RestartsOptions extends EndedVisitRooms {
  readonly fleet: EndedVisitRooms['fleet'] & Pick<Fleet, 'need' | 'settled'>;
  readonly journal: EndedVisitRooms['journal'] & Pick<Journal, 'place' | 'places'>;
  readonly hosts: Pick<Hosts, 'linkTo'>;
  readonly moves: Pick<Moves, 'exclusively' | 'giveUp' | 'isMoving'>;
  readonly onChange: () => void;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** Between two attempts of what has to be done in the end. */
  readonly retryMs?: number;
}

type Home = Extract<Place, { kind: 'home' }>;

/** A link that is only just being tried may be up in a moment, and then tells more than its silence. */
const firstDialMs = 10_000;
const lookAgainMs = 100;
const startTimeoutMs = 60_000;

/**
 * "Restart here from the home disk", for a VM whose visitor is out of reach or gone. What was decided is written down, then
 * the visitor is cut off for good, as the storage daemon confirms, then the VM is home, then it is started. A crash in
 * between is gone on from by the next engine.
 */
export class Restarts {
  readonly #options: RestartsOptions;

  constructor(options: RestartsOptions) {
    this.#options = options;
  }

  /**
   * @param start Otherwise the VM is left shut off.
   * @throws HomewardError `vm-busy` while it moves and that can end; `refused` where its host says that it is there; `vm-home` where
   *   nothing has to be taken back; whatever libvirt and the storage daemon have against it
   */
  async restart(vm: Vm, start: boolean): Promise<Vm> {
    const { fleet, journal, moves, onChange } = this.#options;
    const wasMoving = moves.isMoving(vm.uuid);
    await moves.giveUp(vm);
    try {
      await moves.exclusively(vm, async () => {
        const place = journal.place(vm.uuid)?.place ?? { kind: 'home' };
        if (place.kind === 'home' && wasMoving && !start) return;
        if (place.kind === 'home') return this.#startEnded(fleet.need(vm.uuid), place, start);
        const end = await this.#needGivenUp(vm, place);
        // Asked before anything is written: where its disk cannot be served nothing has happened.
        await fleet.local(vm);
        const asked: Away = { ...place, restarting: { start } };
        await journal.append({ kind: 'place', vm: vm.uuid, place: asked });
        onChange();
        return this.#cutOff(vm, asked, end, start);
      });
    } catch (thrown) {
      // Begun and not done: it is gone on with, whoever was told what.
      if (this.#isUnfinished(vm.uuid)) void this.#finishAtLast(vm.uuid);
      throw thrown;
    } finally {
      onChange();
    }
    return fleet.need(vm.uuid);
  }

  /** Goes on with what an earlier engine left half done (I3). */
  recover(): void {
    for (const { vm } of this.#options.journal.places()) if (this.#isUnfinished(vm)) void this.#finishAtLast(vm);
  }

  /** A VM that runs here again has nothing to say about how its last visit ended. */
  async noteRunning(vm: Vm): Promise<void> {
    const { journal, moves } = this.#options;
    if (vm.place.kind !== 'home' || vm.place.ended === undefined || vm.state !== 'running') return;
    if (moves.isMoving(vm.uuid)) return;
    await moves.exclusively(vm, async () => {
      const place = journal.place(vm.uuid)?.place;
      if (place?.kind === 'home' && place.ended !== undefined) await this.#record(vm.uuid, { kind: 'home' });
    });
  }

  #isUnfinished(uuid: string): boolean {
    const place = this.#options.journal.place(uuid)?.place;
    return place?.kind === 'away' ? place.restarting !== undefined : place?.starting === true;
  }

  async #finishAtLast(uuid: string): Promise<void> {
    const { fleet, moves, onFault, onChange, retryMs = 5_000 } = this.#options;
    while (this.#isUnfinished(uuid)) {
      try {
        const vm = await fleet.settled(uuid);
        await moves.exclusively(vm, () => this.#finish(vm));
      } catch (thrown) {
        onFault('restarting a VM from its home disk', thrown);
        await sleep(retryMs, undefined, { ref: false });
      }
      onChange();
    }
  }

  async #finish(vm: Vm): Promise<void> {
    const place = this.#options.journal.place(vm.uuid)?.place;
    if (place?.kind === 'away' && place.restarting !== undefined) {
      await this.#cutOff(vm, place, { ...endedUnknown(), why: 'fenced' }, place.restarting.start);
    } else if (place?.kind === 'home' && place.starting === true) {
      await this.#start(vm, place);
    }
  }

  async #cutOff(vm: Vm, away: Away, end: VisitEnd, start: boolean): Promise<void> {
    await takeBack(this.#options, vm, away, end, this.#options.hosts.linkTo(away.host), start);
    const place = this.#options.journal.place(vm.uuid)?.place;
    if (start && place?.kind === 'home') await this.#start(vm, place);
  }

  async #startEnded(vm: Vm, place: Home, start: boolean): Promise<void> {
    if (place.ended === undefined || vm.state === 'running' || !start) {
      throw new HomewardError('vm-home', `${vm.name} is at home, and its disk with it.`, {
        hint: `Start it: virsh -c qemu:///${vm.connection} start ${vm.name}`,
      });
    }
    const starting: Home = { ...place, starting: true };
    await this.#record(vm.uuid, starting);
    await this.#start(vm, starting);
  }

  async #start(vm: Vm, { ended }: Home): Promise<void> {
    const { connection } = await this.#options.fleet.local(vm);
    const isOff = async (): Promise<boolean> => {
      const { state } = await connection.state(vm.uuid);
      return state === 'shutoff' || state === 'crashed';
    };
    if (await isOff()) {
      try {
        await connection.start(vm.uuid, { deadlineMs: startTimeoutMs });
      } catch (thrown) {
        // It may have started all the same, or not be known: then `starting` stays, and is seen to by a later look.
        if (await isOff()) {
          await this.#record(vm.uuid, { kind: 'home', ...(ended === undefined ? {} : { ended }) });
          throw new HomewardError(
            'vm-not-running',
            `The disk of ${vm.name} is home again, but it could not be started. ${sentencesOf(thrown)}`,
            { hint: `Try: virsh -c qemu:///${vm.connection} start ${vm.name}`, cause: thrown },
          );
        }
      }
    }
    await this.#record(vm.uuid, { kind: 'home' });
  }

  /** Only a visitor that cannot be reached, or is not there any more, may be given up. */
  async #needGivenUp(vm: Vm, place: Away): Promise<VisitEnd> {
    const fenced: VisitEnd = { ...endedUnknown(), why: 'fenced' };
    const link = this.#options.hosts.linkTo(place.host);
    for (const since = performance.now(); link?.state === 'connecting'; await sleep(lookAgainMs)) {
      if (performance.now() - since > firstDialMs) break;
    }
    if (link?.state !== 'up') return fenced;
    const listed = await link.call('visit.list', {}).catch((thrown: unknown) => {
      if (link.state === 'up') throw thrown;
      return undefined;
    });
    if (listed === undefined) return fenced;
    const there = listed.visits.find(({ visit }) => visit === place.visit);
    if (there === undefined) return { ...endedUnknown(), why: 'forgotten' };
    if (there.state === 'gone') return there.end ?? endedUnknown();
    throw new HomewardError('refused', `${vm.name} is at ${place.hostName}, which can be reached.`, {
      hint: `Bring it home with all it has in memory: homeward home ${vm.name}`,
    });
  }

  #record(vm: string, place: Home): Promise<void> {
    return this.#options.journal.append({ kind: 'place', vm, place });
  }
}
