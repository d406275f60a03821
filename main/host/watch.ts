/** Looks into a visit through its libvirtd, and from outside at what its processes really use. */
import type { VisitEndReason } from '../../shared/model/visit-end.ts';
import { type Connection, isStoppedByDisk, type Libvirt } from '../libvirt/index.ts';
import { maxProcesses } from './inside.ts';
import { usageBelow } from './usage.ts';
import type { Visit } from './visit.ts';
import { type DomainSight, nextVisitState, whyStopped } from './visit-state.ts';

/** Beyond the guest's memory: QEMU's own, libvirtd, nbdkit with its buffers, socat. */
const allowanceBytes = 768 * 1024 * 1024;
const lookEveryMs = 3_000;
const deadlineMs = 10_000;
/** Sooner, and QEMU would do nothing but stop and go on where the disk still answers with an error. */
const resumeEveryMs = 5_000;

export interface WatchOptions {
  readonly visit: Visit;
  readonly libvirt: Pick<Libvirt, 'connect'>;
  /** @param end Of a visit that is gone: why; undefined where its VM moved on. */
  readonly onChange: (end: VisitEndReason | undefined) => void;
  /** The visit takes more than it was admitted with; `sentence` says what. */
  readonly onAbuse: (sentence: string) => void;
  readonly onFault: (error: unknown) => void;
}

export class VisitWatch {
  readonly #options: WatchOptions;
  #connection: Connection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #residentBytes = 0;
  #lastFault = '';
  /** libvirt's word on how the domain stopped, last heard. */
  #stopDetail = 'unknown';
  #resumedMs = Number.NEGATIVE_INFINITY;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#look();
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
    this.#timer.unref();
  }

  /** What the visit's processes held when last looked at. */
  get residentBytes(): number {
    return this.#residentBytes;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#connection?.close();
    await this.#looking;
    // The look under way may have opened it meanwhile.
    await this.#connection?.close();
  }

  #look(): void {
    if (this.#stopped) return;
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = this.#lookOnce()
      .catch((error: unknown) => {
        // A libvirtd that is being started anew does not answer for a moment; the next look tells. Once is enough
        // to say of one that never answers.
        const fault = String(error);
        if (!this.#stopped && fault !== this.#lastFault) this.#options.onFault(error);
        this.#lastFault = fault;
      })
      .finally(() => {
        this.#looking = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.#look();
      });
  }

  async #lookOnce(): Promise<void> {
    const { visit } = this.#options;
    const before = visit.state;
    let end: VisitEndReason | undefined;
    if (!(await visit.isUp())) {
      await visit.setState('gone');
      end = 'died';
    } else {
      await this.#checkUsage();
      if (before !== 'gone') await visit.setState(nextVisitState(before, await this.#sight()));
      end = whyStopped(this.#stopDetail);
    }
    if (visit.state !== before) this.#options.onChange(visit.state === 'gone' ? end : undefined);
  }

  async #checkUsage(): Promise<void> {
    const { visit, onAbuse } = this.#options;
    if (visit.pid === undefined) return;
    const { residentBytes, processes } = await usageBelow(visit.pid);
    this.#residentBytes = residentBytes;
    const { vmName, memoryBytes } = visit.request;
    if (residentBytes > memoryBytes + allowanceBytes) {
      onAbuse(
        `The visit of ${vmName} was ended: it was admitted with ${mib(memoryBytes)} and uses ${mib(residentBytes)}.`,
      );
    } else if (processes > maxProcesses) {
      onAbuse(`The visit of ${vmName} was ended: it started ${processes} processes.`);
    }
  }

  async #sight(): Promise<DomainSight | undefined> {
    const { visit, onAbuse } = this.#options;
    const connection = await this.#connected();
    const [domains, stats] = await Promise.all([
      connection.listDomains({ active: true, deadlineMs }),
      connection.allStats(['balloon', 'vcpu'], { nowait: true, deadlineMs }),
    ]);
    const memoryBytes = sum(stats.map((record) => record.stats.balloon.maximumBytes ?? 0));
    const vcpus = sum(stats.map((record) => record.stats.vcpus.length));
    const admitted = visit.request;
    if (memoryBytes > admitted.memoryBytes || vcpus > admitted.vcpus) {
      onAbuse(
        `The visit of ${admitted.vmName} was ended: it was admitted with ${mib(admitted.memoryBytes)} and ${admitted.vcpus} vCPUs, and defines ${mib(memoryBytes)} and ${vcpus} vCPUs.`,
      );
    }
    const domain = domains.find(({ uuid }) => uuid === admitted.vm);
    if (domain === undefined) return undefined;
    if (await isStoppedByDisk(connection, domain.uuid, domain)) await this.#goOn(connection);
    const incoming = domain.reason === 'paused-migration' || domain.reason === 'paused-starting-up';
    return { running: domain.state === 'running', incoming };
  }

  /**
   * A disk answered with an error, e.g. because there was no room left for its cache, and QEMU stopped the guest before
   * that could notice. Going on, it sends the request again; nobody but us is here to have it do so.
   */
  async #goOn(connection: Connection): Promise<void> {
    const now = performance.now();
    if (now - this.#resumedMs < resumeEveryMs) return;
    this.#resumedMs = now;
    await connection.resume(this.#options.visit.request.vm, { deadlineMs });
  }

  async #connected(): Promise<Connection> {
    if (this.#connection) return this.#connection;
    const connection = await this.#options.libvirt.connect(this.#options.visit.libvirtUri, { deadlineMs });
    connection.onEvent((event) => {
      if (event.kind === 'lifecycle' && event.event === 'stopped' && event.uuid === this.#options.visit.request.vm) {
        this.#stopDetail = event.detail;
      }
      if (event.kind === 'lifecycle' || event.kind === 'connection') this.#look();
    });
    this.#connection = connection;
    return connection;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}
