import type { Vm } from '../../shared/model/vm.ts';
import { isStoppedByDisk } from '../libvirt/index.ts';
import { sentencesOf } from '../migrate/index.ts';
import type { Adoption, AdoptionStore } from './adoption-store.ts';
import { type DiskStory, stoppedByDisk } from './disk-findings.ts';
import type { Fleet } from './fleet.ts';
import type { HomeServices } from './home-services.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';

export interface DiskKeeperOptions {
  readonly adoptions: Pick<AdoptionStore, 'all' | 'isReady'>;
  readonly services: Pick<HomeServices, 'refresh'>;
  readonly fleet: Pick<Fleet, 'connection' | 'list'>;
  readonly moves: Pick<Moves, 'isMoving'>;
  readonly journal: Pick<Journal, 'append'>;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** Default: the clock. */
  readonly now?: () => Date;
}

const lookEveryMs = 3_000;
/** After something that did not work: a full drive is not full a moment later only. */
const lookAgainAfterMs = 30_000;
const restartsKept = 20;

/**
 * Keeps the disks of VMs served: a storage daemon that was killed is started again, here or away somebody waits for it.
 * A VM at home that QEMU stopped because its disk did not answer is left so, and its user told: what it wrote last may have
 * died with the daemon (docs/decisions.md), and going on it would take that for written.
 */
export class DiskKeeper {
  readonly #options: DiskKeeperOptions;
  readonly #notBeforeMs = new Map<string, number>();
  /** By VM, the daemon that served when it was last looked at. */
  readonly #daemons = new Map<string, string>();
  readonly #restarts = new Map<string, readonly Date[]>();
  readonly #down = new Map<string, { readonly since: Date; readonly sentence: string }>();
  readonly #now: () => Date;
  readonly #told = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(options: DiskKeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), lookEveryMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Since this engine began. */
  story(vm: string): DiskStory {
    const down = this.#down.get(vm);
    return {
      restarts: this.#restarts.get(vm) ?? [],
      ...(down === undefined ? {} : { down }),
      stopped: this.#told.has(vm),
    };
  }

  /** Never throws, never overlaps itself. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const vms = this.#options.fleet.list();
    for (const adoption of this.#options.adoptions.all()) {
      if (!this.#options.adoptions.isReady(adoption.vm)) {
        // Ended on purpose, or about to be.
        this.#daemons.delete(adoption.vm);
        this.#down.delete(adoption.vm);
        continue;
      }
      if ((this.#notBeforeMs.get(adoption.vm) ?? 0) > performance.now()) continue;
      try {
        await this.#keep(
          adoption,
          vms.find(({ uuid }) => uuid === adoption.vm),
        );
      } catch (thrown) {
        this.#notBeforeMs.set(adoption.vm, performance.now() + lookAgainAfterMs);
        const { since } = this.#down.get(adoption.vm) ?? { since: this.#now() };
        this.#down.set(adoption.vm, { since, sentence: sentencesOf(thrown) });
        this.#options.onFault(`serving the disk of ${adoption.name}`, thrown);
      }
    }
    this.#looking = false;
  }

  async #keep(adoption: Adoption, vm: Vm | undefined): Promise<void> {
    const { disk } = await this.#options.services.refresh(adoption);
    this.#noteDaemon(adoption.vm, disk.daemon);
    if (vm?.place.kind === 'home' && vm.state === 'paused') await this.#tell(vm);
    else this.#told.delete(adoption.vm);
  }

  #noteDaemon(vm: string, daemon: string): void {
    const before = this.#daemons.get(vm);
    this.#daemons.set(vm, daemon);
    this.#down.delete(vm);
    if (before === undefined || before === daemon) return;
    this.#restarts.set(vm, [...(this.#restarts.get(vm) ?? []), this.#now()].slice(-restartsKept));
  }

  /** Once each time that it stops. */
  async #tell(vm: Vm): Promise<void> {
    const { fleet, moves, journal } = this.#options;
    if (this.#told.has(vm.uuid) || moves.isMoving(vm.uuid)) return;
    const connectionToVm = await fleet.connection(vm);
    if (!(await isStoppedByDisk(connectionToVm, vm.uuid, await connectionToVm.state(vm.uuid)))) return;
    this.#told.add(vm.uuid);
    const { name, connection } = vm;
    const virsh = `virsh -c qemu:///${connection}`;
    const text = `${stoppedByDisk(name)}. If its storage daemon died, what it wrote last may be missing: start it anew (${virsh} destroy ${name}; ${virsh} start ${name}). If its drive was only full: ${virsh} resume ${name}`;
    await journal.append({ kind: 'event', text });
  }
}
