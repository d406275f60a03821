/** How simulated machines describe themselves. */
import type { HostFacts } from '../../shared/model/host.ts';

export function factsOf(name: string, cores: number, busyCores: number, cpuMhz: number): HostFacts {
  return {
    name,
    homewardVersion: '0.1.0',
    libvirtVersion: 9_000_000,
    qemuVersion: 7_002_022,
    arch: 'x86_64',
    cpuModel: 'simulated',
    cpuMhz,
    cores,
    busyCores: Math.min(cores, Math.max(0, busyCores)),
    memoryBytes: 64e9,
    freeMemoryBytes: 48e9,
    accels: ['kvm'],
    machineTypes: [],
    postcopy: true,
  };
}

export const benchmark = {
  memcpyBytesPerSec: 5e9,
  diskWriteBytesPerSec: 5e8,
  takenAt: '2026-11-20T10:00:00.000Z',
};

const fingerprints = ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)];
export function fingerprintOf(host: number): string {
  return fingerprints[host] ?? '';
}
