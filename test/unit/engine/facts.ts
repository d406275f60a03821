import type { Host, HostFacts } from '../../../shared/model/host.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { hostFingerprint, vmUuid } from './samples.ts';

export function facts(over: Partial<HostFacts> = {}): HostFacts {
  return {
    name: 'lap',
    homewardVersion: '0.1.0',
    libvirtVersion: 9_000_000,
    qemuVersion: 7_002_000,
    arch: 'x86_64',
    cpuModel: 'Intel Example',
    cpuMhz: 2_400,
    cores: 4,
    busyCores: 0,
    memoryBytes: 8 * 1024 ** 3,
    freeMemoryBytes: 6 * 1024 ** 3,
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
    addresses: [{ address: '192.0.2.1', port: 4_000 }],
    found: 'mdns',
    paired: true,
    reachable: true,
    facts: facts({ name: 'tower' }),
    ...over,
  };
}

export function vm(over: Partial<Vm> = {}): Vm {
  return {
    uuid: vmUuid,
    name: 'work',
    connection: 'session',
    state: 'running',
    vcpus: 1,
    memoryBytes: 1024 ** 3,
    place: { kind: 'home' },
    level: 'off',
    adopted: true,
    obstacles: [],
    ...over,
  };
}
