/**
 * What this machine is, asked of a libvirtd in a sandbox just like a visitor's, so that the answers hold for visitors.
 * It is started when somebody asks and ended when nobody has for a minute.
 */
import { cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Accel, type HostFacts } from '../../shared/model/host.ts';
import type { HostCalls } from '../../shared/wire.ts';
import type { Connection, Libvirt, Versions } from '../libvirt/index.ts';
import { probeAccels } from './accel.ts';
import { Cage } from './cage.ts';
import { type GuestSupport, guestSupport, hostModelCpu } from './capabilities.ts';
import { insidePaths } from './inside.ts';
import { type BusyReading, busyCoresBetween, readBusy, readCpu, readMemory } from './machine.ts';
import { postcopyObstacle, readUserfaultAccess } from './postcopy.ts';
import { SocketDoor } from './socket-door.ts';

const idleForMs = 60_000;
/** libvirt's first answer waits until it has started QEMU and asked it everything. */
const deadlineMs = 30_000;

export interface HostProbeOptions {
  readonly folder: string;
  readonly libvirt: Libvirt;
  readonly name: string;
  readonly version: string;
  readonly onFault: (error: unknown) => void;
}

interface Known {
  readonly versions: Versions;
  readonly guests: GuestSupport;
}

type Answer<K extends keyof HostCalls> = z.output<HostCalls[K]['result']>;
type Question<K extends keyof HostCalls> = z.output<HostCalls[K]['params']>;

const CachedAccels = z.object({ key: z.string(), accels: z.array(Accel) });

export class HostProbe {
  readonly #options: HostProbeOptions;
  readonly #sandboxes = new Map<Accel, Promise<ProbeSandbox>>();
  readonly #caches = new Map<Accel, Promise<string>>();
  #known: Promise<Known> | undefined;
  #accels: Promise<Accel[]> | undefined;
  #busyBefore: BusyReading | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(options: HostProbeOptions) {
    this.#options = options;
  }

  /** Learns ahead what the first visitor would otherwise wait for. */
  async warmUp(): Promise<void> {
    // What an engine that died has left running.
    await Promise.all(Accel.options.map((accel) => this.#cage(accel).end()));
    const [best] = await this.accels();
    if (best) await this.capabilityCache(best);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#idleTimer);
    const sandboxes = await Promise.allSettled(this.#sandboxes.values());
    this.#sandboxes.clear();
    await Promise.all(sandboxes.map((sandbox) => (sandbox.status === 'fulfilled' ? sandbox.value.end() : undefined)));
  }

  async facts(): Promise<HostFacts> {
    const [known, accels, cpu, memory, access] = await Promise.all([
      this.#learn(),
      this.accels(),
      readCpu(),
      readMemory(),
      readUserfaultAccess(),
    ]);
    const versions = { libvirtVersion: known.versions.daemon, qemuVersion: known.versions.hypervisor };
    const obstacle = postcopyObstacle(access, versions);
    return {
      name: this.#options.name,
      homewardVersion: this.#options.version,
      ...versions,
      arch: known.guests.arch,
      cpuModel: cpu.model,
      cpuMhz: cpu.mhz,
      cores: cpu.cores,
      busyCores: await this.#busyCores(cpu.cores),
      memoryBytes: memory.totalBytes,
      freeMemoryBytes: memory.availableBytes,
      accels,
      machineTypes: [...known.guests.machineTypes],
      postcopy: obstacle === undefined,
      ...(obstacle === undefined ? {} : { postcopyObstacle: obstacle }),
    };
  }

  /** Those that really boot, best first. Probed once per boot of this machine, kernel and QEMU. */
  accels(): Promise<Accel[]> {
    this.#accels ??= this.#probeAccels().catch((error: unknown) => {
      this.#accels = undefined;
      throw error;
    });
    return this.#accels;
  }

  async compareCpu({ cpuXml, accel, machine }: Question<'cpu.compare'>): Promise<Answer<'cpu.compare'>> {
    const { guests } = await this.#learn();
    const connection = await this.#connection(accel);
    const target = { arch: guests.arch, emulator: guests.emulator, machine, virtType: virtType(accel) };
    const verdict = await connection.compareHypervisorCpu(cpuXml, target, { deadlineMs });
    const { model } = await readCpu();
    const detail =
      verdict === 'incompatible'
        ? `The CPU here (${model}, under ${accel.toUpperCase()}) lacks something the VM's CPU has.`
        : '';
    return { verdict, detail };
  }

  async cpuModel({ accel, machine }: Question<'cpu.model'>): Promise<Answer<'cpu.model'>> {
    const { guests } = await this.#learn();
    const connection = await this.#connection(accel);
    const request = { arch: guests.arch, emulator: guests.emulator, machine, virtType: virtType(accel) };
    return { cpuXml: hostModelCpu(await connection.domainCapabilitiesXml(request, { deadlineMs })) };
  }

  /** Folder with what libvirtd has learned of QEMU, to start a visitor's libvirtd with. */
  capabilityCache(accel: Accel): Promise<string> {
    const cached = this.#caches.get(accel) ?? this.#fillCache(accel);
    this.#caches.set(accel, cached);
    cached.catch(() => this.#caches.delete(accel));
    return cached;
  }

  #learn(): Promise<Known> {
    this.#known ??= this.#ask().catch((error: unknown) => {
      this.#known = undefined;
      throw error;
    });
    return this.#known;
  }

  async #ask(): Promise<Known> {
    const connection = await this.#connection('tcg');
    const versions = await connection.versions({ deadlineMs });
    return { versions, guests: guestSupport(await connection.capabilitiesXml({ deadlineMs })) };
  }

  async #fillCache(accel: Accel): Promise<string> {
    const connection = await this.#connection(accel);
    await connection.capabilitiesXml({ deadlineMs });
    const cache = join(this.#options.folder, `cache-${accel}`);
    await rm(cache, { recursive: true, force: true });
    await cp(this.#cage(accel).path('hw/cache'), `${cache}.new`, { recursive: true });
    await rename(`${cache}.new`, cache);
    return cache;
  }

  async #probeAccels(): Promise<Accel[]> {
    const { folder } = this.#options;
    const { emulator } = (await this.#learn()).guests;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, 'accels.json');
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const key = [bootId.trim(), release(), emulator, (await stat(emulator)).mtimeMs].join(' ');
    const cached = CachedAccels.safeParse(JSON.parse(await readFile(file, 'utf8').catch(() => 'null')));
    if (cached.success && cached.data.key === key) return cached.data.accels;
    const accels = await probeAccels(emulator, folder);
    await writeFile(file, JSON.stringify({ key, accels }), { mode: 0o600 });
    return accels;
  }

  /** Since the last time somebody asked, if that was lately; else over half a second. */
  async #busyCores(cores: number): Promise<number> {
    const now = performance.now();
    let before = this.#busyBefore;
    if (before === undefined || now - before.atMs < 1_000 || now - before.atMs > 30_000) {
      before = await readBusy();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    const after = await readBusy();
    this.#busyBefore = after;
    return busyCoresBetween(before, after, cores);
  }

  async #connection(accel: Accel): Promise<Connection> {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.stop().catch(this.#options.onFault), idleForMs);
    this.#idleTimer.unref();
    const running = this.#sandboxes.get(accel);
    if (running && (await (await running).isUp())) return (await running).connection;
    const starting = ProbeSandbox.start(this.#cage(accel), accel, this.#options);
    this.#sandboxes.set(accel, starting);
    starting.catch(() => this.#sandboxes.delete(accel));
    return (await starting).connection;
  }

  #cage(accel: Accel): Cage {
    return new Cage(join(this.#options.folder, accel));
  }
}

/** One libvirtd in its sandbox, and a connection to it. */
class ProbeSandbox {
  readonly connection: Connection;
  readonly #cage: Cage;
  readonly #door: SocketDoor;

  private constructor(cage: Cage, door: SocketDoor, connection: Connection) {
    this.#cage = cage;
    this.#door = door;
    this.connection = connection;
  }

  static async start(cage: Cage, accel: Accel, options: HostProbeOptions): Promise<ProbeSandbox> {
    await cage.end();
    const door = new SocketDoor(cage.path(), options.onFault);
    try {
      await cage.start({
        hostname: `probe-${accel}`,
        kvm: accel === 'kvm',
        programs: { caches: [], plain: [['libvirtd']] },
      });
      await cage.awaitSocket('hw', insidePaths.libvirtSocket, 10_000);
      await door.open('libvirt.sock', () => cage.connect('hw', insidePaths.libvirtSocket, 5_000));
      const uri = `qemu:///session?socket=${cage.path('libvirt.sock')}`;
      return new ProbeSandbox(cage, door, await options.libvirt.connect(uri, { deadlineMs }));
    } catch (error) {
      await door.close();
      await cage.end();
      throw error;
    }
  }

  isUp(): Promise<boolean> {
    return this.#cage.isUp();
  }

  async end(): Promise<void> {
    await this.connection.close();
    await this.#door.close();
    await this.#cage.end();
  }
}

/** libvirt's word for it: <domain type='…'>. */
function virtType(accel: Accel): string {
  return accel === 'kvm' ? 'kvm' : 'qemu';
}
