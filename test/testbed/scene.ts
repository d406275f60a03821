import { Bed, type BedOptions } from './bed.ts';
import { BedEngine, type BedEngineOptions, pairEngines } from './engines.ts';
import { defineGuest, type Guest, type GuestSpec, startGuest } from './guest/define.ts';
import { type Libvirtd, startLibvirtd } from './libvirtd.ts';
import { Observer } from './observer.ts';

export interface SceneOptions extends BedOptions {
  readonly guest?: Omit<GuestSpec, 'name'>;
  /** For every engine of the scene. */
  readonly engine?: Pick<BedEngineOptions, 'env'>;
  /** For the laptop's engine in the beginning, above that. */
  readonly laptop?: Pick<BedEngineOptions, 'env' | 'settings'>;
  /** Done to the hosts before the first engine starts. */
  readonly furnish?: (bed: Bed) => Promise<void>;
}

/** Laptop and workstation paired, a VM adopted and booted, an observer listening: where most stories begin. */
export class Scene {
  readonly bed: Bed;
  readonly libvirtd: Libvirtd;
  readonly guest: Guest;
  readonly #engine: Pick<BedEngineOptions, 'env'>;
  observer: Observer;
  laptop: BedEngine;
  workstation: BedEngine;

  static async set(options: SceneOptions = {}): Promise<Scene> {
    const bed = await Bed.create(options);
    try {
      const libvirtd = await startLibvirtd(bed.laptop);
      const guest = await defineGuest(bed.laptop, libvirtd, { name: 'worker', ...options.guest });
      await options.furnish?.(bed);
      const workstation = await BedEngine.start(bed.workstation, { ...options.engine, hostRole: true });
      const laptop = await BedEngine.start(bed.laptop, { ...options.engine, ...options.laptop });
      await pairEngines(laptop, workstation);
      await laptop.until('the VM to be listed', 20_000, () => laptop.vm(guest.name));
      await laptop.client.call('vm.adopt', { vm: guest.name });
      await startGuest(libvirtd, guest);
      const observer = new Observer(bed, guest);
      await observer.nextBeat({ host: bed.laptop.name, timeoutMs: 90_000 });
      return new Scene(bed, libvirtd, guest, observer, laptop, workstation, options.engine ?? {});
    } catch (thrown) {
      await bed.close();
      throw thrown;
    }
  }

  private constructor(
    bed: Bed,
    libvirtd: Libvirtd,
    guest: Guest,
    observer: Observer,
    laptop: BedEngine,
    workstation: BedEngine,
    engine: Pick<BedEngineOptions, 'env'>,
  ) {
    this.bed = bed;
    this.libvirtd = libvirtd;
    this.guest = guest;
    this.observer = observer;
    this.laptop = laptop;
    this.workstation = workstation;
    this.#engine = engine;
  }

  /** Beats are counted from now on, those of before forgotten. */
  observeAnew(): void {
    this.observer.close();
    this.observer = new Observer(this.bed, this.guest);
  }

  /** A new engine on the laptop, after the old one was killed. */
  async restartLaptop(): Promise<void> {
    this.laptop = await BedEngine.start(this.bed.laptop, this.#engine);
  }

  /** @param program another Homeward than this one */
  async restartWorkstation(program?: string): Promise<void> {
    const other = program === undefined ? {} : { program };
    this.workstation = await BedEngine.start(this.bed.workstation, { ...this.#engine, ...other, hostRole: true });
  }

  async close(): Promise<void> {
    this.observer.close();
    this.laptop.client.close();
    this.workstation.client.close();
    await this.bed.close();
  }
}
