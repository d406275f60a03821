import type { HostFacts } from '../../../shared/model/host.ts';
import type { Sample } from '../../../shared/model/vm.ts';
import {
  defaultPolicySettings,
  type HostCandidate,
  type PolicyInput,
  type PolicyVm,
} from '../../../shared/policy/index.ts';
import { facts as anyFacts } from '../samples.ts';

/** A whole multiple of 5 s, so that the last tick of the load average ends now. */
export const now = 1_700_000_000_000;
export const gib = 1024 ** 3;
const bigFingerprint = 'b'.repeat(64);

export function sample(at: number, over: Partial<Sample> = {}): Sample {
  return {
    at,
    vcpus: 1,
    busyVcpus: 0,
    waitingVcpus: 0,
    busiestVcpu: 0,
    diskBytesPerSec: 0,
    diskRequestsPerSec: 0,
    diskBusy: 0,
    netBytesPerSec: 0,
    memoryBytes: gib,
    usedMemoryBytes: gib / 2,
    ...over,
  };
}

export const busy: Partial<Sample> = { busyVcpus: 1, busiestVcpu: 1 };
export const idle: Partial<Sample> = { busyVcpus: 0.02, busiestVcpu: 0.02 };
export const diskBound: Partial<Sample> = { busyVcpus: 0.1, busiestVcpu: 0.1, diskBusy: 0.9 };

/** One sample a second up to now: stretches of [seconds, what]. */
export function history(...stretches: readonly (readonly [number, Partial<Sample>])[]): Sample[] {
  const total = stretches.reduce((sum, [length]) => sum + length, 0);
  let at = now - total * 1_000;
  return stretches.flatMap(([length, what]) =>
    Array.from({ length }, () => {
      at += 1_000;
      return sample(at, what);
    }),
  );
}

export function facts(over: Partial<HostFacts> = {}): HostFacts {
  return anyFacts({ name: 'machine', accels: ['tcg'], busyCores: 0.1, ...over });
}

export function host(over: Partial<HostCandidate> = {}): HostCandidate {
  return {
    fingerprint: bigFingerprint,
    name: 'big',
    reachable: true,
    paired: true,
    facts: facts({ name: 'big' }),
    linkBytesPerSec: 100_000_000,
    ...over,
  };
}

export function vm(over: Partial<PolicyVm> = {}): PolicyVm {
  return {
    uuid: '11111111-2222-3333-4444-555555555555',
    name: 'work',
    vcpus: 1,
    memoryBytes: gib,
    usedMemoryBytes: gib / 2,
    place: { kind: 'home' },
    level: 'automatic',
    adopted: true,
    samples: history([120, busy]),
    movesRecent: 0,
    ...over,
  };
}

export const away = {
  kind: 'away',
  host: bigFingerprint,
  hostName: 'big',
  visit: 'c'.repeat(32),
  since: '2023-11-14T22:00:00.000Z',
} as const;

export function input(over: Partial<PolicyInput> = {}): PolicyInput & { readonly policy: 'muda' } {
  return {
    policy: 'muda',
    now,
    vm: vm(),
    hosts: [host()],
    home: { facts: facts({ name: 'laptop', busyCores: 1.2 }) },
    settings: defaultPolicySettings,
    ...over,
  };
}
