import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Vm } from '../../../shared/model/vm.ts';
import { type BedEngine, type BedHost, type BedProcess, Scene, startGuest, stateFolder } from '../../testbed/index.ts';
import { allProcesses } from '../../testbed/processes.ts';
import { otherVersion } from './other-version.ts';
import { SecondLaptop } from './second-laptop.ts';

/** Slow enough that every point of a move can be met. */
export const linkMbit = 200;
export const guestMiB = 192;
/** Gentle enough for pre-copy to converge in a while; post-copy is asked for where a case wants it. */
const workloads = ['disk 20', 'hold 16', 'memory 32 8'];
const calmMs = 90_000;
const clockShift = fileURLToPath(new URL('./clock-shift.mjs', import.meta.url));

/** Rooms that a fault can fill; with less than this free, host and doctor would complain already. */
const stateMiB = 128;
const visitsMiB = 1_200;

/** The bed that cases are played on, one after another; what can be mended is mended, not built again. */
export class Rig {
  readonly scene: Scene;
  /** The command that began the move under way, where a person did so at a terminal. */
  terminal: BedProcess | undefined;
  #second: SecondLaptop | undefined;

  static async build(): Promise<Rig> {
    const scene = await Scene.set({
      rateMbit: linkMbit,
      guest: { memoryMiB: guestMiB },
      engine: { env: { NODE_OPTIONS: `--import=${clockShift}` } },
      furnish: async ({ laptop, workstation }) => {
        await laptop.mountSmallDisk(stateFolder(laptop), stateMiB);
        await workstation.mountSmallDisk(visitsFolder(workstation), visitsMiB);
      },
    });
    return new Rig(scene);
  }

  private constructor(scene: Scene) {
    this.scene = scene;
  }

  get laptop(): BedEngine {
    return this.scene.laptop;
  }

  async vm(): Promise<Vm> {
    return this.laptop.vm(this.scene.guest.uuid);
  }

  /**
   * The VM runs, undisturbed, with all its workloads, at `place` where one is given. Resolves with where it is.
   * @throws where this bed cannot be brought there
   */
  async be(place?: 'home' | 'away'): Promise<'home' | 'away'> {
    const { scene } = this;
    await scene.laptop.until('the engine to be at rest', calmMs, async () => {
      const { moves, hosts } = await scene.laptop.status();
      const up = hosts.some(({ reachable, facts }) => reachable && facts !== undefined);
      return moves.length === 0 && up ? true : undefined;
    });
    if ((await scene.observer.runningCopies()) === 0) await this.startAgain();
    const there = (await this.vm()).place.kind;
    const wanted = place ?? there;
    if (there !== wanted) {
      const move = await scene.laptop.move(wanted === 'home' ? 'home' : 'out', scene.guest.name, 120_000);
      if (move.phase !== 'done') throw new Error(`The VM could not be brought ${wanted}: ${move.failure ?? ''}`);
    }
    const host = wanted === 'home' ? scene.bed.laptop.name : scene.bed.workstation.name;
    scene.observeAnew();
    await scene.observer.nextBeat({ host, timeoutMs: 20_000 });
    await this.load();
    return wanted;
  }

  /** Sets every workload of the guest going. */
  async load(): Promise<void> {
    for (const workload of workloads) await this.scene.observer.command(workload);
  }

  /** From its disk at home, as after a power cut. @throws where it does not start or boot */
  async startAgain(): Promise<void> {
    const { scene } = this;
    await scene.libvirtd.virsh('destroy', scene.guest.uuid);
    await startGuest(scene.libvirtd, scene.guest);
    scene.observeAnew();
    await scene.observer.nextBeat({ host: scene.bed.laptop.name, timeoutMs: 60_000 });
  }

  /** A host that was off, or has lost its engine, is as before. */
  async powerUpWorkstation(): Promise<void> {
    const { workstation } = this.scene.bed;
    await workstation.powerOn();
    await workstation.setRate(linkMbit);
    await workstation.mountSmallDisk(visitsFolder(workstation), visitsMiB);
    await this.scene.restartWorkstation();
  }

  /** The workstation's engine ends, and another version of it begins. */
  async changeWorkstationsVersion(which: 'newer' | 'older' | 'same'): Promise<void> {
    await this.scene.workstation.stop();
    const { folder } = this.scene.bed;
    await this.scene.restartWorkstation(which === 'same' ? undefined : await otherVersion(`${folder}/versions`, which));
  }

  /** Built when it is first wanted, asleep otherwise. */
  async secondLaptop(): Promise<SecondLaptop> {
    if (this.#second === undefined) {
      const built = await SecondLaptop.plugIn(this.scene.bed, this.scene.workstation);
      await built.rest();
      this.#second = built;
    }
    return this.#second;
  }

  /** Who is asked for names on both hosts. */
  async setResolver(text: string): Promise<void> {
    for (const host of this.scene.bed.hosts) await writeFile(join(host.folder, 'etc/resolv.conf'), text);
  }

  /** nsenter(1) stops with the command that it waits for, and a bed cannot end around it. */
  continueAll(): void {
    const inits = this.scene.bed.hosts.filter(({ on }) => on).map(({ initPid }) => String(initPid));
    for (const { pid, state, args } of allProcesses().values()) {
      if (state !== 'T' || args[0] !== 'nsenter' || !args.some((word) => inits.includes(word))) continue;
      try {
        process.kill(pid, 'SIGCONT');
      } catch {
        // Ended since it was listed.
      }
    }
  }

  close(): Promise<void> {
    this.continueAll();
    return this.scene.close();
  }
}

export function visitsFolder(host: BedHost): string {
  return join(host.env['XDG_RUNTIME_DIR'] ?? '', 'homeward/h');
}
