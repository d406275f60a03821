/** From libvirt's counters to one second of one VM. Pure: times come in with the readings. */
import type { Sample } from '../../shared/model/vm.ts';
import { usedBytes } from '../../shared/plan/balloon.ts';
import type { BlockStats, DomainStats } from '../libvirt/index.ts';
import type { GuestFigures } from './agent.ts';

/** One look at a running domain's counters. */
export interface Reading {
  /** Epoch milliseconds: goes into the sample. */
  readonly at: number;
  /** A clock that nobody sets: rates are differences of this. */
  readonly monotonicMs: number;
  readonly stats: DomainStats;
  /** From the guest agent, where there is one. */
  readonly guest?: GuestFigures;
  /** As QEMU measured it last, where that was asked for. */
  readonly dirtyBytesPerSec?: number | undefined;
}

/** Closer readings than this make rates of rounding errors (the kernel counts thread time in ticks of 10 ms). */
const leastIntervalMs = 250;
/** Over a longer hole an average would hide what happened in it. */
const longestIntervalMs = 10_000;
/** A balloon driver that has not reported for so long has gone (the guest rebooted, or its driver was unloaded). */
const balloonSilentAfterS = 120;

/**
 * What happened between two readings of the same domain; nothing where they do not belong together: too close or
 * too far apart, or a counter that ran backwards, as after a restart or at another place.
 */
export function sampleBetween(previous: Reading, current: Reading): Sample | undefined {
  const intervalMs = current.monotonicMs - previous.monotonicMs;
  if (!(intervalMs >= leastIntervalMs && intervalMs <= longestIntervalMs)) return undefined;
  const cpu = cpuRates(previous.stats, current.stats, intervalMs * 1e6);
  if (cpu === undefined) return undefined;
  const memoryBytes = current.stats.balloon.currentBytes ?? 0;
  return {
    at: current.at,
    ...cpu,
    ...diskRates(previous.stats.blocks, current.stats.blocks, intervalMs),
    netBytesPerSec: (netBytes(previous.stats, current.stats) * 1_000) / intervalMs,
    memoryBytes,
    usedMemoryBytes: Math.floor(usedMemory(current, memoryBytes)),
    ...(current.dirtyBytesPerSec === undefined ? {} : { dirtyBytesPerSec: current.dirtyBytesPerSec }),
    ...current.guest,
  };
}

type CpuRates = Pick<Sample, 'vcpus' | 'busyVcpus' | 'waitingVcpus' | 'busiestVcpu'>;

function cpuRates(before: DomainStats, after: DomainStats, intervalNs: number): CpuRates | undefined {
  let vcpus = 0;
  let busyVcpus = 0;
  let waitingVcpus = 0;
  let busiestVcpu = 0;
  for (const [index, vcpu] of after.vcpus.entries()) {
    if (vcpu.timeNs === undefined) continue;
    vcpus += 1;
    const earlier = before.vcpus[index];
    // Plugged in since: counted from the next reading on.
    if (earlier?.timeNs === undefined) continue;
    if (vcpu.timeNs < earlier.timeNs) return undefined;
    const busy = share(vcpu.timeNs - earlier.timeNs, intervalNs);
    // Two views of the same wait; which of them a kernel keeps depends on its configuration.
    const waitedNs = Math.max((vcpu.waitNs ?? 0) - (earlier.waitNs ?? 0), (vcpu.delayNs ?? 0) - (earlier.delayNs ?? 0));
    busyVcpus += busy;
    waitingVcpus += Math.min(share(waitedNs, intervalNs), 1 - busy);
    busiestVcpu = Math.max(busiestVcpu, busy);
  }
  return vcpus === 0 ? undefined : { vcpus, busyVcpus, waitingVcpus, busiestVcpu };
}

function diskRates(
  before: readonly BlockStats[],
  after: readonly BlockStats[],
  intervalMs: number,
): Pick<Sample, 'diskBytesPerSec' | 'diskRequestsPerSec' | 'diskBusy'> {
  let bytes = 0;
  let requests = 0;
  let busyNs = 0;
  for (const disk of after) {
    const earlier = before.find(({ name }) => name === disk.name);
    if (earlier === undefined) continue;
    const grown = (...counters: readonly (keyof BlockStats)[]): number =>
      counters.reduce((sum, counter) => sum + growth(earlier[counter], disk[counter]), 0);
    bytes += grown('readBytes', 'writeBytes');
    requests += grown('readRequests', 'writeRequests');
    busyNs += grown('readTimeNs', 'writeTimeNs', 'flushTimeNs');
  }
  return {
    diskBytesPerSec: (bytes * 1_000) / intervalMs,
    diskRequestsPerSec: (requests * 1_000) / intervalMs,
    diskBusy: share(busyNs, intervalMs * 1e6),
  };
}

function netBytes(before: DomainStats, after: DomainStats): number {
  return after.nets.reduce((sum, nic, index) => {
    const earlier = before.nets[index];
    if (earlier === undefined || earlier.name !== nic.name) return sum;
    return sum + growth(earlier.receivedBytes, nic.receivedBytes) + growth(earlier.sentBytes, nic.sentBytes);
  }, 0);
}

/** A counter that ran backwards belongs to another device by now, and says nothing yet. */
function growth(before: string | number | undefined, after: string | number | undefined): number {
  return typeof before === 'number' && typeof after === 'number' ? Math.max(0, after - before) : 0;
}

function usedMemory({ at, stats: { balloon } }: Reading, memoryBytes: number): number {
  const silentS = at / 1_000 - (balloon.lastUpdateS ?? 0);
  if (silentS > balloonSilentAfterS) return memoryBytes;
  return usedBytes({ ...balloon, currentBytes: memoryBytes });
}

function share(part: number, whole: number): number {
  return Math.min(1, Math.max(0, part / whole));
}
