/** What the kernel says of this machine. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';

/** MemAvailable and MemTotal of /proc/meminfo (proc(5)). */
export async function readMemory(): Promise<{ totalBytes: number; availableBytes: number }> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { totalBytes: bytes('MemTotal'), availableBytes: bytes('MemAvailable') };
}

export interface Cpu {
  readonly model: string;
  readonly cores: number;
  readonly mhz: number;
}

export async function readCpu(): Promise<Cpu> {
  const [first] = cpus();
  const model = first?.model.trim() || 'unknown';
  // The nominal clock where the kernel knows it; what /proc/cpuinfo says changes with the load.
  const khz = Number(await readFile('/sys/devices/system/cpu/cpu0/cpufreq/base_frequency', 'utf8').catch(() => ''));
  return { model, cores: availableParallelism(), mhz: khz > 0 ? khz / 1_000 : await clockOf(model) };
}

/** Many models carry their clock in the name: "… @ 2.40GHz". Else the fastest core as it runs now. */
async function clockOf(model: string): Promise<number> {
  const ghz = /@\s*([\d.]+)\s*GHz/i.exec(model)?.[1];
  if (ghz !== undefined) return Number(ghz) * 1_000;
  const cpuinfo = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  return Math.max(0, ...[...cpuinfo.matchAll(/^cpu MHz\s*: ([\d.]+)$/gm)].map((match) => Number(match[1])));
}

/** Clock ticks per second of every CPU time in /proc; fixed in Linux's interface (USER_HZ). */
const ticksPerSecond = 100;

/** The inode of the first PID namespace of a machine (PROC_PID_INIT_INO of the kernel). */
const initialPidNamespace = 'pid:[4026531836]';

export interface BusyReading {
  readonly atMs: number;
  /** Seconds of work done so far by all that counts. */
  readonly busySeconds: number;
}

/**
 * Work done on this machine so far. In a container /proc/stat tells of other people's work too, so there it is summed
 * over the processes that can be seen, and what their ended children did.
 */
export async function readBusy(): Promise<BusyReading> {
  const own = (await readlink('/proc/self/ns/pid').catch(() => '')) !== initialPidNamespace;
  const ticks = own ? await visibleTicks() : busyTicks(await readFile('/proc/stat', 'utf8'));
  return { atMs: performance.now(), busySeconds: ticks / ticksPerSecond };
}

/** Busy ticks of the `cpu` line: all but idle, iowait, and guest time, which user time holds already (proc(5)). */
export function busyTicks(procStat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (procStat.split('\n')[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return user + nice + system + irq + softirq + steal;
}

async function visibleTicks(): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  return all.reduce((total, stat) => total + processTicks(stat), 0);
}

/** utime, stime, cutime, cstime: fields 14 to 17 of /proc/<pid>/stat. */
export function processTicks(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((total, field) => total + Number(field), 0);
}

/** What this machine does now, looked at for so long. */
export async function loadOver(ms: number): Promise<{ readonly cores: number; readonly busyCores: number }> {
  const cores = availableParallelism();
  const before = await readBusy();
  await new Promise((resolve) => setTimeout(resolve, ms));
  return { cores, busyCores: busyCoresBetween(before, await readBusy(), cores) };
}

/** Average number of busy cores between two readings, 0..cores. */
export function busyCoresBetween(earlier: BusyReading, later: BusyReading, cores: number): number {
  const seconds = (later.atMs - earlier.atMs) / 1_000;
  if (seconds <= 0) return 0;
  return Math.min(cores, Math.max(0, (later.busySeconds - earlier.busySeconds) / seconds));
}
