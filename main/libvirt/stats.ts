/** virConnectGetAllDomainStats, typed. libvirt's KiB become bytes here. */
import type { Params } from './native.ts';

/** virDomainStatsTypes. */
export const statsGroups = {
  state: 1 << 0,
  cpu: 1 << 1,
  balloon: 1 << 2,
  vcpu: 1 << 3,
  interface: 1 << 4,
  block: 1 << 5,
  iothread: 1 << 7,
  memory: 1 << 8,
  dirtyrate: 1 << 9,
} as const;
export type StatsGroup = keyof typeof statsGroups;

export interface VcpuStats {
  /** virVcpuState: 0 offline, 1 running, 2 blocked. */
  readonly state?: number;
  readonly timeNs?: number;
  /** Time its thread wanted to run and did not. */
  readonly waitNs?: number;
  /** The same, as the kernel's scheduler counts it (steal, for the guest). */
  readonly delayNs?: number;
}

export interface BlockStats {
  /** Target, e.g. vda. */
  readonly name: string;
  readonly path?: string;
  readonly readBytes?: number;
  readonly readRequests?: number;
  readonly readTimeNs?: number;
  readonly writeBytes?: number;
  readonly writeRequests?: number;
  readonly writeTimeNs?: number;
  readonly flushRequests?: number;
  readonly flushTimeNs?: number;
  readonly allocationBytes?: number;
  readonly capacityBytes?: number;
  readonly physicalBytes?: number;
}

export interface NetStats {
  readonly name?: string;
  readonly receivedBytes?: number;
  readonly receivedPackets?: number;
  readonly sentBytes?: number;
  readonly sentPackets?: number;
}

interface BalloonStats {
  readonly currentBytes?: number;
  readonly maximumBytes?: number;
  /** Figures below come from the guest's balloon driver: absent until it reports. */
  readonly availableBytes?: number;
  readonly unusedBytes?: number;
  readonly usableBytes?: number;
  readonly diskCachesBytes?: number;
  readonly swapInBytes?: number;
  readonly swapOutBytes?: number;
  readonly majorFaults?: number;
  readonly minorFaults?: number;
  /** Resident memory of QEMU. */
  readonly rssBytes?: number;
  /** When the guest last reported, seconds since 1970; 0 for never. */
  readonly lastUpdateS?: number;
}

const dirtyRateStates = ['unstarted', 'measuring', 'measured'] as const;

interface DirtyRateStats {
  readonly status: (typeof dirtyRateStates)[number];
  readonly startTimeS?: number;
  readonly periodS?: number;
  readonly mebibytesPerSec?: number;
}

export interface DomainStats {
  /** virDomainState and its reason, raw: see domainState(). */
  readonly stateNumber?: number;
  readonly stateReason?: number;
  readonly cpuTimeNs?: number;
  readonly cpuUserNs?: number;
  readonly cpuSystemNs?: number;
  readonly vcpus: readonly VcpuStats[];
  readonly balloon: BalloonStats;
  readonly blocks: readonly BlockStats[];
  readonly nets: readonly NetStats[];
  readonly dirtyRate?: DirtyRateStats;
}

function numbers<K extends string>(params: Params, names: Readonly<Record<K, string>>, factor = 1) {
  const result: Partial<Record<K, number>> = {};
  for (const [key, name] of Object.entries(names) as [K, string][]) {
    const value = params[name];
    if (typeof value === 'number') {
      result[key] = value * factor;
    }
  }
  return result;
}

function count(params: Params, name: string): number {
  const value = params[name];
  return typeof value === 'number' ? value : 0;
}

function strings<K extends string>(params: Params, names: Readonly<Record<K, string>>) {
  const result: Partial<Record<K, string>> = {};
  for (const [key, name] of Object.entries(names) as [K, string][]) {
    const value = params[name];
    if (typeof value === 'string') {
      result[key] = value;
    }
  }
  return result;
}

function readVcpu(params: Params, index: number): VcpuStats {
  const at = `vcpu.${index}.`;
  return numbers(params, {
    state: `${at}state`,
    timeNs: `${at}time`,
    waitNs: `${at}wait`,
    delayNs: `${at}delay`,
  });
}

function readBlock(params: Params, index: number): BlockStats {
  const at = `block.${index}.`;
  const { name = '', ...path } = strings(params, { name: `${at}name`, path: `${at}path` });
  return {
    name,
    ...path,
    ...numbers(params, {
      readBytes: `${at}rd.bytes`,
      readRequests: `${at}rd.reqs`,
      readTimeNs: `${at}rd.times`,
      writeBytes: `${at}wr.bytes`,
      writeRequests: `${at}wr.reqs`,
      writeTimeNs: `${at}wr.times`,
      flushRequests: `${at}fl.reqs`,
      flushTimeNs: `${at}fl.times`,
      allocationBytes: `${at}allocation`,
      capacityBytes: `${at}capacity`,
      physicalBytes: `${at}physical`,
    }),
  };
}

function readNet(params: Params, index: number): NetStats {
  const at = `net.${index}.`;
  return {
    ...strings(params, { name: `${at}name` }),
    ...numbers(params, {
      receivedBytes: `${at}rx.bytes`,
      receivedPackets: `${at}rx.pkts`,
      sentBytes: `${at}tx.bytes`,
      sentPackets: `${at}tx.pkts`,
    }),
  };
}

function readBalloon(params: Params): BalloonStats {
  const kibibyte = 1024;
  return {
    ...numbers(
      params,
      {
        currentBytes: 'balloon.current',
        maximumBytes: 'balloon.maximum',
        availableBytes: 'balloon.available',
        unusedBytes: 'balloon.unused',
        usableBytes: 'balloon.usable',
        diskCachesBytes: 'balloon.disk_caches',
        swapInBytes: 'balloon.swap_in',
        swapOutBytes: 'balloon.swap_out',
        rssBytes: 'balloon.rss',
      },
      kibibyte,
    ),
    ...numbers(params, {
      majorFaults: 'balloon.major_fault',
      minorFaults: 'balloon.minor_fault',
      lastUpdateS: 'balloon.last-update',
    }),
  };
}

function readDirtyRate(params: Params): { dirtyRate?: DirtyRateStats } {
  const status = params['dirtyrate.calc_status'];
  if (typeof status !== 'number') {
    return {};
  }
  return {
    dirtyRate: {
      status: dirtyRateStates[status] ?? 'unstarted',
      ...numbers(params, {
        startTimeS: 'dirtyrate.calc_start_time',
        periodS: 'dirtyrate.calc_period',
        mebibytesPerSec: 'dirtyrate.megabytes_per_second',
      }),
    },
  };
}

const times = <T>(length: number, make: (index: number) => T): T[] => Array.from({ length }, (_, index) => make(index));

/** Typed view of one domain's raw parameters; groups that were not asked for come out empty. */
export function readStats(params: Params): DomainStats {
  return {
    ...numbers(params, {
      stateNumber: 'state.state',
      stateReason: 'state.reason',
      cpuTimeNs: 'cpu.time',
      cpuUserNs: 'cpu.user',
      cpuSystemNs: 'cpu.system',
    }),
    vcpus: times(count(params, 'vcpu.maximum'), (index) => readVcpu(params, index)).filter(
      (vcpu) => Object.keys(vcpu).length > 0,
    ),
    balloon: readBalloon(params),
    blocks: times(count(params, 'block.count'), (index) => readBlock(params, index)),
    nets: times(count(params, 'net.count'), (index) => readNet(params, index)),
    ...readDirtyRate(params),
  };
}

const memoryStatNames = [
  'swapInBytes',
  'swapOutBytes',
  'majorFaults',
  'minorFaults',
  'unusedBytes',
  'availableBytes',
  'actualBytes',
  'rssBytes',
  'usableBytes',
  'lastUpdateS',
  'diskCachesBytes',
  'hugetlbPageAllocations',
  'hugetlbPageFailures',
] as const;

/** virDomainMemoryStatTags; absent where the guest does not tell. `lastUpdateS` is seconds since 1970. */
export type MemoryStats = { readonly [K in (typeof memoryStatNames)[number]]?: number };

export function readMemoryStats(values: readonly (readonly [tag: number, value: number])[]): MemoryStats {
  const stats: { -readonly [K in keyof MemoryStats]: MemoryStats[K] } = {};
  for (const [tag, value] of values) {
    const name = memoryStatNames[tag];
    if (name !== undefined) {
      stats[name] = name.endsWith('Bytes') ? value * 1024 : value;
    }
  }
  return stats;
}
