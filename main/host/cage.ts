/** A folder with a sandbox in it: what both a visit and the probe of this machine are made of. */
import { randomUUID } from 'node:crypto';
import { copyFile, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { HomewardError } from '../../shared/errors.ts';
import { type ChildRecord, isAlive } from '../process/index.ts';
import { etcFiles, libvirtdConf, type Programs, qemuConf, supervisorCommand, supervisorScript } from './inside.ts';
import { connectInside, isNotThereYet, openSocketInside } from './open-inside.ts';
import { endSandbox, findSandbox, type SandboxFiles, startSandbox, usableDevices } from './sandbox.ts';

export interface CageOptions {
  /** Unique: libvirt refuses to migrate between equal hostnames. */
  readonly hostname: string;
  readonly programs: Programs;
  readonly kvm: boolean;
  /** Where libvirt's migration sockets are, as the sandbox sees them. */
  readonly migrationFolder?: string | undefined;
  /** XDG cache with what libvirtd learned of QEMU before; saves it a second of probing. */
  readonly capabilityCache?: string | undefined;
}

/** Outer folders:   etc/ and up/ bound read-only   hw/ bound at /hw   m/ bound at the migration folder */
export class Cage {
  readonly folder: string;
  #sandbox: ChildRecord | undefined;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Furnishes the folder and starts the sandbox; returns before anything in it answers. */
  async start(options: CageOptions): Promise<void> {
    await this.#furnish(options);
    const devices = options.kvm ? ['/dev/kvm', '/dev/userfaultfd'] : ['/dev/userfaultfd'];
    this.#sandbox = await startSandbox(
      {
        hostname: options.hostname,
        etc: this.path('etc'),
        home: this.path('hw'),
        up: this.path('up'),
        migration:
          options.migrationFolder === undefined
            ? undefined
            : { outside: this.path('m'), inside: options.migrationFolder },
        devices: await usableDevices(devices),
        command: supervisorCommand,
      },
      this.#files,
    );
  }

  /** Finds the sandbox an earlier engine started; false where it has ended. */
  async adopt(): Promise<boolean> {
    this.#sandbox = await findSandbox(this.#files);
    return this.#sandbox !== undefined;
  }

  /** Ends the sandbox, known or not, with everything in it, and removes the folder. */
  async end(): Promise<void> {
    await endSandbox(this.#files);
    this.#sandbox = undefined;
    // What was just killed may have a file on its way yet.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  async isUp(): Promise<boolean> {
    if (this.#sandbox && !(await isAlive(this.#sandbox))) this.#sandbox = undefined;
    return this.#sandbox !== undefined;
  }

  /** The first process of the sandbox's PID namespace, while it is known to run. */
  get pid(): number | undefined {
    return this.#sandbox?.pid;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** To a socket inside, as soon as somebody listens. Throws `refused` once the sandbox has ended, or `timeout`. */
  async connect(folder: 'hw' | 'm', steps: readonly string[], timeoutMs: number): Promise<Duplex> {
    return this.#retry(() => connectInside(this.path(folder), steps), steps, timeoutMs);
  }

  /** Returns once the socket is there; does not connect. */
  async awaitSocket(folder: 'hw' | 'm', steps: readonly string[], timeoutMs: number): Promise<void> {
    const socket = await this.#retry(() => openSocketInside(this.path(folder), steps), steps, timeoutMs);
    await socket.close();
  }

  get #files(): SandboxFiles {
    return {
      outerRecord: this.path('outer.json'),
      innerRecord: this.path('inner.json'),
      info: this.path('info.json'),
      log: this.path('sandbox.log'),
    };
  }

  async #furnish({ hostname, programs, capabilityCache }: CageOptions): Promise<void> {
    for (const folder of [
      'etc/alternatives',
      'up',
      'm',
      'hw/tmp',
      'hw/run',
      'hw/cache',
      'hw/data',
      'hw/config/libvirt',
    ]) {
      await mkdir(this.path(folder), { recursive: true, mode: 0o700 });
    }
    const files = Object.entries({
      ...Object.fromEntries(Object.entries(etcFiles(hostname)).map(([name, text]) => [`etc/${name}`, text])),
      'hw/config/libvirt/libvirtd.conf': libvirtdConf(randomUUID()),
      'hw/config/libvirt/qemu.conf': qemuConf(),
      'up/supervise.sh': supervisorScript(programs),
    });
    await Promise.all([
      ...files.map(([name, text]) => writeFile(this.path(name), text, { mode: 0o600 })),
      // Not every C library keeps one.
      copyFile('/etc/ld.so.cache', this.path('etc/ld.so.cache')).catch(() => undefined),
      capabilityCache && cp(capabilityCache, this.path('hw/cache'), { recursive: true }),
    ]);
  }

  async #retry<T>(attempt: () => Promise<T>, steps: readonly string[], timeoutMs: number): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        return await attempt();
      } catch (cause) {
        if (!isNotThereYet(cause)) throw cause;
        if (!(await this.isUp())) throw new HomewardError('refused', 'The sandbox of this visit has ended.', { cause });
        if (performance.now() > deadline) {
          throw new HomewardError('timeout', `Nothing in the sandbox answers at ${steps.join('/')}.`, { cause });
        }
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
    }
  }
}
