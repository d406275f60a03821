import type { Host } from '../model/host.ts';
import type { VisitInfo } from '../wire.ts';
import { count, formatBytes, formatDuration, formatSince } from './units.ts';

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
    address: address === undefined ? undefined : formatAddress(address.address, address.port),
    distance: host.roundTripMs === undefined ? undefined : `${formatDistance(host.roundTripMs)} away`,
    found: { mdns: 'found nearby', manual: 'added by address', remembered: 'remembered' }[host.found],
  };
}

/** The host in one line: "tower: ready, 8 cores, 6.5 free, 12 GiB of 16 GiB free, 1.2 ms away". */
export function hostLine(host: Host): string {
  const view = hostView(host);
  return [`${view.name}: ${view.state}`, view.capacity, view.distance].filter((part) => part !== undefined).join(', ');
}

/** IPv6 in brackets, as one types it. */
function formatAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
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
  return `${visit.vmName}: ${state}, ${size}, for ${formatSince(visit.since, nowMs)}`;
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
