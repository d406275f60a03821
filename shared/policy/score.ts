/**
 * Scoring home and hosts (Muda §6.5).
 *
 * The thesis compares what each machine has to spare: CPU clock × (1 − utilisation). Home's utilisation
 * includes the VM itself: a laptop whose VM takes its cores has little to spare for the person in front of it,
 * and relieving it is worth a move even between equal machines. Taken alone that would make any idle host
 * look better than home, however slow, because of the VM's own load. So a second comparison guards it, with the
 * VM's own load taken out of home's: on the host the VM must not run slower than it does now.
 *
 * For an I/O-bound VM the score is the disk's speed. The disk stays at home, so a host has home's disk seen
 * through the link: never better than home.
 */
import type { HostFacts } from '../model/host.ts';
import { assumedLinkBytesPerSec, estimateMove } from './estimate.ts';
import type { HomeLoad, HostCandidate, PolicyVm, Workload } from './types.ts';
import { decimal, gibibytes, megabytesPerSec, percent } from './words.ts';

/** "Close to the idle state" is enough of a core for a vCPU (Muda §6.5.1): housekeeping takes a little everywhere. */
const freeCorePerVcpu = 0.75;
/** Nominal clocks and loads are rough; a difference this small is none. */
const slowdownIgnored = 0.1;

export interface Demand {
  readonly workload: Workload;
  /** Mean demand for the busiest vCPU and mean disk wait, 0..1. */
  readonly cpuShare: number;
  readonly diskShare: number;
  /** Cores the VM itself keeps busy at home. */
  readonly ownBusyCores: number;
}

export interface RatedHost {
  readonly host: HostCandidate;
  /** Why it is out of the question, to be read after its name; absent when it would do. */
  readonly refusal?: string;
  /** Higher is better: spare MHz, or disk bytes/s for an I/O-bound VM. */
  readonly score: number;
  readonly linkBytesPerSec: number;
  readonly linkMeasured: boolean;
  /** 2·T_M + T_S over this host's link. */
  readonly costS: number;
}

/** How each host would serve the VM, best first; refused ones last. */
export function rateHosts(
  hosts: readonly HostCandidate[],
  vm: PolicyVm,
  home: HomeLoad,
  demand: Demand,
  hysteresis: number,
): RatedHost[] {
  return hosts
    .map((host) => rate(host, vm, home, demand, hysteresis))
    .sort(
      (a, b) =>
        Number(a.refusal !== undefined) - Number(b.refusal !== undefined) ||
        b.score - a.score ||
        b.linkBytesPerSec - a.linkBytesPerSec ||
        (a.host.fingerprint < b.host.fingerprint ? -1 : 1),
    );
}

function rate(host: HostCandidate, vm: PolicyVm, home: HomeLoad, demand: Demand, hysteresis: number): RatedHost {
  const measured = host.linkBytesPerSec ?? host.benchmark?.linkOutBytesPerSec;
  const linkBytesPerSec = measured ?? assumedLinkBytesPerSec;
  const rated = {
    host,
    score: 0,
    linkBytesPerSec,
    linkMeasured: measured !== undefined,
    costS: estimateMove({ ...vm, linkBytesPerSec }).totalS,
  };
  const disqualification = disqualify(host, vm);
  if (disqualification !== undefined || host.facts === undefined) {
    return { ...rated, refusal: disqualification ?? 'has not described itself yet' };
  }
  if (demand.workload === 'io-bound') return { ...rated, ...rateDisk(home, linkBytesPerSec) };
  const clock = comparableMhz(host.facts, home.facts);
  const score = clock.there * spareShare(host.facts);
  const refusal = inferiority(host.facts, score, vm, home, demand, hysteresis);
  return refusal === undefined ? { ...rated, score } : { ...rated, score, refusal };
}

/** Home's disk through the link: as fast as the slower of the two. */
function rateDisk(home: HomeLoad, linkBytesPerSec: number): { score: number; refusal: string } {
  const here = home.benchmark?.diskWriteBytesPerSec ?? Number.POSITIVE_INFINITY;
  const score = Math.min(here, linkBytesPerSec);
  const figures = Number.isFinite(here) ? ` at ${megabytesPerSec(score)} against ${megabytesPerSec(here)} here` : '';
  return { score, refusal: `would reach the VM's disk, which stays at home, through the link${figures}` };
}

/** What rules a host out whatever it scores. */
export function disqualify(host: HostCandidate, vm: PolicyVm): string | undefined {
  if (!host.paired) return 'is not paired with this computer';
  if (!host.reachable) return 'cannot be reached';
  if (host.obstacle !== undefined) return `cannot take it: ${host.obstacle}`;
  if (host.heldBack !== undefined) return host.heldBack;
  if (host.facts === undefined) return undefined;
  if (!hasRoom(host.facts, vm.vcpus)) {
    return `has ${decimal(freeCores(host.facts))} of ${host.facts.cores} cores free, fewer than the VM's ${vm.vcpus}`;
  }
  if (host.facts.freeMemoryBytes < vm.memoryBytes) {
    return `has ${gibibytes(host.facts.freeMemoryBytes)} of memory free, less than the VM's ${gibibytes(vm.memoryBytes)}`;
  }
  return undefined;
}

function inferiority(
  there: HostFacts,
  score: number,
  vm: PolicyVm,
  home: HomeLoad,
  demand: Demand,
  hysteresis: number,
): string | undefined {
  const clock = comparableMhz(there, home.facts);
  const others = Math.max(0, home.facts.busyCores - demand.ownBusyCores);
  const speedHere = clock.here * Math.min(1, Math.max(0, home.facts.cores - others) / vm.vcpus);
  const speedThere = clock.there * Math.min(1, freeCores(there) / vm.vcpus);
  if (speedThere < speedHere * (1 - slowdownIgnored)) {
    return `would run it at ${percent(speedThere / speedHere)} of its present speed`;
  }
  const here = clock.here * spareShare(home.facts);
  // A tie between CPU use and disk wait: only a change in capability greater than their difference is worth it (§6.3.2).
  const margin =
    demand.workload === 'mixed' ? Math.max(hysteresis, Math.abs(demand.cpuShare - demand.diskShare)) : hysteresis;
  if (score <= here * (1 + margin)) {
    return `has little more to spare than this computer (${Math.round(score)} MHz against ${Math.round(here)} MHz)`;
  }
  return undefined;
}

export function hasRoom(facts: HostFacts, vcpus: number): boolean {
  return freeCores(facts) >= freeCorePerVcpu * vcpus;
}

export function freeCores(facts: HostFacts): number {
  return Math.max(0, facts.cores - facts.busyCores);
}

/** 1 − CPU utilisation. */
function spareShare(facts: HostFacts): number {
  return freeCores(facts) / facts.cores;
}

/** Some machines do not tell their clock; then neither counts. */
function comparableMhz(there: HostFacts, here: HostFacts): { there: number; here: number } {
  return there.cpuMhz > 0 && here.cpuMhz > 0
    ? { there: there.cpuMhz, here: here.cpuMhz }
    : { there: 1_000, here: 1_000 };
}
