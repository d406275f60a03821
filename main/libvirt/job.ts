/** virDomainGetJobStats, typed. */
import type { Params, ParamValue } from './native.ts';

const jobTypes = ['none', 'bounded', 'unbounded', 'completed', 'failed', 'cancelled'] as const;
/** virDomainJobType. */
export type JobType = (typeof jobTypes)[number];

const jobOperations = [
  'unknown',
  'start',
  'save',
  'restore',
  'migration-in',
  'migration-out',
  'snapshot',
  'snapshot-revert',
  'dump',
  'backup',
  'snapshot-delete',
] as const;
/** virDomainJobOperation. */
type JobOperation = (typeof jobOperations)[number];

export interface JobTotals {
  readonly totalBytes: number;
  readonly processedBytes: number;
  readonly remainingBytes: number;
}

/** VIR_DOMAIN_JOB_MEMORY_*; a field is absent where libvirt gives none. */
export interface JobMemory extends JobTotals {
  readonly bytesPerSec?: number;
  readonly dirtyPagesPerSec?: number;
  readonly pageSizeBytes?: number;
  readonly iteration?: number;
  readonly postcopyRequests?: number;
  /** Pages sent as "all one byte" and pages sent in full. */
  readonly constantPages?: number;
  readonly normalPages?: number;
  readonly normalBytes?: number;
}

export interface JobStats {
  readonly type: JobType;
  readonly operation?: JobOperation;
  readonly elapsedMs?: number;
  readonly remainingMs?: number;
  /** While running QEMU's estimate, afterwards what was measured. */
  readonly downtimeMs?: number;
  readonly setupMs?: number;
  readonly data?: JobTotals;
  readonly memory?: JobMemory;
  readonly disk?: JobTotals & { readonly bytesPerSec?: number };
  readonly autoConvergeThrottlePercent?: number;
  readonly success?: boolean;
  readonly errorMessage?: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function copyNumbers<T extends object>(params: Params, into: Mutable<T>, names: { readonly [K in keyof T]?: string }) {
  for (const [key, name] of Object.entries(names) as [keyof T, string][]) {
    const value = params[name];
    if (typeof value === 'number') {
      into[key] = value as T[keyof T] & ParamValue;
    }
  }
}

function totals(params: Params, prefix: 'data' | 'memory' | 'disk'): JobTotals | undefined {
  const total = params[`${prefix}_total`];
  const processed = params[`${prefix}_processed`];
  const remaining = params[`${prefix}_remaining`];
  return typeof total === 'number' && typeof processed === 'number' && typeof remaining === 'number'
    ? { totalBytes: total, processedBytes: processed, remainingBytes: remaining }
    : undefined;
}

export function readJobStats(typeNumber: number, params: Params): JobStats {
  const stats: Mutable<JobStats> = { type: jobTypes[typeNumber] ?? 'none' };
  copyNumbers<JobStats>(params, stats, {
    elapsedMs: 'time_elapsed',
    remainingMs: 'time_remaining',
    downtimeMs: 'downtime',
    setupMs: 'setup_time',
    autoConvergeThrottlePercent: 'auto_converge_throttle',
  });
  const operation = params['operation'];
  if (typeof operation === 'number') {
    stats.operation = jobOperations[operation] ?? 'unknown';
  }
  const data = totals(params, 'data');
  if (data !== undefined) {
    stats.data = data;
  }
  const memoryTotals = totals(params, 'memory');
  if (memoryTotals !== undefined) {
    const memory: Mutable<JobMemory> = { ...memoryTotals };
    copyNumbers<JobMemory>(params, memory, {
      bytesPerSec: 'memory_bps',
      dirtyPagesPerSec: 'memory_dirty_rate',
      pageSizeBytes: 'memory_page_size',
      iteration: 'memory_iteration',
      postcopyRequests: 'memory_postcopy_requests',
      constantPages: 'memory_constant',
      normalPages: 'memory_normal',
      normalBytes: 'memory_normal_bytes',
    });
    stats.memory = memory;
  }
  const diskTotals = totals(params, 'disk');
  if (diskTotals !== undefined) {
    const bytesPerSec = params['disk_bps'];
    stats.disk = typeof bytesPerSec === 'number' ? { ...diskTotals, bytesPerSec } : diskTotals;
  }
  const { success, errmsg } = params;
  if (typeof success === 'boolean') {
    stats.success = success;
  }
  if (typeof errmsg === 'string') {
    stats.errorMessage = errmsg;
  }
  return stats;
}
