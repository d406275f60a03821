import { HomewardError } from '../../shared/errors.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import { wasCancelled } from '../../shared/view/index.ts';
import type { Fleet } from './fleet.ts';
import type { Hosts, KnownHost } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';

export interface HomeWishesOptions {
  readonly journal: Pick<Journal, 'append' | 'place' | 'places' | 'wish'>;
  readonly fleet: Pick<Fleet, 'need' | 'settled'>;
  readonly hosts: Pick<Hosts, 'linkTo' | 'onUp'>;
  readonly moves: Pick<Moves, 'home' | 'isMoving' | 'wait'>;
  readonly onChange: () => void;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** After an attempt that came to nothing: doubled each time. */
const firstPauseMs = 5_000;
const longestPauseMs = 5 * 60_000;

/**
 * VMs that are to come home as soon as they can: asked for while their host could not be reached, written down, and tried
 * whenever the host is met, on whatever network. A wish ends with the visit, or when somebody takes it back.
 */
export class HomeWishes {
  readonly #options: HomeWishesOptions;
  /** By VM: attempts under way or waited for. */
  readonly #trying = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #stopped = false;

  constructor(options: HomeWishesOptions) {
    this.#options = options;
  }

  /** Wishes of an earlier engine count as much. */
  start(): void {
    this.#options.hosts.onUp((host) => this.#met(host));
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /**
   * Written down once it resolves; begun at once where the host can be reached.
   * @throws HomewardError `vm-home`, and what the journal throws
   */
  async wantHome(vm: Pick<Vm, 'name' | 'uuid'>, reason: string, by: Move['askedBy'] = 'policy'): Promise<void> {
    const { journal, onChange } = this.#options;
    const place = journal.place(vm.uuid)?.place;
    if (place?.kind !== 'away') {
      throw new HomewardError('vm-home', `${vm.name} is already at home.`, {
        hint: 'See where VMs are with: homeward status',
      });
    }
    const wish = { visit: place.visit, reason, askedBy: by, since: new Date().toISOString() };
    await journal.append({ kind: 'wish', vm: vm.uuid, wish });
    onChange();
    this.#try(vm.uuid, firstPauseMs);
  }

  /** A move that has begun goes on. @throws HomewardError `bad-input` where nothing was wanted */
  async withdraw(vm: Pick<Vm, 'name' | 'uuid'>): Promise<void> {
    if (this.#options.journal.wish(vm.uuid) === undefined) {
      throw new HomewardError('bad-input', `${vm.name} is not waiting to come home.`, {
        hint: 'See what is going on with: homeward status',
      });
    }
    await this.#forget(vm.uuid);
  }

  #met(host: KnownHost): void {
    for (const { vm, place } of this.#options.journal.places()) {
      if (place.kind === 'away' && place.host === host.fingerprint) this.#try(vm, firstPauseMs);
    }
  }

  #try(vm: string, pauseMs: number): void {
    clearTimeout(this.#timers.get(vm));
    this.#timers.delete(vm);
    if (this.#trying.has(vm) || !this.#canTry(vm)) return;
    this.#trying.add(vm);
    void this.#attempt(vm)
      .catch((thrown: unknown) => this.#options.onFault('bringing a VM home as was wanted', thrown))
      .finally(() => {
        this.#trying.delete(vm);
        if (!this.#canTry(vm)) return;
        const timer = setTimeout(() => this.#try(vm, Math.min(longestPauseMs, pauseMs * 2)), pauseMs);
        this.#timers.set(vm, timer.unref());
      });
  }

  /** While its host is out of reach nothing is tried: that it is met again begins the next attempt. */
  #canTry(vm: string): boolean {
    const { journal, hosts } = this.#options;
    const place = journal.place(vm)?.place;
    return (
      !this.#stopped &&
      place?.kind === 'away' &&
      place.restarting === undefined &&
      journal.wish(vm) !== undefined &&
      hosts.linkTo(place.host)?.state === 'up'
    );
  }

  async #attempt(uuid: string): Promise<void> {
    const { journal, fleet, moves } = this.#options;
    const vm = await fleet.settled(uuid);
    const wish = journal.wish(uuid);
    // A move under way, whoever began it, is not disturbed; what came of it is seen after the pause.
    if (wish === undefined || moves.isMoving(uuid)) return;
    const { id } = await moves.home(vm, { by: wish.askedBy, reason: wish.reason });
    if (wasCancelled(await moves.wait(id))) await this.#forget(uuid);
  }

  async #forget(vm: string): Promise<void> {
    clearTimeout(this.#timers.get(vm));
    await this.#options.journal.append({ kind: 'wish', vm, wish: null });
    this.#options.onChange();
  }
}
