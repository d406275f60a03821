/**
 * What this machine is, asked of a libvirtd in a sandbox just like a visitor's, so that the answers hold for visitors.
 * It is started when somebody asks and ended when nobody has for a minute.
 */
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { Accel } from '../../shared/model/host.ts';
import type { HostCalls } from '../../shared/wire.ts';
import type { Connection, Libvirt } from '../libvirt/index.ts';
import { splice } from '../link/index.ts';
import { Cage } from './cage.ts';
import { hostModelCpu } from './capabilities.ts';
import { LocalFacts, learnDeadlineMs } from './facts.ts';
import { insidePaths } from './inside.ts';
import { readCpu } from './machine.ts';
import { SocketDoor } from './socket-door.ts';

const idleForMs = 60_000;

export interface HostProbeOptions {
  readonly folder: string;
  readonly libvirt: Libvirt;
  readonly name: () => string;
  readonly version: string;
  readonly onFault: (error: unknown) => void;
}

type Answer<K extends keyof HostCalls> = z.output<HostCalls[K]['result']>;
type Question<K extends keyof HostCalls> = z.output<HostCalls[K]['params']>;

export class HostProbe {
  readonly #options: HostProbeOptions;
  readonly #sandboxes = new Map<Accel, Promise<ProbeSandbox>>();
  readonly #caches = new Map<Accel, Promise<string>>();
  readonly facts: LocalFacts;
  #idleTimer: NodeJS.Timeout | undefined;
  #warming: Promise<void> | undefined;
  readonly #stopping = new AbortController();

  constructor(options: HostProbeOptions) {
    this.#options = options;
    this.facts = new LocalFacts({ ...options, connect: () => this.#connection('tcg'), signal: this.#stopping.signal });
  }

  /** Ends what an engine that died has left running, and begins to learn what the first visitor would wait for. */
  async start(): Promise<void> {
    await Promise.all(Accel.options.map((accel) => this.#cage(accel).end()));
    this.#warming = this.#warmUp().catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#options.onFault(error);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new HomewardError('cancelled', 'Homeward is shutting down.'));
    await this.#warming;
    await this.#endSandboxes();
  }

  async #warmUp(): Promise<void> {
    const [best] = await this.facts.accels();
    if (best) await this.capabilityCache(best);
  }

  async #endSandboxes(): Promise<void> {
    clearTimeout(this.#idleTimer);
    const sandboxes = await Promise.allSettled(this.#sandboxes.values());
    this.#sandboxes.clear();
    await Promise.all(sandboxes.map((sandbox) => (sandbox.status === 'fulfilled' ? sandbox.value.end() : undefined)));
  }

  async compareCpu({ cpuXml, accel, machine }: Question<'cpu.compare'>): Promise<Answer<'cpu.compare'>> {
    const { guests } = await this.facts.learn();
    const connection = await this.#connection(accel);
    const target = { arch: guests.arch, emulator: guests.emulator, machine, virtType: virtType(accel) };
    const verdict = await connection.compareHypervisorCpu(cpuXml, target, { deadlineMs: learnDeadlineMs });
    const { model } = await readCpu();
    const detail =
      verdict === 'incompatible'
        ? `The CPU here (${model}, under ${accel.toUpperCase()}) lacks something the VM's CPU has.`
        : '';
    return { verdict, detail };
  }

  async cpuModel({ accel, machine }: Question<'cpu.model'>): Promise<Answer<'cpu.model'>> {
    const { guests } = await this.facts.learn();
    const connection = await this.#connection(accel);
    const request = { arch: guests.arch, emulator: guests.emulator, machine, virtType: virtType(accel) };
    return { cpuXml: hostModelCpu(await connection.domainCapabilitiesXml(request, { deadlineMs: learnDeadlineMs })) };
  }

  /** Folder with what libvirtd has learned of QEMU, to start a visitor's libvirtd with. */
  capabilityCache(accel: Accel): Promise<string> {
    const cached = this.#caches.get(accel) ?? this.#fillCache(accel);
    this.#caches.set(accel, cached);
    cached.catch(() => this.#caches.delete(accel));
    return cached;
  }

  async #fillCache(accel: Accel): Promise<string> {
    const connection = await this.#connection(accel);
    await connection.capabilitiesXml({ deadlineMs: learnDeadlineMs });
    const cache = join(this.#options.folder, `cache-${accel}`);
    await rm(cache, { recursive: true, force: true });
    await cp(this.#cage(accel).path('hw/cache'), `${cache}.new`, { recursive: true });
    await rename(`${cache}.new`, cache);
    return cache;
  }

  async #connection(accel: Accel): Promise<Connection> {
    this.#stopping.signal.throwIfAborted();
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.#endSandboxes().catch(this.#options.onFault), idleForMs);
    this.#idleTimer.unref();
    // One after the other: two at once would start two sandboxes in one folder.
    const next = this.#running(accel, this.#sandboxes.get(accel));
    this.#sandboxes.set(accel, next);
    return (await next).connection;
  }

  async #running(accel: Accel, before: Promise<ProbeSandbox> | undefined): Promise<ProbeSandbox> {
    const there = await before?.catch(() => undefined);
    if (there && (await there.isUp())) return there;
    await there?.end();
    return ProbeSandbox.start(this.#cage(accel), accel, this.#options);
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
        programs: { caches: [], plain: [['libvirtd']], maxFileBytes: 64 * 1024 * 1024 },
      });
      await cage.awaitSocket('hw', insidePaths.libvirtSocket, 10_000);
      await door.open('libvirt.sock', async (socket) =>
        splice(socket, await cage.connect('hw', insidePaths.libvirtSocket, 5_000)),
      );
      const uri = `qemu:///session?socket=${cage.path('libvirt.sock')}`;
      return new ProbeSandbox(cage, door, await options.libvirt.connect(uri, { deadlineMs: learnDeadlineMs }));
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
