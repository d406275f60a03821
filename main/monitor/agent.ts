/** What the QEMU guest agent of one VM adds, where there is one: its own load average and its disk wait. */
import { z } from 'zod';
import type { Sample } from '../../shared/model/vm.ts';
import type { Clock } from './clock.ts';

/** Figures for a sample; empty where the agent said nothing lately. */
export type GuestFigures = Pick<Sample, 'guestLoad1' | 'guestIowait'>;

/** As often as the kernel renews its load average. */
const everyMs = 5_000;
/** Asked again only then, once it did not answer: each silent question holds the connection up for a second. */
const afterSilenceMs = 300_000;
const freshForMs = 3 * everyMs;

/** guest-get-load (agent 10.0 and newer). More would be a broken guest or a lie. */
const Load = z.object({ load1m: z.number().min(0).max(100_000) });

/** guest-get-cpustats (agent 7.1 and newer), Linux guests: milliseconds since boot, per vCPU. */
const ms = z.number().min(0);
const CpuStats = z
  .array(z.object({ user: ms, system: ms, idle: ms, iowait: ms.optional(), nice: ms.optional(), irq: ms.optional() }))
  .min(1)
  .max(4_096);

interface CpuTimes {
  readonly iowaitMs: number;
  readonly totalMs: number;
}

/** One agent command, rejected within a second or two where nobody answers. */
export type AskAgent = (command: { readonly execute: string }) => Promise<unknown>;

export class Agent {
  readonly #ask: AskAgent;
  readonly #clock: Clock;
  /** Commands this agent does not know, or answers with nonsense. */
  readonly #useless = new Set<string>();
  #figures: GuestFigures = {};
  #figuresMs = Number.NEGATIVE_INFINITY;
  #notBeforeMs = 0;
  #times: CpuTimes | undefined;
  #isBusy = false;

  constructor(ask: AskAgent, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  get figures(): GuestFigures {
    return this.#clock.monotonicMs() - this.#figuresMs <= freshForMs ? this.#figures : {};
  }

  /** Asks if it is time to; never throws. */
  async tick(): Promise<void> {
    if (this.#isBusy || this.#clock.monotonicMs() < this.#notBeforeMs) return;
    this.#isBusy = true;
    this.#notBeforeMs = this.#clock.monotonicMs() + everyMs;
    const load = await this.#question('guest-get-load', Load);
    const cpus = await this.#question('guest-get-cpustats', CpuStats);
    const iowait = cpus === undefined ? undefined : this.#iowait(cpus);
    this.#figures = {
      ...(load === undefined ? {} : { guestLoad1: load.load1m }),
      ...(iowait === undefined ? {} : { guestIowait: iowait }),
    };
    this.#figuresMs = this.#clock.monotonicMs();
    if (load === undefined && cpus === undefined) {
      this.#notBeforeMs = this.#figuresMs + afterSilenceMs;
      this.#useless.clear();
      this.#times = undefined;
    }
    this.#isBusy = false;
  }

  async #question<T>(execute: string, schema: z.ZodType<T>): Promise<T | undefined> {
    if (this.#useless.has(execute)) return undefined;
    try {
      return schema.parse(await this.#ask({ execute }));
    } catch {
      this.#useless.add(execute);
      return undefined;
    }
  }

  /** Share of all vCPU time since the last answer; nothing for the first, or after a reboot of the guest. */
  #iowait(cpus: z.infer<typeof CpuStats>): number | undefined {
    const sum = (figure: (cpu: z.infer<typeof CpuStats>[number]) => number): number =>
      cpus.reduce((total, cpu) => total + figure(cpu), 0);
    const iowaitMs = sum(({ iowait = 0 }) => iowait);
    const totalMs = iowaitMs + sum(({ user, system, idle, nice = 0, irq = 0 }) => user + system + idle + nice + irq);
    const before = this.#times;
    this.#times = { iowaitMs, totalMs };
    if (before === undefined || totalMs <= before.totalMs || iowaitMs < before.iowaitMs) return undefined;
    return Math.min(1, (iowaitMs - before.iowaitMs) / (totalMs - before.totalMs));
  }
}
