/** What this machine says of itself, from its libvirt, its kernel, and by trying. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Accel, type HostFacts } from '../../shared/model/host.ts';
import type { Connection, Versions } from '../libvirt/index.ts';
import { probeAccels } from './accel.ts';
import { type GuestSupport, guestSupport } from './capabilities.ts';
import { type BusyReading, busyCoresBetween, readBusy, readCpu, readMemory } from './machine.ts';
import { postcopyObstacle, readUserfaultAccess } from './postcopy.ts';

/** libvirt's first answer waits until it has started QEMU and asked it everything. */
export const learnDeadlineMs = 30_000;

export interface LocalFactsOptions {
  /** Remembers which accelerators boot. */
  readonly folder: string;
  readonly name: () => string;
  readonly version: string;
  /** To any libvirtd of this machine; asked for once, and again only after a failure. */
  readonly connect: () => Promise<Connection>;
  /** Ends trying what boots, which takes seconds. */
  readonly signal?: AbortSignal | undefined;
}

export interface LibvirtKnowledge {
  readonly versions: Versions;
  readonly guests: GuestSupport;
}

const CachedAccels = z.object({ key: z.string(), accels: z.array(Accel) });

export class LocalFacts {
  readonly #options: LocalFactsOptions;
  #known: Promise<LibvirtKnowledge> | undefined;
  #accels: Promise<Accel[]> | undefined;
  #busy: { readonly reading: BusyReading; readonly busyCores: number } | undefined;

  constructor(options: LocalFactsOptions) {
    this.#options = options;
  }

  /** Fast but for the first time, which takes some seconds. */
  async read(): Promise<HostFacts> {
    const [known, accels, cpu, memory, access] = await Promise.all([
      this.learn(),
      this.accels(),
      readCpu(),
      readMemory(),
      readUserfaultAccess(),
    ]);
    const versions = { libvirtVersion: known.versions.daemon, qemuVersion: known.versions.hypervisor };
    const obstacle = postcopyObstacle(access, versions);
    return {
      name: this.#options.name(),
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

  learn(): Promise<LibvirtKnowledge> {
    this.#known ??= this.#ask().catch((error: unknown) => {
      this.#known = undefined;
      throw error;
    });
    return this.#known;
  }

  /** Those that really boot, best first. Tried once per boot of this machine, kernel and QEMU. */
  accels(): Promise<Accel[]> {
    this.#accels ??= this.#tryAccels().catch((error: unknown) => {
      this.#accels = undefined;
      throw error;
    });
    return this.#accels;
  }

  async #ask(): Promise<LibvirtKnowledge> {
    const connection = await this.#options.connect();
    const versions = await connection.versions({ deadlineMs: learnDeadlineMs });
    return { versions, guests: guestSupport(await connection.capabilitiesXml({ deadlineMs: learnDeadlineMs })) };
  }

  async #tryAccels(): Promise<Accel[]> {
    const { folder } = this.#options;
    const { emulator } = (await this.learn()).guests;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, 'accels.json');
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const key = [bootId.trim(), release(), emulator, (await stat(emulator)).mtimeMs].join(' ');
    const cached = await readCached(file);
    if (cached?.key === key) return cached.accels;
    const accels = await probeAccels(emulator, folder, this.#options.signal);
    // Without it the next engine tries again.
    await writeFile(file, JSON.stringify({ key, accels }), { mode: 0o600 }).catch(() => undefined);
    return accels;
  }

  /** Since the last time somebody asked, if that was lately; else over half a second. */
  async #busyCores(cores: number): Promise<number> {
    const last = this.#busy;
    const agoMs = last === undefined ? Number.POSITIVE_INFINITY : performance.now() - last.reading.atMs;
    if (last !== undefined && agoMs < 2_000) return last.busyCores;
    let before = last?.reading;
    if (before === undefined || agoMs > 30_000) {
      before = await readBusy();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    const reading = await readBusy();
    const busyCores = busyCoresBetween(before, reading, cores);
    this.#busy = { reading, busyCores };
    return busyCores;
  }
}

async function readCached(file: string): Promise<z.infer<typeof CachedAccels> | undefined> {
  try {
    return CachedAccels.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    // Nothing there, or nothing usable: it is found out anew and replaced.
    return undefined;
  }
}
