/** What a connection's worker can do: one blocking libvirt call each, plain values in and out. */
import koffi from 'koffi';
import { LibvirtError, libvirtErrorCode } from './error.ts';
import {
  type BlockJobStruct,
  type CLong,
  type ConnectPtr,
  type DomainPtr,
  libc,
  type NodeInfoStruct,
  type Out,
  type Pointer,
  type StatsRecordStruct,
  structs,
  vir,
  virQemu,
} from './ffi.ts';
import { type JobStats, readJobStats } from './job.ts';
import {
  checked,
  decodeParams,
  decodePointers,
  domainUuid,
  type Params,
  present,
  takeString,
  toNumber,
} from './native.ts';
import { type DomainState, domainState } from './state.ts';
import { type MemoryStats, readMemoryStats } from './stats.ts';

export interface DomainSummary extends DomainState {
  readonly uuid: string;
  readonly name: string;
  /** virDomainGetID; absent while the domain is not active. */
  readonly id?: number;
  readonly persistent: boolean;
}

/** Numbers as libvirt gives them: major * 1,000,000 + minor * 1,000 + release. */
export interface Versions {
  /** The library in this process. */
  readonly library: number;
  /** The daemon's libvirt. */
  readonly daemon: number;
  /** QEMU, for a QEMU connection. */
  readonly hypervisor: number;
}

export interface NodeInfo {
  /** CPU architecture. */
  readonly model: string;
  readonly memoryBytes: number;
  /** Active CPUs. */
  readonly cpus: number;
  readonly mhz: number;
  readonly nodes: number;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
}

/** virDomainBlockJobType 0 is "unknown", 1 pull, 2 copy, 3 commit, 4 active commit, 5 backup. */
export interface BlockJobInfo {
  readonly type: number;
  readonly bandwidthBytesPerSec: number;
  readonly cur: number;
  readonly end: number;
}

/** What decides which QEMU a CPU question is about; each may be left to libvirt's default. */
export interface CpuTarget {
  readonly emulator?: string | undefined;
  readonly arch?: string | undefined;
  readonly machine?: string | undefined;
  readonly virtType?: string | undefined;
}

/** virCPUCompareResult: of the host against the CPU asked about. */
export type CpuComparison = 'incompatible' | 'identical' | 'superset';

export interface DomainRecord {
  readonly uuid: string;
  readonly name: string;
  readonly params: Params;
}

/** libvirt lets 4 MB through, and says RPC beyond; a guest is not to make this process read that. */
const mostAgentAnswer = 512 * 1024;

function withDomain<T>(conn: ConnectPtr, uuid: string, use: (domain: DomainPtr) => T): T {
  return freeing(present('virDomainLookupByUUIDString', vir.lookupByUuid(conn, uuid)), use);
}

function freeing<T>(domain: DomainPtr, use: (domain: DomainPtr) => T): T {
  try {
    return use(domain);
  } finally {
    vir.domainFree(domain);
  }
}

function stateOf(domain: DomainPtr): DomainState {
  const state: Out<number> = [0];
  const reason: Out<number> = [0];
  checked('virDomainGetState', vir.domainState(domain, state, reason, 0));
  return domainState(state[0], reason[0]);
}

function summaryOf(domain: DomainPtr): DomainSummary {
  const uuid = domainUuid(domain);
  const name = present('virDomainGetName', vir.domainName(domain));
  const id = vir.domainId(domain);
  const persistent = checked('virDomainIsPersistent', vir.isPersistent(domain)) === 1;
  const summary = { uuid, name, persistent, ...stateOf(domain) };
  return id === 0xffffffff ? summary : { ...summary, id };
}

/** Runs a call on a domain that answers with a status only. */
function simple(call: string, act: (domain: DomainPtr) => number) {
  return (conn: ConnectPtr, uuid: string): void => withDomain(conn, uuid, (domain) => void checked(call, act(domain)));
}

function version(call: string, read: (out: Out<CLong>) => number): number {
  const out: Out<CLong> = [0];
  checked(call, read(out));
  return toNumber(out[0]);
}

/** struct virDomainMemoryStat: int tag, padding, unsigned long long val. */
const memoryStatSize = 16;

const affectLive = 1;
const affectConfig = 2;

export const operations = {
  versions: (conn: ConnectPtr): Versions => ({
    library: version('virGetVersion', (out) => vir.getVersion(out, null, null)),
    daemon: version('virConnectGetLibVersion', (out) => vir.daemonVersion(conn, out)),
    hypervisor: version('virConnectGetVersion', (out) => vir.hypervisorVersion(conn, out)),
  }),
  hostname: (conn: ConnectPtr): string => takeString('virConnectGetHostname', vir.hostname(conn)),
  capabilitiesXml: (conn: ConnectPtr): string => takeString('virConnectGetCapabilities', vir.capabilities(conn)),
  domainCapabilitiesXml: (
    conn: ConnectPtr,
    emulator: string | null,
    arch: string,
    machine: string | null,
    virtType: string,
  ): string =>
    takeString('virConnectGetDomainCapabilities', vir.domainCapabilities(conn, emulator, arch, machine, virtType, 0)),
  nodeInfo: (conn: ConnectPtr): NodeInfo => {
    const info: Partial<NodeInfoStruct> = {};
    checked('virNodeGetInfo', vir.nodeInfo(conn, info));
    const { model = '', memory = 0, cpus = 0, mhz = 0, nodes = 0, sockets = 0, cores = 0, threads = 0 } = info;
    return { model, memoryBytes: toNumber(memory) * 1024, cpus, mhz, nodes, sockets, cores, threads };
  },
  compareHypervisorCpu: (conn: ConnectPtr, cpuXml: string, target: CpuTarget): CpuComparison => {
    const { emulator = null, arch = null, machine = null, virtType = null } = target;
    const verdict = vir.compareCpu(conn, emulator, arch, machine, virtType, cpuXml, 0);
    checked('virConnectCompareHypervisorCPU', verdict);
    return (['incompatible', 'identical', 'superset'] as const)[verdict] ?? 'incompatible';
  },
  baselineHypervisorCpu: (
    conn: ConnectPtr,
    cpuXmls: readonly string[],
    target: CpuTarget,
    migratable: boolean,
  ): string => {
    const { emulator = null, arch = null, machine = null, virtType = null } = target;
    const flags = migratable ? 2 : 0;
    return takeString(
      'virConnectBaselineHypervisorCPU',
      vir.baselineCpu(conn, emulator, arch, machine, virtType, cpuXmls, cpuXmls.length, flags),
    );
  },

  /** `flags`: virConnectListAllDomainsFlags. */
  listDomains: (conn: ConnectPtr, flags: number): readonly DomainSummary[] => {
    const out: Out<Pointer | null> = [null];
    const count = checked('virConnectListAllDomains', vir.listAllDomains(conn, out, flags));
    const domains = decodePointers<DomainPtr>(out[0], count);
    try {
      return domains.flatMap((domain) => {
        try {
          return [summaryOf(domain)];
        } catch {
          // Gone between the listing and the question.
          return [];
        }
      });
    } finally {
      for (const domain of domains) {
        vir.domainFree(domain);
      }
      if (out[0] !== null) {
        libc.free(out[0]);
      }
    }
  },
  domainByName: (conn: ConnectPtr, name: string): DomainSummary =>
    freeing(present('virDomainLookupByName', vir.lookupByName(conn, name)), summaryOf),
  domainByUuid: (conn: ConnectPtr, uuid: string): DomainSummary => withDomain(conn, uuid, summaryOf),
  domainXml: (conn: ConnectPtr, uuid: string, flags: number): string =>
    withDomain(conn, uuid, (domain) => takeString('virDomainGetXMLDesc', vir.domainXml(domain, flags))),
  defineXml: (conn: ConnectPtr, xml: string): DomainSummary =>
    freeing(present('virDomainDefineXMLFlags', vir.defineXml(conn, xml, 0)), summaryOf),
  createXml: (conn: ConnectPtr, xml: string, flags: number): DomainSummary =>
    freeing(present('virDomainCreateXML', vir.createXml(conn, xml, flags)), summaryOf),
  undefine: (conn: ConnectPtr, uuid: string, flags: number): void =>
    withDomain(conn, uuid, (domain) => void checked('virDomainUndefineFlags', vir.undefine(domain, flags))),
  start: simple('virDomainCreateWithFlags', (domain) => vir.create(domain, 0)),
  destroy: simple('virDomainDestroy', vir.destroy),
  shutdown: simple('virDomainShutdown', vir.shutdown),
  suspend: simple('virDomainSuspend', vir.suspend),
  resume: simple('virDomainResume', vir.resume),
  snapshotCount: (conn: ConnectPtr, uuid: string): number =>
    withDomain(conn, uuid, (domain) => checked('virDomainSnapshotNum', vir.snapshotNum(domain, 0))),
  state: (conn: ConnectPtr, uuid: string): DomainState => withDomain(conn, uuid, stateOf),

  allStats: (conn: ConnectPtr, groups: number, flags: number): readonly DomainRecord[] => {
    const out: Out<Pointer | null> = [null];
    const count = checked('virConnectGetAllDomainStats', vir.allStats(conn, groups, out, flags));
    try {
      return decodePointers(out[0], count).map((pointer) => {
        const record: StatsRecordStruct = koffi.decode(pointer, structs.statsRecord);
        return {
          uuid: domainUuid(record.dom),
          name: vir.domainName(record.dom) ?? '',
          params: decodeParams(record.params, record.nparams),
        };
      });
    } finally {
      if (out[0] !== null) {
        vir.statsFree(out[0]);
      }
    }
  },
  memoryStats: (conn: ConnectPtr, uuid: string): MemoryStats =>
    withDomain(conn, uuid, (domain) => {
      const room = 32;
      const buffer = new Uint8Array(room * memoryStatSize);
      const view = new DataView(buffer.buffer);
      const count = checked('virDomainMemoryStats', vir.memoryStats(domain, buffer, room, 0));
      return readMemoryStats(
        Array.from({ length: count }, (_, index) => [
          view.getInt32(index * memoryStatSize, true),
          Number(view.getBigUint64(index * memoryStatSize + 8, true)),
        ]),
      );
    }),
  setMemory: (conn: ConnectPtr, uuid: string, kib: number, live: boolean): void =>
    withDomain(conn, uuid, (domain) => {
      checked('virDomainSetMemoryFlags', vir.setMemory(domain, kib, live ? affectLive : affectConfig));
    }),
  setMemoryStatsPeriod: (conn: ConnectPtr, uuid: string, seconds: number): void =>
    withDomain(conn, uuid, (domain) => {
      checked('virDomainSetMemoryStatsPeriod', vir.setMemoryStatsPeriod(domain, seconds, affectLive));
    }),
  startDirtyRateCalc: (conn: ConnectPtr, uuid: string, seconds: number): void =>
    withDomain(conn, uuid, (domain) => {
      checked('virDomainStartDirtyRateCalc', vir.startDirtyRateCalc(domain, seconds, 0));
    }),
  /** Undefined where there is no job on that disk. */
  blockJobInfo: (conn: ConnectPtr, uuid: string, disk: string): BlockJobInfo | undefined =>
    withDomain(conn, uuid, (domain) => {
      const info: Partial<BlockJobStruct> = {};
      const inBytesPerSec = 1;
      if (checked('virDomainGetBlockJobInfo', vir.blockJobInfo(domain, disk, info, inBytesPerSec)) === 0) {
        return undefined;
      }
      const { type = 0, bandwidth = 0, cur = 0, end = 0 } = info;
      return { type, bandwidthBytesPerSec: toNumber(bandwidth), cur: toNumber(cur), end: toNumber(end) };
    }),

  jobStats: (conn: ConnectPtr, uuid: string, flags: number): JobStats =>
    withDomain(conn, uuid, (domain) => {
      const type: Out<number> = [0];
      const params: Out<Pointer | null> = [null];
      const count: Out<number> = [0];
      checked('virDomainGetJobStats', vir.jobStats(domain, type, params, count, flags));
      try {
        return readJobStats(type[0], decodeParams(params[0], count[0]));
      } finally {
        if (params[0] !== null) {
          vir.paramsFree(params[0], count[0]);
        }
      }
    }),
  abortJob: (conn: ConnectPtr, uuid: string, flags: number): void =>
    withDomain(conn, uuid, (domain) => void checked('virDomainAbortJobFlags', vir.abortJob(domain, flags))),
  startPostCopy: simple('virDomainMigrateStartPostCopy', (domain) => vir.startPostCopy(domain, 0)),
  setMigrateMaxSpeed: (conn: ConnectPtr, uuid: string, mebibytesPerSec: number, postcopy: boolean): void =>
    withDomain(conn, uuid, (domain) => {
      checked('virDomainMigrateSetMaxSpeed', vir.setMaxSpeed(domain, mebibytesPerSec, postcopy ? 1 : 0));
    }),
  setMigrateMaxDowntime: (conn: ConnectPtr, uuid: string, downtimeMs: number): void =>
    withDomain(conn, uuid, (domain) => {
      checked('virDomainMigrateSetMaxDowntime', vir.setMaxDowntime(domain, downtimeMs, 0));
    }),

  qemuMonitorCommand: (conn: ConnectPtr, uuid: string, command: string): string =>
    withDomain(conn, uuid, (domain) => {
      const out: Out<Pointer | null> = [null];
      checked('virDomainQemuMonitorCommand', virQemu.monitorCommand(domain, command, out, 0));
      return takeString('virDomainQemuMonitorCommand', out[0]);
    }),
  guestAgentCommand: (conn: ConnectPtr, uuid: string, command: string, timeoutS: number): string =>
    withDomain(conn, uuid, (domain) => {
      const answer = takeString('virDomainQemuAgentCommand', virQemu.agentCommand(domain, command, timeoutS, 0));
      if (answer.length <= mostAgentAnswer) return answer;
      throw new LibvirtError({
        kind: 'libvirt',
        code: libvirtErrorCode.RPC,
        domain: 0,
        level: 2,
        message: `the guest agent answered with ${answer.length} characters`,
      });
    }),
} as const;

type Operations = typeof operations;
export type OperationName = keyof Operations;
export type OperationResult<K extends OperationName> = ReturnType<Operations[K]>;
/** An operation's arguments as its caller gives them: without the connection. */
export type OperationArguments<K extends OperationName> =
  Parameters<Operations[K]> extends [ConnectPtr, ...infer Rest] ? Rest : never;
