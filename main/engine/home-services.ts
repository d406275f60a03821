import type { ConnectionName } from '../../shared/model/vm.ts';
import { HomeDisk, type Writer } from '../disk/index.ts';
import { GuestNetwork } from '../network/index.ts';
import type { Adoption } from './adoption-store.ts';

export interface HomeService {
  readonly disk: HomeDisk;
  readonly network: GuestNetwork | undefined;
  /** Whether libvirt could be asked as whom QEMU runs: only then may another user's QEMU use both. */
  readonly granted: boolean;
}

export interface HomeServicesOptions {
  readonly runtimeFolder: string;
  /** Who may write a VM's disk when a daemon begins anew: whoever the journal says has the VM, or may come to have it. */
  readonly writersOf: (adoption: Adoption) => Promise<readonly Writer[]>;
  /** User as whom libvirt runs QEMU there, where it is not ours. */
  readonly qemuUid: (connection: ConnectionName) => Promise<number | undefined>;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** Storage daemons and frame relays of adopted VMs: started or found again, never stopped with the engine. */
export class HomeServices {
  readonly #options: HomeServicesOptions;
  readonly #services = new Map<string, Promise<HomeService>>();

  constructor(options: HomeServicesOptions) {
    this.#options = options;
  }

  /** Where the daemon's socket is: part of the VM's definition, so it never changes. */
  folder(vm: string): string {
    return `${this.#options.runtimeFolder}/vm-${vm.slice(0, 8)}`;
  }

  /** @throws HomewardError from disk or network: missing tool, locked image, permission, disk full. */
  ensure(adoption: Adoption): Promise<HomeService> {
    const known = this.#services.get(adoption.vm);
    if (known !== undefined) return known;
    const starting = this.#start(adoption);
    this.#services.set(adoption.vm, starting);
    starting.catch(() => this.#services.delete(adoption.vm));
    return starting;
  }

  /** Asks anew whether the daemons live, so that one that was killed is started again. */
  async refresh(adoption: Adoption): Promise<HomeService> {
    const known = await this.#services.get(adoption.vm)?.catch(() => undefined);
    if (
      known?.granted === true &&
      (await known.disk.alive()) &&
      (known.network === undefined || (await known.network.alive()))
    )
      return known;
    this.#services.delete(adoption.vm);
    return this.ensure(adoption);
  }

  /**
   * Who may write the VM's disk now, also of a VM that is not ours any more: nobody where no daemon serves it, and none is
   * started for this. @throws HomewardError `timeout` where one runs and does not answer
   */
  async writers(vm: string): Promise<readonly Writer[]> {
    const disk = await HomeDisk.adopt({ vm, folder: this.folder(vm) });
    return disk?.writers() ?? [];
  }

  /** The VM is no longer ours to serve. */
  async stop(adoption: Adoption): Promise<void> {
    const service = await this.#services.get(adoption.vm)?.catch(() => undefined);
    this.#services.delete(adoption.vm);
    await service?.network?.stop();
    await service?.disk.stop();
  }

  async #start(adoption: Adoption): Promise<HomeService> {
    const folder = this.folder(adoption.vm);
    const { grantUid, granted } = await this.#user(adoption);
    const disk = await HomeDisk.ensure({ vm: adoption.vm, folder, disks: adoption.disks, grantUid });
    if ((await disk.writers()).length === 0) await this.#allow(disk, adoption);
    const network =
      adoption.nics.length === 0
        ? undefined
        : await GuestNetwork.ensure({ vm: adoption.vm, folder, nics: adoption.nics, grantUid });
    return { disk, network, granted };
  }

  /** Asking takes a while, in which a move may be decided: until the answer is the same before and after. */
  async #allow(disk: HomeDisk, adoption: Adoption): Promise<void> {
    let allowed: readonly Writer[] = [];
    for (;;) {
      const writers = await this.#options.writersOf(adoption);
      const extra = allowed.filter((writer) => !writers.includes(writer));
      const missing = writers.filter((writer) => !allowed.includes(writer));
      if (extra.length + missing.length === 0) return;
      for (const writer of extra) await disk.revoke(writer);
      for (const writer of missing) await disk.allow(writer);
      allowed = writers;
    }
  }

  /** A libvirt that is down must not keep the disk of a VM that is away from being served. */
  async #user({ connection, name }: Adoption): Promise<{ grantUid?: number | undefined; granted: boolean }> {
    try {
      return { grantUid: await this.#options.qemuUid(connection), granted: true };
    } catch (thrown) {
      this.#options.onFault(`learning as whom libvirt runs ${name}`, thrown);
      return { granted: false };
    }
  }
}
