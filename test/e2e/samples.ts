import type { Host } from '../../shared/model/host.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Sample, Vm } from '../../shared/model/vm.ts';
import type { Finding, HostSettings, LogEntry, Peer, Plan, Status } from '../../shared/rpc.ts';
import type { VisitInfo } from '../../shared/wire.ts';
import { preferences, plan as samplePlan, status as sampleStatus } from '../unit/cli/samples.ts';
import { decision, facts, host, hostFingerprint, MiB, move, vm, vmUuid } from '../unit/samples.ts';

export { hostFingerprint, MiB, vmUuid };

const GiB = 1024 * MiB;
export const otherUuid = '7a2b9d10-1c2d-4e3f-8a9b-0c1d2e3f4a5b';
const otherFingerprint = 'cd'.repeat(32);
/** As long as a name may sensibly be, with no place to break it. */
export const longName = `${'customer-acceptance-environment'.repeat(3)}-2026`;

export function sample(second: number, over: Partial<Sample> = {}): Sample {
  const wave = (Math.sin(second / 7) + Math.sin(second / 3)) / 4 + 0.5;
  return {
    at: 1_000_000 + second * 1_000,
    vcpus: 2,
    busyVcpus: 0.5 + 1.4 * wave,
    waitingVcpus: 0.1,
    busiestVcpu: 0.9,
    diskBytesPerSec: 6 * MiB * wave,
    diskRequestsPerSec: 120,
    diskBusy: 0.2,
    netBytesPerSec: 100_000,
    memoryBytes: 4 * GiB,
    usedMemoryBytes: Math.round((2.1 + 0.3 * wave) * GiB),
    dirtyBytesPerSec: 9 * MiB * wave,
    ...over,
  };
}

export function tower(over: Partial<Host> = {}): Host {
  return host({
    facts: facts({
      cores: 16,
      busyCores: 1.5,
      memoryBytes: 64 * GiB,
      freeMemoryBytes: 49 * GiB,
      cpuModel: 'AMD Example 9',
    }),
    ...over,
  });
}

export function shed(over: Partial<Host> = {}): Host {
  return host({
    fingerprint: otherFingerprint,
    name: 'shed',
    addresses: [{ address: '10.0.0.9', port: 7420 }],
    ...over,
  });
}

export function work(over: Partial<Vm> = {}): Vm {
  return vm({ memoryBytes: 4 * GiB, sample: sample(120), ...over });
}

export const suggestion = decision({
  outcome: 'suggested',
  host: hostFingerprint,
  hostName: 'tower',
  reason: 'it has been short of CPU for 25 s, and tower has 14 cores to spare',
  expectedGainS: 190,
  expectedCostS: 24,
});

/** It stays at tower, for a reason with figures. */
export const stayAway = decision({
  policy: 'homeward',
  action: 'stay',
  outcome: 'noted',
  hostName: 'tower',
  reason:
    'work is working at tower (92 % CPU on 2 vCPUs, 3 % waiting for the disk), 2.6 times as fast as it would here',
  calculation: {
    kind: 'cpu-bound',
    program: 'cc1',
    ageS: 95,
    restS: 300,
    runsKnown: 12,
    pace: 2.6,
    moveS: 9,
    moveAtMostS: 14,
    gainS: -380,
    neededS: 4,
    lossChance: 0.97,
  },
});

export function copying(over: Partial<Move> = {}): Move {
  return move({
    phase: 'copying',
    phases: [
      { name: 'planned', ms: 20 },
      { name: 'preparing', ms: 1_240 },
    ],
    reason: 'it has been short of CPU for 25 s',
    progress: {
      remainingBytes: 790 * MiB,
      transferredBytes: 1_290 * MiB,
      totalBytes: 2_080 * MiB,
      rateBytesPerSec: 108 * MiB,
      dirtyBytesPerSec: 9 * MiB,
      iteration: 1,
      postcopyRequests: 0,
      timeLeftMs: 7_400,
    },
    ...over,
  });
}

export function arrived(over: Partial<Move> = {}): Move {
  return copying({
    phase: 'done',
    endedAt: '2026-11-20T10:00:22.000Z',
    cancellable: false,
    phases: [
      { name: 'planned', ms: 20 },
      { name: 'preparing', ms: 1_240 },
      { name: 'copying', ms: 19_100 },
      { name: 'switched', ms: 300 },
      { name: 'settling', ms: 900 },
    ],
    totalMs: 21_560,
    downtimeMs: 82,
    wireBytes: 2_190 * MiB,
    memoryBytes: 2_200 * MiB,
    ...over,
  });
}

export const awayPlace = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit: 'e'.repeat(32),
  since: '2026-11-20T10:00:22.000Z',
} as const;

export const visitor: VisitInfo = {
  visit: 'f'.repeat(32),
  vm: otherUuid,
  vmName: 'mail',
  state: 'running',
  since: '2026-11-20T09:40:00.000Z',
  memoryBytes: 2 * GiB,
  vcpus: 2,
};

export const hostSettings: HostSettings = {
  enabled: true,
  port: 7420,
  maxVisitors: 4,
  maxMemoryBytes: 8 * GiB,
  maxVcpus: 8,
  leaseHours: 168,
};

export const laptopPeer: Peer = {
  fingerprint: '12'.repeat(32),
  name: 'travel',
  pairedAt: '2026-11-12T08:00:00.000Z',
  role: 'laptop',
};

export function plan(over: Partial<Plan> = {}): Plan {
  return samplePlan({ expectedBytes: 2_080 * MiB, expectedMs: 21_000, ...over });
}

export function status(over: Partial<Status> = {}): Status {
  return sampleStatus({
    fingerprint: '34'.repeat(32),
    startedAt: new Date(Date.now() - 3_725_000).toISOString(),
    vms: [work()],
    hosts: [tower()],
    decisions: [decision({ action: 'stay', outcome: 'noted', reason: 'it has enough CPU here' })],
    preferences: { ...preferences, cooldownS: 300 },
    ...over,
  });
}

export const findings: readonly Finding[] = [
  { id: 'libvirt', severity: 'ok', title: 'libvirt answers', detail: 'Session and system, version 9.0.0.' },
  {
    id: 'userfaultfd',
    severity: 'problem',
    title: 'Post-copy is not allowed for you',
    detail: 'The kernel keeps userfaultfd for the administrator, so a busy VM may take long to move',
    remedy: 'allow it, until the next start or for good',
    command: 'sudo sysctl -w vm.unprivileged_userfaultfd=1',
  },
  {
    id: 'kvm',
    severity: 'note',
    title: 'VMs are emulated here',
    detail: 'No kernel boots under KVM on this computer',
    remedy: 'turn virtualization on in the firmware',
  },
];

export const definition = {
  before: `<domain type='kvm'>
  <name>work</name>
  <memory unit='KiB'>4194304</memory>
  <cpu mode='host-passthrough'/>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/home/eva/vms/work.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <memballoon model='virtio'/>
  </devices>
</domain>
`,
  after: `<domain type='kvm'>
  <name>work</name>
  <memory unit='KiB'>4194304</memory>
  <cpu mode='custom' match='exact'>
    <model>Nehalem</model>
  </cpu>
  <devices>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw' error_policy='stop'/>
      <source protocol='nbd' name='home'>
        <host transport='unix' socket='/run/user/1000/homeward/work/vda.sock'/>
      </source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <memballoon model='virtio' autodeflate='on' freePageReporting='on'>
      <stats period='1'/>
    </memballoon>
  </devices>
</domain>
`,
  changes: [
    'disk vda is served by the home storage daemon, so that it can be used from a host',
    'the processor is one that both computers have',
    'the balloon reports how much memory is in use',
  ],
};

/** A log of `count` entries of every kind, newest last. */
export function log(count: number): LogEntry[] {
  return Array.from({ length: count }, (_, at): LogEntry => {
    const when = new Date(Date.parse('2026-11-20T10:00:00.000Z') + at * 61_000).toISOString();
    const id = at.toString(16).padStart(32, '0');
    switch (at % 5) {
      case 0:
        return { kind: 'move', at: when, move: arrived({ id, reason: 'you asked' }) };
      case 1:
        return { kind: 'decision', at: when, decision: { ...suggestion, at: when } };
      case 2:
        return { kind: 'event', at: when, text: `the link to tower is back after ${at % 50} s` };
      case 3:
        return {
          kind: 'move',
          at: when,
          move: arrived({ id, direction: 'home', reason: 'it has been idle for 10 min' }),
        };
      default:
        return {
          kind: 'move',
          at: when,
          move: arrived({
            id,
            vmName: 'build',
            phase: 'failed',
            failure: 'tower has no memory left for it',
            reason: 'you asked',
          }),
        };
    }
  });
}
