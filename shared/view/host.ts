import { formatAddress } from '../address.ts';
import type { Host } from '../model/host.ts';
import type { Status } from '../rpc.ts';
import type { VisitInfo } from '../wire.ts';
import { visitorEndWords } from './away.ts';
import type { Figure } from './timeline.ts';
import { count, formatBytes, formatDuration, formatRate, formatSince } from './units.ts';

interface HostView {
  readonly name: string;
  /** "ready", "not paired", "out of reach", or why it cannot be used. */
  readonly state: string;
  /** "8 cores, 6.5 free, 12 GiB of 16 GiB free"; absent before it has told. */
  readonly capacity: string | undefined;
  /** "10.0.0.2:7000"; the first of several. */
  readonly address: string | undefined;
  /** "1.2 ms away". */
  readonly distance: string | undefined;
  /** How it became known. */
  readonly found: string;
}

export function hostView(host: Host): HostView {
  const [address] = host.addresses;
  return {
    name: host.name,
    state: hostState(host),
    capacity: capacity(host),
    address: address === undefined ? undefined : formatAddress(address),
    distance: host.roundTripMs === undefined ? undefined : `${formatDistance(host.roundTripMs)} away`,
    found: { mdns: 'found nearby', manual: 'added by address', remembered: 'remembered' }[host.found],
  };
}

/** The host in one line: "tower: ready, 8 cores, 6.5 free, 12 GiB of 16 GiB free, 1.2 ms away". */
export function hostLine(host: Host): string {
  const view = hostView(host);
  return [`${view.name}: ${view.state}`, view.capacity, view.distance].filter((part) => part !== undefined).join(', ');
}

/** What a host can do and does now, in figures. */
export function hostFigures({ facts, benchmark, traffic }: Host): Figure[] {
  const figures: (readonly [label: string, value: string | undefined])[] = [];
  if (facts !== undefined) {
    figures.push(
      ['Processor', facts.cpuModel],
      ['Cores', `${facts.cores}, ${facts.busyCores.toFixed(1)} busy`],
      ['Memory', `${formatBytes(facts.freeMemoryBytes)} of ${formatBytes(facts.memoryBytes)} free`],
      ['Runs VMs with', facts.accels.includes('kvm') ? 'KVM' : 'emulation'],
      [
        'Post-copy',
        facts.postcopy ? 'possible' : `not possible: ${facts.postcopyObstacle ?? 'the reason is not known'}`,
      ],
    );
  }
  if (traffic !== undefined) {
    figures.push(['Link now', `↑ ${formatRate(traffic.outBytesPerSec)} ↓ ${formatRate(traffic.homeBytesPerSec)}`]);
  }
  if (benchmark !== undefined) {
    figures.push(
      ['One core', ifKnown(benchmark.cpuSingleOpsPerSec, formatSteps)],
      ['All cores', ifKnown(benchmark.cpuMultiOpsPerSec, formatSteps)],
      ['Memory copy', ifKnown(benchmark.memcpyBytesPerSec, formatRate)],
      ['Disk write', ifKnown(benchmark.diskWriteBytesPerSec, formatRate)],
      ['Link there', ifKnown(benchmark.linkOutBytesPerSec, formatRate)],
      ['Link home', ifKnown(benchmark.linkHomeBytesPerSec, formatRate)],
    );
  }
  return figures.flatMap(([label, value]) => (value === undefined ? [] : [{ label, value }]));
}

export function formatSteps(opsPerSec: number): string {
  if (opsPerSec >= 999_500)
    return `${(opsPerSec / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })} million steps/s`;
  return `${Math.round(opsPerSec / 1_000).toLocaleString('en')} thousand steps/s`;
}

function ifKnown(value: number | undefined, words: (value: number) => string): string | undefined {
  return value === undefined ? undefined : words(value);
}

/** As `homeward hosts add` takes it on a laptop that does not find this computer by itself; undefined where no address is known. */
export function reachedAt({ addresses = [] }: Status['host']): string | undefined {
  return addresses.length === 0 ? undefined : addresses.map(formatAddress).join(' and ');
}

/** One visiting VM, seen from the host: "work: running, 1 vCPU, 512 MiB, for 12 min". */
export function visitLine(visit: VisitInfo, nowMs: number): string {
  const state = {
    empty: 'expected',
    incoming: 'arriving',
    running: 'running',
    paused: 'paused',
    gone: 'gone',
  }[visit.state];
  const size = `${count(visit.vcpus, 'vCPU')}, ${formatBytes(visit.memoryBytes)}`;
  return `${visit.vmName}: ${state}, ${size}, for ${formatSince(visit.since, nowMs)}${silenceWords(visit, nowMs)}`;
}

function silenceWords({ silence }: VisitInfo, nowMs: number): string {
  if (silence === undefined) return '';
  const left = formatDuration(Math.max(0, Date.parse(silence.leaseEndsAt) - nowMs));
  return `; its computer has been silent for ${formatSince(silence.since, nowMs)}, and it is kept for another ${left}`;
}

/** One that is not here any more: "12 min ago: work crashed.". */
export function pastVisitLine({ vmName, end }: VisitInfo, nowMs: number): string {
  return end === undefined ? `${vmName} ended.` : `${formatSince(end.at, nowMs)} ago: ${visitorEndWords(vmName, end)}`;
}

function hostState(host: Host): string {
  if (host.obstacle !== undefined) return host.obstacle;
  if (!host.paired) return 'not paired';
  return host.reachable ? 'ready' : 'out of reach';
}

function capacity({ facts }: Host): string | undefined {
  if (facts === undefined) return undefined;
  const free = Math.max(0, facts.cores - facts.busyCores)
    .toFixed(1)
    .replace(/\.0$/, '');
  return `${count(facts.cores, 'core')}, ${free} free, ${formatBytes(facts.freeMemoryBytes)} of ${formatBytes(facts.memoryBytes)} free`;
}

function formatDistance(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : formatDuration(ms);
}
