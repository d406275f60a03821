import { HomeDisk, type Writer } from '../disk/index.ts';
import { GuestNetwork } from '../network/index.ts';
import type { Adoption } from './adoption-store.ts';

export interface HomeService {
  readonly disk: HomeDisk;
  readonly network: GuestNetwork | undefined;
}

/** Storage daemons and frame relays of adopted VMs: started or found again, never stopped with the engine. */
export class HomeServices {
  readonly #runtimeFolder: string;
  /** Who may write a VM's disk when a daemon begins anew: whoever the journal says has the VM. */
  readonly #writerOf: (vm: string) => Writer;
  readonly #services = new Map<string, Promise<HomeService>>();

  constructor(runtimeFolder: string, writerOf: (vm: string) => Writer) {
    this.#runtimeFolder = runtimeFolder;
    this.#writerOf = writerOf;
  }

  /** Where the daemon's socket is: part of the VM's definition, so it never changes. */
  folder(vm: string): string {
    return `${this.#runtimeFolder}/vm-${vm.slice(0, 8)}`;
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
      known !== undefined &&
      (await known.disk.alive()) &&
      (known.network === undefined || (await known.network.alive()))
    )
      return known;
    this.#services.delete(adoption.vm);
    return this.ensure(adoption);
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
    const disk = await HomeDisk.ensure({ vm: adoption.vm, folder, disks: adoption.disks });
    if ((await disk.writers()).length === 0) await disk.allow(this.#writerOf(adoption.vm));
    const network =
      adoption.nics.length === 0
        ? undefined
        : await GuestNetwork.ensure({ vm: adoption.vm, folder, nics: adoption.nics });
    return { disk, network };
  }
}
