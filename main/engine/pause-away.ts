import { setTimeout as sleep } from 'node:timers/promises';
import type { Move } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import { outOfTime } from '../../shared/plan/homecoming.ts';
import type { Away } from './ended-visit.ts';
import { goOn } from './go-on.ts';
import type { Hosts } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Asked, Moves } from './moves.ts';
import type { Visits } from './visits.ts';

export interface PauseAwayOptions {
  readonly journal: Pick<Journal, 'append' | 'place' | 'places'>;
  readonly hosts: Pick<Hosts, 'need' | 'onUp'>;
  readonly moves: Pick<Moves, 'cancel' | 'exclusively' | 'home' | 'isMoving' | 'underWay' | 'wait'>;
  readonly visits: Pick<Visits, 'connection'>;
  readonly onChange: () => void;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** Of each single step. */
  readonly patienceMs?: number;
}

/** A move is called off, or a host pauses a VM, within a few seconds, or not while the laptop can wait. */
const usualPatienceMs = 6_000;
const lookAgainMs = 100;

/**
 * The end that loses nothing where there is no time to come home (I6): the VM is paused at its host, which is written down
 * before, and nobody but Homeward has it go on: when this computer is back, or the next engine starts.
 */
export class PauseAway {
  readonly #options: PauseAwayOptions;
  readonly #patienceMs: number;
  /** Until the engine is ready, and from a pause to the next waking: a link that comes up meanwhile wakes nobody. */
  #isLeaving = true;
  /** Counts wakings: a pause that began before one is not wanted any more. */
  #wakings = 0;

  constructor(options: PauseAwayOptions) {
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? usualPatienceMs;
    options.hosts.onUp(({ fingerprint }) => {
      if (!this.#isLeaving) void this.#wakeAt(fingerprint);
    });
  }

  /**
   * Begins to bring a VM home; if the deadline cannot be kept, the VM is paused where it is.
   * @throws HomewardError as `Moves.home`
   */
  async bringHome(vm: Vm, asked: Asked): Promise<Move> {
    const move = await this.#options.moves.home(vm, asked);
    this.#pauseIfLate(vm, move).catch((thrown: unknown) => this.#options.onFault(`pausing ${vm.name}`, thrown));
    return move;
  }

  /**
   * Resolves when each VM is paused where it runs, or has been seen not to be: at home, half-way (past the switch, where
   * the move rests and goes on after sleep), or out of reach. Moves that can still be called off are. Reasons are sentences.
   */
  async pauseAway(acts: readonly { readonly vm: Vm; readonly reason: string }[]): Promise<void> {
    this.#isLeaving = true;
    const wakings = this.#wakings;
    await Promise.all(
      acts.map(({ vm, reason }) =>
        this.#pause(vm, reason, wakings).catch((thrown: unknown) =>
          this.#options.onFault(`pausing ${vm.name}`, thrown),
        ),
      ),
    );
  }

  /**
   * This computer is back: whatever was paused goes on, at once where its host answers, otherwise when it does; whatever is
   * being paused is not, or goes on then.
   */
  async wakeUp(): Promise<void> {
    this.#isLeaving = false;
    this.#wakings += 1;
    await this.#wakeAt(undefined);
  }

  async #pauseIfLate(vm: Vm, { id }: Move): Promise<void> {
    const { failure, deadlineAt } = await this.#options.moves.wait(id);
    // Without a deadline by now: whoever was about to leave has stayed.
    if (failure !== outOfTime || deadlineAt === undefined) return;
    await this.#pauseAtHost(vm, 'It could not be home in time.', this.#wakings);
  }

  async #pause(vm: Vm, reason: string, wakings: number): Promise<void> {
    if ((await this.#callOff(vm)) === 'half-way') {
      await this.#note(
        `${vm.name} is half-way between two machines. ${reason} Its move goes on when this computer is back.`,
      );
      return;
    }
    await this.#pauseAtHost(vm, reason, wakings);
  }

  /** Whatever move of the VM there is. */
  async #callOff(vm: Vm): Promise<'resting' | 'half-way'> {
    const { moves } = this.#options;
    const deadline = performance.now() + this.#patienceMs;
    let isAsked = false;
    while (moves.isMoving(vm.uuid)) {
      const move = moves.underWay().find((candidate) => candidate.vm === vm.uuid);
      if (move?.mode === 'postcopy' || performance.now() > deadline) return 'half-way';
      if (move?.cancellable === true && !isAsked) {
        moves.cancel(vm, outOfTime);
        isAsked = true;
      }
      await sleep(lookAgainMs);
    }
    return 'resting';
  }

  /** @param wakings as counted when this was asked for */
  async #pauseAtHost(vm: Vm, reason: string, wakings: number): Promise<void> {
    const { journal, visits, moves } = this.#options;
    try {
      await moves.exclusively(vm, async () => {
        const place = journal.place(vm.uuid)?.place;
        if (place?.kind !== 'away' || place.pausedSince !== undefined) return;
        const connection = await visits.connection(place.visit);
        const { state } = await connection.state(vm.uuid, { deadlineMs: this.#patienceMs });
        // Whoever paused it wanted that, and will have it go on.
        if (state !== 'running' && state !== 'blocked') return;
        if (wakings !== this.#wakings) return;
        this.#isLeaving = true;
        const pausedSince = new Date().toISOString();
        await journal.append({ kind: 'place', vm: vm.uuid, place: { ...place, pausedSince } });
        await connection.suspend(vm.uuid, { deadlineMs: this.#patienceMs });
        await this.#note(
          `${vm.name} was paused on ${place.hostName}. ${reason} It goes on when this computer is back.`,
        );
      });
    } finally {
      // Nobody could wake it meanwhile.
      if (wakings !== this.#wakings) await this.#wake(vm.uuid);
    }
  }

  /** @param host its fingerprint; all of them where absent */
  async #wakeAt(host: string | undefined): Promise<void> {
    const paused = this.#options.journal
      .places()
      .filter(({ place }) => place.kind === 'away' && isPausedAt(place, host));
    await Promise.all(paused.map(({ vm }) => this.#wake(vm)));
  }

  /** A host that does not answer is tried again when the link to it is up. One on the move goes on by that. */
  async #wake(uuid: string): Promise<void> {
    const { hosts, journal, moves, onFault } = this.#options;
    if (moves.isMoving(uuid)) return;
    try {
      await moves.exclusively({ uuid, name: 'The VM' }, async () => {
        const place = journal.place(uuid)?.place;
        if (place?.kind !== 'away' || !isPausedAt(place, undefined)) return;
        if (hosts.need(place.host).link.state !== 'up') return;
        await goOn(this.#options, uuid, place);
        await this.#note(`The VM that was paused on ${place.hostName} goes on.`);
      });
    } catch (thrown) {
      onFault('having a VM go on that was paused while away', thrown);
    }
  }

  async #note(text: string): Promise<void> {
    await this.#options.journal.append({ kind: 'event', text });
    this.#options.onChange();
  }
}

function isPausedAt(place: Away, host: string | undefined): boolean {
  return place.pausedSince !== undefined && (host === undefined || place.host === host);
}
