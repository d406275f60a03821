import {
  type Bed,
  BedEngine,
  defineGuest,
  type Guest,
  type Libvirtd,
  pairEngines,
  startGuest,
  startLibvirtd,
} from '../../testbed/index.ts';

const guestMiB = 96;
const patienceMs = 90_000;

/** Somebody else's laptop, paired with the same workstation, with a VM of its own that wants to go there. */
export class SecondLaptop {
  readonly #engine: BedEngine;
  readonly #libvirtd: Libvirtd;
  readonly #guest: Guest;

  static async plugIn(bed: Bed, workstation: BedEngine): Promise<SecondLaptop> {
    const host = await bed.addHost('second');
    const libvirtd = await startLibvirtd(host);
    const guest = await defineGuest(host, libvirtd, { name: 'other', memoryMiB: guestMiB });
    const engine = await BedEngine.start(host);
    await pairEngines(engine, workstation);
    await engine.until('the other VM to be listed', 20_000, () => engine.vm(guest.name));
    await engine.client.call('vm.adopt', { vm: guest.name });
    await startGuest(libvirtd, guest);
    return new SecondLaptop(engine, libvirtd, guest);
  }

  private constructor(engine: BedEngine, libvirtd: Libvirtd, guest: Guest) {
    this.#engine = engine;
    this.#libvirtd = libvirtd;
    this.#guest = guest;
  }

  /** Its VM takes no CPU until it is woken. */
  async rest(): Promise<void> {
    await this.#libvirtd.virsh('suspend', this.#guest.uuid);
  }

  async wake(): Promise<void> {
    await this.#libvirtd.virsh('resume', this.#guest.uuid);
    await this.#engine.until('the link of the second laptop', patienceMs, async () => {
      const [host] = await this.#engine.client.call('hosts.list', {});
      return host?.reachable === true && host.facts !== undefined ? true : undefined;
    });
  }

  /** Asks for the room; what comes of it is seen in `goHome`. */
  async wantRoom(): Promise<void> {
    await this.#engine.client.call('move.offload', { vm: this.#guest.uuid }).catch(() => undefined);
  }

  async goHome(): Promise<void> {
    await this.#engine.movesEnded(patienceMs);
    const { place } = await this.#engine.vm(this.#guest.uuid);
    if (place.kind === 'away') await this.#engine.move('home', this.#guest.uuid, patienceMs);
    await this.rest();
  }
}
