/**
 * What a QEMU guest agent may answer. Whoever rules the guest rules these words too, so that nothing is taken from them but
 * numbers within reason and plain names. Commands and members: QEMU's qga/qapi-schema.json.
 */
import { z } from 'zod';

/** Larger would be a broken guest or a lie. */
const mostLoad = 100_000;
const mostVcpus = 4_096;
const mostMs = 1e15;
/** What the agent is asked to give of one file or program, in bytes. */
export const mostOutputBytes = 256 * 1024;
/** proc_pid_stat(5): the kernel's own limit on a name is below that. */
const ProgramName = z
  .string()
  .regex(/^[\w.+:@/-]{1,63}$/)
  .refine((name) => name !== '__proto__');

const ms = z.number().min(0).max(mostMs);

/** guest-get-load (agent 10.0 and newer). */
export const Load = z.object({ load1m: z.number().min(0).max(mostLoad) });

export interface CpuTimes {
  readonly iowaitMs: number;
  readonly totalMs: number;
}

/** guest-get-cpustats (agent 7.1 and newer), Linux guests: milliseconds since boot, per vCPU. */
export const CpuStats = z
  .array(z.object({ user: ms, system: ms, idle: ms, iowait: ms.optional(), nice: ms.optional(), irq: ms.optional() }))
  .min(1)
  .max(mostVcpus)
  .transform((cpus): CpuTimes => {
    const sum = (figure: (cpu: (typeof cpus)[number]) => number): number =>
      cpus.reduce((total, cpu) => total + figure(cpu), 0);
    const iowaitMs = sum(({ iowait = 0 }) => iowait);
    return {
      iowaitMs,
      totalMs: iowaitMs + sum(({ user, system, idle, nice = 0, irq = 0 }) => user + system + idle + nice + irq),
    };
  });

export const FileHandle = z.int();
export const ProcessId = z.object({ pid: z.int().min(0) });

/** Base64, of text. */
const Text = z
  .base64()
  .max(Math.ceil(mostOutputBytes / 3) * 4)
  .transform((encoded) => atob(encoded));
export const FileContent = z.object({ 'buf-b64': Text }).transform((content) => content['buf-b64']);
export const ExecStatus = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  'out-data': Text.optional(),
});

/** /proc/loadavg. */
export const LoadFile = z
  .string()
  .regex(/^\d+\.\d+ /)
  .transform((text) => ({ load1m: Number.parseFloat(text) }))
  .pipe(Load);

/** USER_HZ: the unit of times in /proc on every Linux that QEMU's agent runs on. */
const ticksPerSec = 100;

/** /proc/stat: its first line sums all vCPUs up: user, nice, system, idle, iowait, irq, softirq. */
export const CpuFile = z.string().transform((text, context): CpuTimes => {
  const ticks = /^cpu +((?:\d{1,15} +){6}\d{1,15})/.exec(text)?.[1]?.split(/ +/).map(Number);
  if (ticks === undefined) {
    context.addIssue('not as proc_stat(5) has it');
    return z.NEVER;
  }
  return {
    iowaitMs: ((ticks[4] ?? 0) * 1_000) / ticksPerSec,
    totalMs: (ticks.reduce((sum, tick) => sum + tick, 0) * 1_000) / ticksPerSec,
  };
});

export interface ProcessTime {
  readonly name: string;
  /** CPU time used since it began, in seconds. */
  readonly cpuS: number;
}

/** Many /proc/PID/stat, one a line, the last one perhaps cut off. What is not as the kernel writes it is skipped. */
export function readProcesses(text: string): Map<string, ProcessTime> {
  const processes = new Map<string, ProcessTime>();
  for (const line of text.split('\n')) {
    // PID (name) state, ten figures, user and system time, six figures, and the moment it began: with it a PID is unique.
    const match =
      /^(\d{1,10}) \((.*)\) [A-Za-z](?: -?\d{1,20}){10} (\d{1,15}) (\d{1,15})(?: -?\d{1,20}){6} (\d{1,20})(?: |$)/.exec(
        line,
      );
    const name = ProgramName.safeParse(match?.[2]);
    if (match === null || !name.success) continue;
    const cpuS = (Number(match[3]) + Number(match[4])) / ticksPerSec;
    processes.set(`${match[1]}@${match[5]}`, { name: name.data, cpuS });
  }
  return processes;
}

export interface Program {
  readonly name: string;
  /** Of its processes the one that used most. */
  readonly pid: string;
}

/** The name under which most CPU time was used between two looks, if anything was busy at all. */
export function busiestProgram(
  before: ReadonlyMap<string, ProcessTime>,
  after: ReadonlyMap<string, ProcessTime>,
  intervalS: number,
): Program | undefined {
  const used = new Map<string, { totalS: number; mostS: number; pid: string }>();
  for (const [id, { name, cpuS }] of after) {
    const grownS = cpuS - (before.get(id)?.cpuS ?? 0);
    if (grownS <= 0) continue;
    const [pid = ''] = id.split('@');
    const { totalS, mostS, pid: busier } = used.get(name) ?? { totalS: 0, mostS: 0, pid };
    used.set(name, { totalS: totalS + grownS, mostS: Math.max(mostS, grownS), pid: grownS > mostS ? pid : busier });
  }
  const [busiest] = [...used].toSorted(([, a], [, b]) => b.totalS - a.totalS);
  if (busiest === undefined || busiest[1].totalS < leastShare * intervalS) return undefined;
  return { name: busiest[0], pid: busiest[1].pid };
}

/** Smaller ones are settings and lists. */
const leastInputBytes = 1024 * 1024;
/** The two lowest bits of open(2)'s flags: read only, write only, both. */
const accessMode = 0o3;

/**
 * Of the largest file that the process has open for reading alone, what it has read: from its /proc/PID/fdinfo (grep -H) and
 * the sizes of what its descriptors lead to (stat -Lc '%n %F %s'). Undefined where there is none, or nothing to tell by.
 */
export function inputRead(text: string): number | undefined {
  const positions = new Map<string, number>();
  const readers = new Set<string>();
  for (const [, fd = '', what, figure = ''] of text.matchAll(/\/fdinfo\/(\d{1,7}):(pos|flags):\s*(\d{1,18})$/gm)) {
    if (what === 'pos') positions.set(fd, Number(figure));
    else if ((Number.parseInt(figure, 8) & accessMode) === 0) readers.add(fd);
  }
  let size = leastInputBytes - 1;
  let read: number | undefined;
  for (const [, fd = '', figure] of text.matchAll(/\/fd\/(\d{1,7}) regular file (\d{1,18})$/gm)) {
    const position = readers.has(fd) ? positions.get(fd) : undefined;
    if (position === undefined || Number(figure) <= size) continue;
    size = Number(figure);
    read = Math.min(1, position / size);
  }
  return read;
}

/** Of one vCPU: a program below that is no work. */
const leastShare = 0.1;
