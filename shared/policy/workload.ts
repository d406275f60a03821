/** What a VM has been doing, without looking inside (Muda §6.3.2 and §6.4, condition 2). */
import type { Sample } from '../model/vm.ts';
import type { Workload } from './types.ts';

/** One process (seen from outside: the busiest vCPU) that takes this share of a CPU is using it. */
const busyVcpuFrom = 0.7;
/** A guest that waits for its disk this share of the time is using it. */
const diskWaitFrom = 0.1;
/**
 * Below this the busiest vCPU does nothing but housekeeping, which under emulation, or on a slow core, may take a fifth
 * of it; and home has as much to spare.
 */
const idleVcpuBelow = 0.25;
/** Use, or idleness, shorter than this is not a trend. */
export const spellFromMs = 20_000;

/** Three samples missing or out of line are measuring errors, the fourth ends a spell (Muda §6.4). */
const errorsIgnored = 3;
const longestGapMs = (errorsIgnored + 1) * 1_000 + 500;

/** CPU use and disk wait this close are a tie. */
const tie = 0.1;

/**
 * Share of time spent waiting for disks, 0..1: the guest's own iowait, or else the time with a request in
 * flight as far as the vCPUs had nothing else to do (a guest that computes meanwhile is not waiting).
 */
export function diskWait(sample: Sample): number {
  if (sample.guestIowait !== undefined) return sample.guestIowait;
  const idle = Math.max(0, 1 - (sample.busyVcpus + sample.waitingVcpus) / sample.vcpus);
  return Math.min(sample.diskBusy, idle);
}

/** How much of the busiest vCPU was wanted: run, or runnable while something else ran on its core. */
function busiestDemand(sample: Sample): number {
  return Math.min(1, sample.busiestVcpu + sample.waitingVcpus / sample.vcpus);
}

export function isUsed(sample: Sample): boolean {
  return busiestDemand(sample) >= busyVcpuFrom || diskWait(sample) >= diskWaitFrom;
}

export function isIdle(sample: Sample): boolean {
  return busiestDemand(sample) < idleVcpuBelow && diskWait(sample) < diskWaitFrom;
}

export interface Spell {
  readonly lengthMs: number;
  readonly samples: readonly Sample[];
}

/**
 * The stretch of time up to `now` in which `holds` was true, from its first to its last such sample. Up to three
 * contrary samples in a row, or a hole of as many seconds, do not end it, and never lengthen it at its ends.
 */
export function spell(samples: readonly Sample[], now: number, holds: (sample: Sample) => boolean): Spell {
  const inside: Sample[] = [];
  let contrary = 0;
  let later = now;
  for (let index = samples.length - 1; index >= 0; index -= 1) {
    const sample = samples[index];
    if (sample === undefined || later - sample.at > longestGapMs) break;
    later = sample.at;
    if (holds(sample)) {
      contrary = 0;
      inside.push(sample);
    } else {
      contrary += 1;
      if (contrary > errorsIgnored) break;
    }
  }
  inside.reverse();
  const first = inside[0];
  const last = inside.at(-1);
  return { lengthMs: first && last ? last.at - first.at : 0, samples: inside };
}

/** Which resource dominates these samples; means, so that a single odd second does not decide. */
export function classify(samples: readonly Sample[]): Workload {
  if (samples.length === 0) return 'idle';
  const { cpuShare, diskShare } = shares(samples);
  const usesCpu = cpuShare >= busyVcpuFrom;
  const usesDisk = diskShare >= diskWaitFrom;
  if (!usesCpu && !usesDisk) return cpuShare >= idleVcpuBelow ? 'mixed' : 'idle';
  if (Math.abs(cpuShare - diskShare) < tie) return 'mixed';
  return cpuShare > diskShare ? 'cpu-bound' : 'io-bound';
}

/** Mean demand for the busiest vCPU and mean disk wait, each 0..1. */
export function shares(samples: readonly Sample[]): { cpuShare: number; diskShare: number } {
  return { cpuShare: mean(samples, busiestDemand), diskShare: mean(samples, diskWait) };
}

export function mean(samples: readonly Sample[], figure: (sample: Sample) => number): number {
  if (samples.length === 0) return 0;
  return samples.reduce((sum, sample) => sum + figure(sample), 0) / samples.length;
}
