/**
 * What the QEMU guest agent of one VM adds, where there is one: its load average, its disk wait, its busiest program and how far
 * that has read its input.
 */
import type { z } from 'zod';
import type { Sample } from '../../shared/model/vm.ts';
import { LibvirtError, libvirtErrorCode } from '../libvirt/index.ts';
import {
  busiestProgram,
  CpuFile,
  CpuStats,
  type CpuTimes,
  ExecStatus,
  FileContent,
  FileHandle,
  inputRead,
  Load,
  LoadFile,
  mostOutputBytes,
  ProcessId,
  type ProcessTime,
  type Program,
  readProcesses,
} from './agent-answers.ts';
import type { Clock } from './clock.ts';

/** Figures for a sample; empty where the agent said nothing lately. */
export type GuestFigures = Pick<Sample, 'guestLoad1' | 'guestIowait' | 'guestProgram' | 'guestProgress'>;

/** `silent`: nobody answers. `nonsense`: what it answers cannot be. `refuses`: it obeys no command that would tell something. */
export type AgentTrouble = 'silent' | 'nonsense' | 'refuses';

/** Each look starts a process in the guest and costs some ten milliseconds of CPU there. */
const everyMs = 10_000;
const longestPauseMs = 300_000;
const freshForMs = 3 * everyMs;
const execPatienceMs = 2_000;
const execLookMs = 250;

/** Parts the list of processes from what one of them has open: no line of /proc/PID/stat is like it. */
const parting = '=== inputs';
const mostInputBytes = 16 * 1024;

/** Without ps(1), which a small guest may lack. `pid`: whose open files are wanted too. */
function processList(pid: string | undefined): AgentCommand['arguments'] {
  const list = `cat /proc/[0-9]*/stat 2>/dev/null | head -c ${mostOutputBytes - 2 * mostInputBytes}`;
  const inputs = `{ grep -HE '^(pos|flags):' /proc/$1/fdinfo/*; stat -Lc '%n %F %s' /proc/$1/fd/*; } 2>/dev/null | head -c ${mostInputBytes}`;
  const arg = pid === undefined ? ['-c', list] : ['-c', `${list}; echo; echo '${parting}'; ${inputs}`, 'sh', pid];
  return { path: '/bin/sh', arg, 'capture-output': true };
}

export interface AgentCommand {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** One agent command, rejected within seconds where nobody answers. */
export type AskAgent = (command: AgentCommand) => Promise<unknown>;

interface Processes {
  readonly atMs: number;
  readonly times: ReadonlyMap<string, ProcessTime>;
  readonly busiest: Program | undefined;
}

export class Agent {
  readonly #ask: AskAgent;
  readonly #clock: Clock;
  readonly #sleep: (ms: number) => Promise<unknown>;
  /** Commands this agent does not know or may not do. */
  readonly #refused = new Set<string>();
  #figures: GuestFigures = {};
  #figuresMs = Number.NEGATIVE_INFINITY;
  #notBeforeMs = 0;
  #pauseMs = everyMs;
  #times: CpuTimes | undefined;
  #processes: Processes | undefined;
  #trouble: AgentTrouble | undefined;
  #isBusy = false;

  constructor(ask: AskAgent, clock: Clock, sleep: (ms: number) => Promise<unknown>) {
    this.#ask = ask;
    this.#clock = clock;
    this.#sleep = sleep;
  }

  get figures(): GuestFigures {
    return this.#clock.monotonicMs() - this.#figuresMs <= freshForMs ? this.#figures : {};
  }

  /** What was amiss at the last look. */
  get trouble(): AgentTrouble | undefined {
    return this.#trouble;
  }

  /** Asks if it is time to; never throws. */
  async tick(): Promise<void> {
    if (this.#isBusy || this.#clock.monotonicMs() < this.#notBeforeMs) return;
    this.#isBusy = true;
    try {
      this.#figures = await this.#look();
      this.#figuresMs = this.#clock.monotonicMs();
      this.#trouble = undefined;
      this.#pauseMs = everyMs;
    } catch (thrown) {
      // Another agent may answer next time: the guest was rebooted, or its agent updated.
      this.#refused.clear();
      this.#figures = {};
      this.#times = undefined;
      this.#processes = undefined;
      this.#trouble = troubleOf(thrown);
      this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs * 2);
    } finally {
      this.#notBeforeMs = this.#clock.monotonicMs() + this.#pauseMs;
      this.#isBusy = false;
    }
  }

  /** @throws Nonsense, or what the question failed with */
  async #look(): Promise<GuestFigures> {
    const load = (await this.#question('guest-get-load', Load)) ?? (await this.#file('/proc/loadavg', LoadFile));
    const cpus = (await this.#question('guest-get-cpustats', CpuStats)) ?? (await this.#file('/proc/stat', CpuFile));
    const iowait = cpus === undefined ? undefined : this.#iowait(cpus);
    const program = await this.#program();
    if (load === undefined && cpus === undefined && this.#refused.has('guest-exec')) throw new Refused();
    return {
      ...(load === undefined ? {} : { guestLoad1: load.load1m }),
      ...(iowait === undefined ? {} : { guestIowait: iowait }),
      ...program,
    };
  }

  /** Undefined where this agent does not know the command, or was told not to obey it. */
  async #question<T>(execute: string, schema: z.ZodType<T>, args?: AgentCommand['arguments']): Promise<T | undefined> {
    if (this.#refused.has(execute)) return undefined;
    const answer = await this.#ask({ execute, ...(args === undefined ? {} : { arguments: args }) }).catch(
      (thrown: unknown) => {
        if (!isRefusal(thrown)) throw thrown;
        this.#refused.add(execute);
        return refused;
      },
    );
    if (answer === refused) return undefined;
    const read = schema.safeParse(answer);
    if (!read.success) throw new Nonsense(execute);
    return read.data;
  }

  async #file<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const handle = await this.#question('guest-file-open', FileHandle, { path, mode: 'r' });
    if (handle === undefined) return undefined;
    let text: string | undefined;
    try {
      text = await this.#question('guest-file-read', FileContent, { handle, count: 4_096 });
    } finally {
      await this.#ask({ execute: 'guest-file-close', arguments: { handle } });
    }
    if (text === undefined) return undefined;
    const read = schema.safeParse(text);
    if (!read.success) throw new Nonsense(path);
    return read.data;
  }

  async #program(): Promise<Pick<GuestFigures, 'guestProgram' | 'guestProgress'> | undefined> {
    // What it starts and will not tell of would only be work for the guest.
    if (this.#refused.has('guest-exec-status')) return undefined;
    const started = await this.#question('guest-exec', ProcessId, processList(this.#processes?.busiest?.pid));
    if (started === undefined) return undefined;
    for (let waitedMs = 0; waitedMs < execPatienceMs; waitedMs += execLookMs) {
      await this.#sleep(execLookMs);
      const status = await this.#question('guest-exec-status', ExecStatus, { pid: started.pid });
      if (status === undefined) return undefined;
      if (status.exited) return this.#busiest(status['out-data'] ?? '');
    }
    return undefined;
  }

  /** What is open is told of the process that was busiest at the look before, and counts only while it still is. */
  #busiest(text: string): Pick<GuestFigures, 'guestProgram' | 'guestProgress'> | undefined {
    const before = this.#processes;
    const [list = '', inputs = ''] = text.split(`${parting}\n`, 2);
    const atMs = this.#clock.monotonicMs();
    const times = readProcesses(list);
    const busiest = before && busiestProgram(before.times, times, (atMs - before.atMs) / 1_000);
    this.#processes = { atMs, times, busiest };
    if (busiest === undefined) return undefined;
    const progress = busiest.pid === before?.busiest?.pid ? inputRead(inputs) : undefined;
    return { guestProgram: busiest.name, ...(progress === undefined ? {} : { guestProgress: progress }) };
  }

  /** Share of all vCPU time since the last answer; nothing for the first, or after a reboot of the guest. */
  #iowait(times: CpuTimes): number | undefined {
    const before = this.#times;
    this.#times = times;
    if (before === undefined || times.totalMs <= before.totalMs || times.iowaitMs < before.iowaitMs) return undefined;
    return Math.min(1, (times.iowaitMs - before.iowaitMs) / (times.totalMs - before.totalMs));
  }
}

const refused = Symbol('refused');

/** An answer that is none. */
class Nonsense extends Error {}

/** Every command was. */
class Refused extends Error {}

function troubleOf(thrown: unknown): AgentTrouble {
  if (thrown instanceof Refused) return 'refuses';
  const isTooLong = thrown instanceof LibvirtError && thrown.kind === 'libvirt' && thrown.code === libvirtErrorCode.RPC;
  return thrown instanceof Nonsense || thrown instanceof SyntaxError || isTooLong ? 'nonsense' : 'silent';
}

/** The agent answered, and said no. libvirt tells its words as an internal error. */
function isRefusal(thrown: unknown): boolean {
  return (
    thrown instanceof LibvirtError &&
    thrown.kind === 'libvirt' &&
    (thrown.code === libvirtErrorCode.INTERNAL_ERROR || thrown.code === libvirtErrorCode.OPERATION_FAILED)
  );
}
