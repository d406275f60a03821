import { Bed, type BedOptions } from './bed.ts';
import { BedEngine, pairEngines } from './engines.ts';
import { defineGuest, type Guest, type GuestSpec, startGuest } from './guest/define.ts';
import { type Libvirtd, startLibvirtd } from './libvirtd.ts';
import { Observer } from './observer.ts';

export interface SceneOptions extends BedOptions {
  readonly guest?: Omit<GuestSpec, 'name'>;
}

/** Laptop and workstation paired, a VM adopted and booted, an observer listening: where most stories begin. */
export class Scene {
  readonly bed: Bed;
  readonly libvirtd: Libvirtd;
  readonly guest: Guest;
  readonly observer: Observer;
  laptop: BedEngine;
  workstation: BedEngine;

  static async set(options: SceneOptions = {}): Promise<Scene> {
    const bed = await Bed.create(options);
    try {
      const libvirtd = await startLibvirtd(bed.laptop);
      const guest = await defineGuest(bed.laptop, libvirtd, { name: 'worker', ...options.guest });
      const workstation = await BedEngine.start(bed.workstation, { hostRole: true });
      const laptop = await BedEngine.start(bed.laptop);
      await pairEngines(laptop, workstation);
      await laptop.until('the VM to be listed', 20_000, () => laptop.vm(guest.name));
      await laptop.client.call('vm.adopt', { vm: guest.name });
      await startGuest(libvirtd, guest);
      const observer = new Observer(bed, guest);
      await observer.nextBeat({ host: bed.laptop.name, timeoutMs: 90_000 });
      return new Scene(bed, libvirtd, guest, observer, laptop, workstation);
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
  ) {
    this.bed = bed;
    this.libvirtd = libvirtd;
    this.guest = guest;
    this.observer = observer;
    this.laptop = laptop;
    this.workstation = workstation;
  }

  /** A new engine on the laptop, after the old one was killed. */
  async restartLaptop(): Promise<void> {
    this.laptop = await BedEngine.start(this.bed.laptop);
  }

  async restartWorkstation(): Promise<void> {
    this.workstation = await BedEngine.start(this.bed.workstation, { hostRole: true });
  }

  async close(): Promise<void> {
    this.observer.close();
    this.laptop.client.close();
    this.workstation.client.close();
    await this.bed.close();
  }
}
