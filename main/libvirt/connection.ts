/** One libvirt connection as the rest of a program sees it: asynchronous, with deadlines, reopened when lost. */
import { CallQueue, type CallQueueOptions } from './call-queue.ts';
import { LibvirtError, libvirtErrorCode } from './error.ts';
import type { LibvirtEvent, LibvirtEventListener } from './events.ts';
import type { JobStats } from './job.ts';
import type { Params } from './native.ts';
import type {
  BlockJobInfo,
  CpuComparison,
  CpuTarget,
  DomainSummary,
  NodeInfo,
  OperationArguments,
  OperationName,
  Versions,
} from './operations.ts';
import type { DomainState } from './state.ts';
import { type DomainStats, type MemoryStats, readStats, type StatsGroup, statsGroups } from './stats.ts';

/** After it, a call is rejected with kind `timeout`: it may or may not have taken effect. */
export const defaultDeadlineMs = 10_000;

export interface CallOptions {
  readonly deadlineMs?: number | undefined;
}

export interface DomainXmlOptions extends CallOptions {
  readonly inactive?: boolean;
  readonly migratable?: boolean;
  /** With passwords. */
  readonly secure?: boolean;
}

export interface DomainCapabilitiesRequest {
  readonly emulator?: string;
  readonly arch: string;
  /** The architecture's default where absent. */
  readonly machine?: string;
  readonly virtType: string;
}

export interface DomainStatsRecord {
  readonly uuid: string;
  readonly name: string;
  /** As libvirt gave them: `vcpu.0.time` and so on. */
  readonly params: Params;
  readonly stats: DomainStats;
}

const bits = (flags: readonly (readonly [isSet: boolean | undefined, bit: number])[]) =>
  flags.reduce((sum, [isSet, bit]) => (isSet === true ? sum | bit : sum), 0);

const kibibytes = (bytes: number) => Math.floor(bytes / 1024);

export class Connection {
  readonly uri: string;
  readonly #queue: CallQueue;
  readonly #listeners = new Set<LibvirtEventListener>();

  constructor(options: Omit<CallQueueOptions, 'onEvent'>) {
    this.uri = options.uri;
    this.#queue = new CallQueue({ ...options, onEvent: (event) => this.#emit(event) });
  }

  /** Opens it, unless it is open: any other call does so too. */
  open(options: CallOptions = {}): Promise<void> {
    return this.#queue.open(options.deadlineMs ?? defaultDeadlineMs);
  }

  /** Rejects what is under way; harmless when repeated. */
  close(): Promise<void> {
    return this.#queue.close();
  }

  /** Whether libvirt holds the connection for open, without asking the daemon (virConnectIsAlive). */
  isAlive(options: CallOptions = {}): Promise<boolean> {
    return this.#queue.isAlive(options.deadlineMs ?? defaultDeadlineMs);
  }

  /** Events of every domain and of the connection itself. Returns what ends it. */
  onEvent(listener: LibvirtEventListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  versions(options?: CallOptions): Promise<Versions> {
    return this.#call('versions', [], options);
  }

  hostname(options?: CallOptions): Promise<string> {
    return this.#call('hostname', [], options);
  }

  capabilitiesXml(options?: CallOptions): Promise<string> {
    return this.#call('capabilitiesXml', [], options);
  }

  domainCapabilitiesXml(request: DomainCapabilitiesRequest, options?: CallOptions): Promise<string> {
    const { emulator = null, arch, machine = null, virtType } = request;
    return this.#call('domainCapabilitiesXml', [emulator, arch, machine, virtType], options);
  }

  nodeInfo(options?: CallOptions): Promise<NodeInfo> {
    return this.#call('nodeInfo', [], options);
  }

  /** virConnectCompareHypervisorCPU: whether this host can run a guest with that `<cpu>`. */
  compareHypervisorCpu(cpuXml: string, target: CpuTarget = {}, options?: CallOptions): Promise<CpuComparison> {
    return this.#call('compareHypervisorCpu', [cpuXml, target], options);
  }

  /** virConnectBaselineHypervisorCPU: the richest `<cpu>` that all of `cpuXmls` offer. */
  baselineHypervisorCpu(
    cpuXmls: readonly string[],
    target: CpuTarget = {},
    options: CallOptions & { readonly migratable?: boolean } = {},
  ): Promise<string> {
    return this.#call('baselineHypervisorCpu', [cpuXmls, target, options.migratable === true], options);
  }

  listDomains(options: CallOptions & { readonly active?: boolean } = {}): Promise<readonly DomainSummary[]> {
    const { active } = options;
    return this.#call('listDomains', [active === undefined ? 0 : active ? 1 : 2], options);
  }

  domainByName(name: string, options?: CallOptions): Promise<DomainSummary> {
    return this.#call('domainByName', [name], options);
  }

  domainByUuid(uuid: string, options?: CallOptions): Promise<DomainSummary> {
    return this.#call('domainByUuid', [uuid], options);
  }

  domainXml(uuid: string, options: DomainXmlOptions = {}): Promise<string> {
    const flags = bits([
      [options.secure, 1],
      [options.inactive, 2],
      [options.migratable, 8],
    ]);
    return this.#call('domainXml', [uuid, flags], options);
  }

  defineXml(xml: string, options?: CallOptions): Promise<DomainSummary> {
    return this.#call('defineXml', [xml], options);
  }

  /** Removes the definition, keeping NVRAM, TPM state, saves and snapshots where `keep` says nothing else. */
  undefine(uuid: string, options: CallOptions & { readonly keepNvram?: boolean } = {}): Promise<void> {
    return this.#call('undefine', [uuid, bits([[options.keepNvram, 8]])], options);
  }

  /** Starts a transient domain. */
  createXml(xml: string, options: CallOptions & { readonly paused?: boolean } = {}): Promise<DomainSummary> {
    return this.#call('createXml', [xml, bits([[options.paused, 1]])], options);
  }

  start(uuid: string, options?: CallOptions): Promise<void> {
    return this.#call('start', [uuid], options);
  }

  /** Pulls the plug. */
  destroy(uuid: string, options?: CallOptions): Promise<void> {
    return this.#call('destroy', [uuid], options);
  }

  /** Asks the guest; it may take its time or not listen. */
  shutdown(uuid: string, options?: CallOptions): Promise<void> {
    return this.#call('shutdown', [uuid], options);
  }

  suspend(uuid: string, options?: CallOptions): Promise<void> {
    return this.#call('suspend', [uuid], options);
  }

  resume(uuid: string, options?: CallOptions): Promise<void> {
    return this.#call('resume', [uuid], options);
  }

  state(uuid: string, options?: CallOptions): Promise<DomainState> {
    return this.#call('state', [uuid], options);
  }

  /** libvirt refuses to migrate a domain that has any. */
  snapshotCount(uuid: string, options?: CallOptions): Promise<number> {
    return this.#call('snapshotCount', [uuid], options);
  }

  /** All active domains. With `nowait`, what would mean waiting for a busy domain's monitor is left out. */
  async allStats(
    groups: readonly StatsGroup[],
    options: CallOptions & { readonly nowait?: boolean } = {},
  ): Promise<readonly DomainStatsRecord[]> {
    const mask = groups.reduce((sum, group) => sum | statsGroups[group], 0);
    const flags = bits([
      [true, 1],
      [options.nowait, 1 << 29],
    ]);
    const records = await this.#call('allStats', [mask, flags], options);
    return records.map((record) => ({ ...record, stats: readStats(record.params) }));
  }

  memoryStats(uuid: string, options?: CallOptions): Promise<MemoryStats> {
    return this.#call('memoryStats', [uuid], options);
  }

  /** The balloon's target (`live`, the default) or the one of the stored definition; rounded down to KiB. */
  setMemory(uuid: string, bytes: number, options: CallOptions & { readonly live?: boolean } = {}): Promise<void> {
    return this.#call('setMemory', [uuid, kibibytes(bytes), options.live ?? true], options);
  }

  /** How often the guest's balloon driver reports; 0 for never. */
  setMemoryStatsPeriod(uuid: string, seconds: number, options?: CallOptions): Promise<void> {
    return this.#call('setMemoryStatsPeriod', [uuid, seconds], options);
  }

  /** The result comes with the `dirtyrate` statistics, once measured. */
  startDirtyRateCalc(uuid: string, seconds: number, options?: CallOptions): Promise<void> {
    return this.#call('startDirtyRateCalc', [uuid, seconds], options);
  }

  blockJobInfo(uuid: string, disk: string, options?: CallOptions): Promise<BlockJobInfo | undefined> {
    return this.#call('blockJobInfo', [uuid, disk], options);
  }

  /** Of the job under way, or with `completed` of the last one, which stays readable. */
  jobStats(uuid: string, options: CallOptions & { readonly completed?: boolean } = {}): Promise<JobStats> {
    const completedAndKept = 3;
    return this.#call('jobStats', [uuid, options.completed === true ? completedAndKept : 0], options);
  }

  /** With `postcopy`, a migration in its post-copy phase is paused, to be resumed by `postcopyResume`. */
  abortJob(uuid: string, options: CallOptions & { readonly postcopy?: boolean } = {}): Promise<void> {
    return this.#call('abortJob', [uuid, bits([[options.postcopy, 1]])], options);
  }

  startPostCopy(uuid: string, options?: CallOptions): Promise<void> {
    return this.#call('startPostCopy', [uuid], options);
  }

  setMigrateMaxSpeed(
    uuid: string,
    mebibytesPerSec: number,
    options: CallOptions & { readonly postcopy?: boolean } = {},
  ): Promise<void> {
    return this.#call('setMigrateMaxSpeed', [uuid, mebibytesPerSec, options.postcopy === true], options);
  }

  setMigrateMaxDowntime(uuid: string, downtimeMs: number, options?: CallOptions): Promise<void> {
    return this.#call('setMigrateMaxDowntime', [uuid, downtimeMs], options);
  }

  /** QMP: what QEMU put under `return`. Throws where it answered with an error. */
  async qemuMonitorCommand(uuid: string, command: object, options?: CallOptions): Promise<unknown> {
    const answer = await this.#call('qemuMonitorCommand', [uuid, JSON.stringify(command)], options);
    return returned(answer, 'QEMU');
  }

  /** The guest agent's `return`. The call's own deadline lies a few seconds after `timeoutS`. */
  async guestAgentCommand(
    uuid: string,
    command: object,
    timeoutS: number,
    options: CallOptions = {},
  ): Promise<unknown> {
    const { deadlineMs = timeoutS * 1000 + 5_000 } = options;
    const answer = await this.#call('guestAgentCommand', [uuid, JSON.stringify(command), timeoutS], { deadlineMs });
    return returned(answer, 'the guest agent');
  }

  #call<K extends OperationName>(operation: K, args: OperationArguments<K>, options: CallOptions = {}) {
    return this.#queue.call(operation, args, options.deadlineMs ?? defaultDeadlineMs);
  }

  #emit(event: LibvirtEvent): void {
    for (const listener of this.#listeners) {
      listener(event);
    }
  }
}

function returned(answer: string, who: string): unknown {
  const parsed: unknown = JSON.parse(answer);
  if (typeof parsed === 'object' && parsed !== null) {
    if ('error' in parsed) {
      throw new LibvirtError({
        kind: 'libvirt',
        code: libvirtErrorCode.OPERATION_FAILED,
        domain: 0,
        level: 2,
        message: `${who} refused: ${JSON.stringify(parsed.error)}`,
      });
    }
    if ('return' in parsed) {
      return parsed.return;
    }
  }
  return parsed;
}
