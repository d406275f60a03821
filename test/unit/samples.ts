import type { Host, HostFacts } from '../../shared/model/host.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import type { Decision } from '../../shared/rpc.ts';
import type { VisitRequest } from '../../shared/wire.ts';

export const MiB = 1024 * 1024;
export const vmUuid = '3c1f3c52-8d1e-4f0e-9d55-0a4c1b2d3e4f';
export const hostFingerprint = 'ab'.repeat(32);

export function facts(over: Partial<HostFacts> = {}): HostFacts {
  return {
    name: 'tower',
    homewardVersion: '0.1.0',
    libvirtVersion: 9_000_000,
    qemuVersion: 7_002_022,
    arch: 'x86_64',
    cpuModel: 'Intel Example',
    cpuMhz: 3_000,
    cores: 4,
    busyCores: 0,
    memoryBytes: 16 * 1024 * MiB,
    freeMemoryBytes: 12 * 1024 * MiB,
    accels: ['kvm', 'tcg'],
    machineTypes: ['pc-q35-7.2'],
    postcopy: true,
    ...over,
  };
}

export function host(over: Partial<Host> = {}): Host {
  return {
    fingerprint: hostFingerprint,
    name: 'tower',
    addresses: [{ address: '10.0.0.2', port: 7420 }],
    found: 'mdns',
    paired: true,
    reachable: true,
    roundTripMs: 1.23,
    ...over,
  };
}

export function vm(over: Partial<Vm> = {}): Vm {
  return {
    uuid: vmUuid,
    name: 'work',
    connection: 'session',
    state: 'running',
    vcpus: 2,
    memoryBytes: 1024 * MiB,
    place: { kind: 'home' },
    level: 'suggest',
    adopted: true,
    obstacles: [],
    ...over,
  };
}

export function move(over: Partial<Move> = {}): Move {
  return {
    id: '0'.repeat(32),
    vm: vmUuid,
    vmName: 'work',
    direction: 'out',
    host: hostFingerprint,
    hostName: 'tower',
    phase: 'planned',
    startedAt: '2026-11-20T10:00:00.000Z',
    reason: 'you asked',
    askedBy: 'user',
    cancellable: true,
    mode: 'precopy',
    phases: [],
    ...over,
  };
}

export function decision(over: Partial<Decision> = {}): Decision {
  return {
    at: '2026-11-20T10:00:00.000Z',
    vm: vmUuid,
    vmName: 'work',
    policy: 'muda',
    action: 'offload',
    reason: 'CPU-bound for 20 s',
    outcome: 'acted',
    ...over,
  };
}

export function visitRequest(over: Partial<VisitRequest> = {}): VisitRequest {
  return {
    visit: 'a'.repeat(32),
    vm: '00000000-0000-4000-8000-000000000001',
    vmName: 'work',
    vcpus: 1,
    memoryBytes: 1024 * MiB,
    accel: 'tcg',
    migrationFolder: '/tmp/homeward-0123456789abcdef',
    disks: ['vda'],
    nics: 1,
    ...over,
  };
}
