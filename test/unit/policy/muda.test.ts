import { describe, expect, it } from 'vitest';
import { type Decision, decide, type PolicyInput } from '../../../shared/policy/index.ts';
import { away, busy, diskBound, facts, gib, history, host, idle, input, now, vm } from './fixtures.ts';

interface Case {
  readonly says: string;
  readonly given: Partial<PolicyInput>;
  readonly action: Decision['action'];
  readonly because: RegExp;
}

const atHome: readonly Case[] = [
  {
    says: 'a VM that has saturated its vCPU for two minutes goes to an idle workstation of the same clock',
    given: {},
    action: 'offload',
    because:
      /work has been short of CPU for 2 min \(load 0\.8\d on 1 vCPU.*big has 3\.9 of 4 cores free at 3 GHz against 2\.8 of 4/,
  },
  {
    says: 'it goes too where half of its demand has to wait for a core at home',
    given: { vm: vm({ samples: history([120, { busyVcpus: 0.5, busiestVcpu: 0.5, waitingVcpus: 0.5 }]) }) },
    action: 'offload',
    because: /short of CPU/,
  },
  {
    says: 'a load at a third of its vCPU stays',
    given: { vm: vm({ samples: history([200, { busyVcpus: 0.33, busiestVcpu: 0.33 }]) }) },
    action: 'stay',
    because: /has enough CPU here \(load 0\.3\d on 1 vCPU; loaded from 0\.75 on\)/,
  },
  {
    says: 'one busy vCPU of four stays',
    given: { vm: vm({ vcpus: 4, samples: history([200, { ...busy, vcpus: 4 }]) }) },
    action: 'stay',
    because: /enough CPU/,
  },
  {
    says: 'a spike of 19 s stays although the load was high before',
    given: { vm: vm({ samples: history([200, { busyVcpus: 1, busiestVcpu: 0.6 }], [19, busy]) }) },
    action: 'stay',
    because: /only 18 s in a row/,
  },
  {
    says: 'a load that has fallen for four entries stays',
    given: {
      vm: vm({
        vcpus: 2,
        samples: history(
          [200, { vcpus: 2, busyVcpus: 2, busiestVcpu: 1 }],
          [20, { vcpus: 2, busyVcpus: 1.1, busiestVcpu: 1 }],
        ),
      }),
    },
    action: 'stay',
    because: /load is falling/,
  },
  {
    says: 'three falling entries are ignored',
    given: {
      vm: vm({
        vcpus: 2,
        samples: history(
          [200, { vcpus: 2, busyVcpus: 2, busiestVcpu: 1 }],
          [15, { vcpus: 2, busyVcpus: 1.1, busiestVcpu: 1 }],
        ),
      }),
      home: { facts: facts({ busyCores: 2.2 }) },
    },
    action: 'offload',
    because: /2 vCPUs/,
  },
  {
    says: 'three odd seconds in a busy stretch do not end it',
    given: { vm: vm({ samples: history([110, busy], [3, idle], [12, busy]) }) },
    action: 'offload',
    because: /for 2 min/,
  },
  {
    says: 'a hole of three seconds does not end it either',
    given: { vm: vm({ samples: vm().samples.filter(({ at }) => now - at < 8_000 || now - at >= 11_000) }) },
    action: 'offload',
    because: /for 2 min/,
  },
  {
    says: 'use shorter than the move stays',
    given: { hosts: [host({ linkBytesPerSec: 10_000_000 })] },
    action: 'stay',
    because: /busy for only 2 min and a move to big may take 5 min at 11 MB\/s|may take 5 min at 10 MB\/s/,
  },
  {
    says: 'an unmeasured link is assumed slow and the reason says so',
    given: {
      vm: vm({ memoryBytes: gib / 4, usedMemoryBytes: gib / 8 }),
      hosts: [host({ linkBytesPerSec: undefined })],
    },
    action: 'offload',
    because: /its link is not measured; 13 MB\/s assumed/,
  },
  {
    says: "the guest's own load average is taken at its word: loaded from vCPUs on",
    given: { vm: vm({ samples: history([120, { ...busy, guestLoad1: 0.9 }]) }) },
    action: 'stay',
    because: /load 0\.90 on 1 vCPU; loaded from 1\.00 on/,
  },
  {
    says: "the guest's own load average shows a queue that outside figures cannot",
    given: { vm: vm({ samples: history([40, { ...busy, guestLoad1: 3.5 }]) }) },
    action: 'offload',
    because: /load 3\.50/,
  },
  {
    says: 'a VM that waits for its disk stays near it',
    given: { vm: vm({ samples: history([200, diskBound]) }) },
    action: 'stay',
    because: /mostly waits for its disk \(90 % of the time against 10 % CPU\), but big would reach the VM's disk/,
  },
  {
    says: 'an equal and equally loaded workstation is not worth a move',
    given: { hosts: [host({ facts: facts({ busyCores: 1.1 }) })] },
    action: 'stay',
    because: /big has little more to spare than this computer/,
  },
  {
    says: 'a slower workstation is taken where the VM gets only half of a crowded core at home',
    given: {
      vm: vm({ samples: history([120, { busyVcpus: 0.5, busiestVcpu: 0.5, waitingVcpus: 0.5 }]) }),
      hosts: [host({ facts: facts({ cpuMhz: 1_600, busyCores: 0 }) })],
      home: { facts: facts({ busyCores: 4 }) },
    },
    action: 'offload',
    because: /big has 4 of 4 cores free at 1\.6 GHz against 0 of 4/,
  },
  {
    says: "home's own VM does not make a slower workstation look better",
    given: {
      hosts: [host({ facts: facts({ cpuMhz: 1_600, busyCores: 0 }) })],
      home: { facts: facts({ cores: 1, busyCores: 1 }) },
    },
    action: 'stay',
    because: /big would run it at 53 % of its present speed/,
  },
  {
    says: 'fewer free cores than vCPUs disqualify',
    given: { hosts: [host({ facts: facts({ busyCores: 3.6 }) })] },
    action: 'stay',
    because: /big has 0\.4 of 4 cores free, fewer than the VM's 1/,
  },
  {
    says: 'too little memory disqualifies',
    given: { hosts: [host({ facts: facts({ freeMemoryBytes: gib / 2 }) })] },
    action: 'stay',
    because: /0\.5 GiB of memory free, less than the VM's 1 GiB/,
  },
  {
    says: 'a stranger disqualifies',
    given: { hosts: [host({ paired: false })] },
    action: 'stay',
    because: /not paired/,
  },
  {
    says: 'silence disqualifies',
    given: { hosts: [host({ reachable: false })] },
    action: 'stay',
    because: /big cannot be reached/,
  },
  {
    says: 'unknown facts disqualify',
    given: { hosts: [host({ facts: undefined })] },
    action: 'stay',
    because: /described itself/,
  },
  {
    says: 'an obstacle found by preflight disqualifies',
    given: { hosts: [host({ obstacle: 'its QEMU is too old.' })] },
    action: 'stay',
    because: /big cannot take it: its QEMU is too old/,
  },
  {
    says: 'without any host the reason says so',
    given: { hosts: [] },
    action: 'stay',
    because: /no workstation is known/,
  },
  {
    says: 'of two hosts the one with more to spare is taken',
    given: { hosts: [host({ fingerprint: 'a'.repeat(64), name: 'small', facts: facts({ busyCores: 0.6 }) }), host()] },
    action: 'offload',
    because: /big has/,
  },
  {
    says: 'the best host behind a slow link yields to the next one behind a fast link',
    given: {
      hosts: [
        host({ linkBytesPerSec: 5_000_000 }),
        host({ fingerprint: 'a'.repeat(64), name: 'near', facts: facts({ busyCores: 0.4 }) }),
      ],
    },
    action: 'offload',
    because: /near has/,
  },
  { says: 'level off stays', given: { vm: vm({ level: 'off' }) }, action: 'stay', because: /its level is off/ },
  {
    says: 'a VM that was not adopted stays',
    given: { vm: vm({ adopted: false }) },
    action: 'stay',
    because: /not been adopted/,
  },
  {
    says: 'the cooldown holds',
    given: { vm: vm({ lastMoveEndedAt: now - 59_000, movesRecent: 1 }) },
    action: 'stay',
    because: /last move of work ended 59 s ago, and it is left alone for 60 s/,
  },
  {
    says: 'the cooldown ends',
    given: { vm: vm({ lastMoveEndedAt: now - 60_000, movesRecent: 1 }) },
    action: 'offload',
    because: /short of CPU/,
  },
  {
    says: 'a VM that keeps moving is left alone for longer',
    given: { vm: vm({ lastMoveEndedAt: now - 60_000, movesRecent: 4 }) },
    action: 'stay',
    because: /left alone for 4 min because it moved 4 times/,
  },
  { says: 'no sample stays', given: { vm: vm({ samples: [] }) }, action: 'stay', because: /not been measured yet/ },
  {
    says: 'old samples stay',
    given: { now: now + 30_000 },
    action: 'stay',
    because: /last measured 30 s ago/,
  },
];

const whileAway: readonly Case[] = [
  {
    says: 'an idle VM comes home',
    given: { vm: vm({ place: away, samples: history([100, busy], [60, idle]) }) },
    action: 'home',
    because: /idle at big for 59 s \(load 0\.\d\d, busiest vCPU 2 %\)/,
  },
  {
    says: 'a pause of 15 s does not bring it home',
    given: { vm: vm({ place: away, samples: history([100, busy], [15, idle]) }) },
    action: 'stay',
    because: /quiet at big for 14 s/,
  },
  {
    says: 'a working VM stays',
    given: { vm: vm({ place: away }) },
    action: 'stay',
    because: /working at big \(load 0\.8/,
  },
  {
    says: 'a VM whose work turned to the disk comes home',
    given: { vm: vm({ place: away, samples: history([200, diskBound]) }) },
    action: 'home',
    because: /waited for its disk/,
  },
  {
    says: 'an idle VM under cooldown stays',
    given: { vm: vm({ place: away, samples: history([100, idle]), lastMoveEndedAt: now - 10_000, movesRecent: 1 }) },
    action: 'stay',
    because: /left alone/,
  },
  {
    says: 'an idle VM comes home although its host is not a candidate any more',
    given: { vm: vm({ place: away, samples: history([100, idle]) }), hosts: [] },
    action: 'home',
    because: /idle at big/,
  },
];

describe('muda, at home', () => {
  it.each(atHome)('$says', ({ given, action, because }) => {
    const decision = decide(input(given));
    expect(decision.reason).toMatch(because);
    expect(decision.action).toBe(action);
  });

  it('names the host and the most the move should take', () => {
    const decision = decide(input());
    expect(decision).toMatchObject({ host: host().fingerprint, hostName: 'big', outcome: 'acted', policy: 'muda' });
    // 2 · (1 GiB / 100 MB/s + 2 s) + 0.5 GiB / 100 MB/s
    expect(decision.expectedCostS).toBeCloseTo(30.84, 1);
  });

  it('only suggests where the level says so', () => {
    expect(decide(input({ vm: vm({ level: 'suggest' }) }))).toMatchObject({ action: 'offload', outcome: 'suggested' });
  });
});

describe('muda, away', () => {
  it.each(whileAway)('$says', ({ given, action, because }) => {
    const decision = decide(input(given));
    expect(decision.reason).toMatch(because);
    expect(decision.action).toBe(action);
  });
});
