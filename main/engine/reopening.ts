import { HomewardError } from '../../shared/errors.ts';
import type { Vm } from '../../shared/model/vm.ts';
import type { Finding } from '../../shared/rpc.ts';
import { type LocalVm, sentencesOf } from '../migrate/index.ts';
import type { Fleet } from './fleet.ts';
import type { Hosts, KnownHost } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';
import { visitRecordOf } from './visit-record.ts';
import type { Visits } from './visits.ts';

export interface ReopeningOptions {
  readonly journal: Pick<Journal, 'openMoves' | 'place' | 'places'>;
  readonly fleet: Pick<Fleet, 'follow' | 'list' | 'local' | 'settled'>;
  readonly hosts: Pick<Hosts, 'meetAgain' | 'need'>;
  readonly visits: Pick<Visits, 'has' | 'open'>;
  readonly moves: Pick<Moves, 'exclusively'>;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** Between two attempts. */
  readonly retryMs?: number;
}

const usualRetryMs = 5_000;

/**
 * Opens the visits that an earlier engine left. One that cannot be opened, since its drive is not there yet or libvirt does
 * not answer, is tried until it can: before, nobody answers what the visitor asks of its disk and its network.
 */
export class Reopening {
  readonly #options: ReopeningOptions;
  /** By VM; why: for people. */
  readonly #shut = new Map<string, { readonly visit: string; readonly why: string }>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #stopped = false;

  constructor(options: ReopeningOptions) {
    this.#options = options;
  }

  /** Resolves when each has been tried once. One that is on the move is the move's to open. */
  async recover(): Promise<void> {
    const { journal } = this.#options;
    const moving = new Set(journal.openMoves().map(({ move }) => move.vm));
    await Promise.all(
      journal
        .places()
        .flatMap(({ vm, place }) => (place.kind === 'away' && !moving.has(vm) ? [this.#try(vm, place.visit)] : [])),
    );
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** For doctor. A move may have opened it meanwhile. */
  findings(): Finding[] {
    const { fleet, visits } = this.#options;
    const vms = fleet.list();
    return [...this.#shut]
      .filter(([, { visit }]) => !visits.has(visit))
      .map(([uuid, { why }]) => ({
        id: `visit-${uuid}`,
        severity: 'problem',
        title: `${vms.find((vm) => vm.uuid === uuid)?.name ?? `The VM ${uuid}`} is away and cut off from this computer`,
        detail: `${why} Until that is mended the VM waits for its disk and its network; nothing is lost by waiting.`,
        remedy: 'Mend what is named here. It is tried again by itself.',
      }));
  }

  async #try(uuid: string, visit: string): Promise<void> {
    const { hosts, onFault } = this.#options;
    try {
      const host = await this.#attempt(uuid, visit);
      if (this.#shut.delete(uuid) && host !== undefined) hosts.meetAgain(host.fingerprint);
    } catch (thrown) {
      const why = sentencesOf(thrown);
      const before = this.#shut.get(uuid)?.why;
      if (before !== why) onFault('reopening a visit', thrown);
      // That somebody is at work with the VM just now is not what keeps it shut.
      const isBusy = thrown instanceof HomewardError && thrown.code === 'vm-busy';
      this.#shut.set(uuid, { visit, why: isBusy && before !== undefined ? before : why });
      this.#tryLater(uuid, visit);
    }
  }

  #tryLater(uuid: string, visit: string): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => void this.#try(uuid, visit), this.#options.retryMs ?? usualRetryMs);
    this.#timers.set(uuid, timer.unref());
  }

  /** Undefined where it need not be opened any more. @throws what keeps it shut */
  async #attempt(uuid: string, visit: string): Promise<KnownHost | undefined> {
    if (!this.#isThere(uuid, visit)) return undefined;
    const { fleet, moves } = this.#options;
    const vm = await fleet.settled(uuid);
    // What may take long is done before the VM is kept from others.
    const local = await fleet.local(vm);
    // At first nobody else is at work yet, and whoever asks for the VM to come home need not be sent away.
    return this.#shut.has(uuid)
      ? moves.exclusively(vm, () => this.#open(vm, visit, local))
      : this.#open(vm, visit, local);
  }

  async #open(vm: Vm, visit: string, local: LocalVm): Promise<KnownHost | undefined> {
    const { journal, fleet, hosts, visits } = this.#options;
    const place = journal.place(vm.uuid)?.place;
    if (place?.kind !== 'away' || !this.#isThere(vm.uuid, visit)) return undefined;
    const record = visitRecordOf(journal, vm);
    const host = hosts.need(place.host);
    const visitLink = await visits.open(record, local, host.link);
    fleet.follow(vm.uuid, () => visitLink.connection());
    return host;
  }

  /** Whether the VM is in that visit still, and not being restarted here. */
  #isThere(uuid: string, visit: string): boolean {
    const place = this.#options.journal.place(uuid)?.place;
    return place?.kind === 'away' && place.visit === visit && place.restarting === undefined;
  }
}
