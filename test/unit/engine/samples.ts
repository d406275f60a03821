import type { Move } from '../../../shared/model/move.ts';
import type { Decision } from '../../../shared/rpc.ts';

export const vmUuid = '3c1f3c52-8d1e-4f0e-9d55-0a4c1b2d3e4f';
export const hostFingerprint = 'ab'.repeat(32);

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
