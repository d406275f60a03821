import type { Move } from '../../../shared/model/move.ts';
import { defaultDeparture } from '../../../shared/model/signal.ts';
import type { HostSettings, Pairing, Peer, Plan, Preferences, Status } from '../../../shared/rpc.ts';
import { host, hostFingerprint, MiB, move, vm, vmUuid } from '../samples.ts';

export { host, hostFingerprint, move, vm, vmUuid };

/** "work", at "tower". */
export const away = vm({
  place: {
    kind: 'away',
    host: hostFingerprint,
    hostName: 'tower',
    visit: 'f'.repeat(32),
    since: '2026-11-25T08:00:00.000Z',
  },
});

export function moving(over: Partial<Move> = {}): Move {
  return move({
    phase: 'copying',
    progress: {
      remainingBytes: 190 * MiB,
      transferredBytes: 322 * MiB,
      totalBytes: 512 * MiB,
      rateBytesPerSec: 22 * MiB,
      dirtyBytesPerSec: MiB,
      iteration: 1,
      postcopyRequests: 0,
      timeLeftMs: 8_600,
    },
    ...over,
  });
}

export function ended(over: Partial<Move> = {}): Move {
  return move({
    phase: 'done',
    endedAt: '2026-11-20T10:00:05.300Z',
    cancellable: false,
    totalMs: 5_300,
    downtimeMs: 120,
    wireBytes: 482 * MiB,
    ...over,
  });
}

export function plan(over: Partial<Plan> = {}): Plan {
  return {
    vm: vmUuid,
    vmName: 'work',
    direction: 'out',
    host: hostFingerprint,
    hostName: 'tower',
    possible: true,
    obstacles: [],
    warnings: [],
    expectedBytes: 512 * MiB,
    expectedMs: 23_000,
    postcopy: true,
    ...over,
  };
}

export function pairing(over: Partial<Pairing> = {}): Pairing {
  return {
    id: 'c'.repeat(32),
    role: 'laptop',
    peerName: 'tower',
    fingerprint: hostFingerprint,
    code: '123456',
    ...over,
  };
}

export const peer: Peer = {
  fingerprint: hostFingerprint,
  name: 'tower',
  pairedAt: '2026-11-19T08:00:00.000Z',
  role: 'host',
};

export const hostSettings: HostSettings = {
  enabled: true,
  port: 7420,
  maxVisitors: 2,
  maxMemoryBytes: 8 * 1024 * MiB,
  maxVcpus: 8,
  leaseHours: 168,
};

export const preferences: Preferences = {
  name: 'eva',
  cooldownS: 120,
  balloon: true,
  notify: { suggestions: true, moves: true, trouble: true, pairing: true },
  departure: defaultDeparture,
  leaving: [],
  closeToTray: true,
};

export function status(over: Partial<Status> = {}): Status {
  return {
    version: '0.1.0',
    pid: 4242,
    name: 'eva',
    fingerprint: 'cd'.repeat(32),
    startedAt: new Date(Date.now() - 125_500).toISOString(),
    vms: [vm()],
    hosts: [host()],
    moves: [],
    suggestions: [],
    decisions: [],
    host: { enabled: false, visitors: [] },
    guard: { state: 'off' },
    preferences,
    ...over,
  };
}
