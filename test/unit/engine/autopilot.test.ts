import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Autopilot, type AutopilotOptions } from '../../../main/engine/autopilot.ts';
import { Experience } from '../../../main/engine/experience.ts';
import { defaultSettings } from '../../../main/engine/settings.ts';
import { type ErrorCode, HomewardError } from '../../../shared/errors.ts';
import { cancelledByUser } from '../../../shared/machine/move-machine.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { type Learned, nothingLearned } from '../../../shared/policy/learned.ts';
import type { Decision } from '../../../shared/rpc.ts';
import { busy, facts as figures, history, now } from '../policy/fixtures.ts';
import { facts, host, hostFingerprint, move, vm } from '../samples.ts';

const gib = 1024 ** 3;
const fastLink = {
  cpuSingleOpsPerSec: 1,
  memcpyBytesPerSec: 1,
  diskWriteBytesPerSec: 1,
  linkOutBytesPerSec: 100_000_000,
  linkHomeBytesPerSec: 100_000_000,
  takenAt: '2026-11-20T10:00:00.000Z',
};

function lessons() {
  const known = new Map<string, Learned>();
  return {
    of: (uuid: string) => known.get(uuid) ?? nothingLearned(),
    put: (uuid: string, learned: Learned) => void known.set(uuid, learned),
  };
}

/** A VM that has been short of CPU for two minutes, and an idle host. */
function autopilot(level: Vm['level'], over: Partial<AutopilotOptions> = {}) {
  const decisions: Decision[] = [];
  const written: unknown[] = [];
  const faults: string[] = [];
  const offloads: unknown[][] = [];
  const options: AutopilotOptions = {
    fleet: { list: () => [vm({ level, vcpus: 1, memoryBytes: gib })] },
    hosts: { list: () => [host({ facts: figures({ name: 'tower' }), benchmark: fastLink })] },
    moves: {
      underWay: () => [],
      isMoving: () => offloads.length > 0,
      offload: async (...asked) => {
        offloads.push(asked);
        return move();
      },
      home: () => Promise.reject(new Error('nothing is away')),
    },
    monitor: { samples: () => history([120, busy]) },
    journal: { append: async (entry) => void written.push(entry), moves: () => [] },
    settings: { current: { ...defaultSettings(), policy: 'muda' } },
    experience: new Experience(lessons()),
    homeFacts: () => figures({ name: 'lap', busyCores: 1.2 }),
    homeBenchmark: () => undefined,
    surroundings: () => ({}),
    leaving: () => undefined,
    onDecision: (decision) => decisions.push(decision),
    onFault: (what) => faults.push(what),
    ...over,
  };
  return { pilot: new Autopilot(options), decisions, written, faults, offloads };
}

describe('the autopilot', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const other = '11111111-2222-4333-8444-555555555555';
  const still = { underWay: () => [], isMoving: () => false, offload: async () => move() };
  /** Busy for two minutes, whenever it is asked. */
  const fresh = () => history([120, busy]).map((sample) => ({ ...sample, at: sample.at + Date.now() - now }));

  /** A VM that works away while it is past the usual time of leaving. */
  function away(over: Partial<AutopilotOptions>) {
    const place = { kind: 'away', host: hostFingerprint, hostName: 'tower', since: new Date(now - 9e6).toISOString() };
    return autopilot('automatic', {
      fleet: { list: () => [vm({ level: 'automatic', place: place as Vm['place'] })] },
      settings: { current: { ...defaultSettings(), policy: 'homeward' } },
      surroundings: () => ({ leavesInS: -60 }),
      ...over,
    });
  }

  async function seconds(pilot: Autopilot, count: number): Promise<void> {
    pilot.start();
    await vi.advanceTimersByTimeAsync(count * 1_000);
    pilot.stop();
  }

  it('level off: the VM is not even considered, nor this computer looked at', async () => {
    const homeFacts = vi.fn(() => facts());
    const { pilot, decisions } = autopilot('off', { homeFacts });
    await seconds(pilot, 3);
    expect(homeFacts).not.toHaveBeenCalled();
    expect(decisions).toEqual([]);
    expect(pilot.latest()).toEqual([]);
  });

  it('level suggest: says it once, with the reason, and moves nothing', async () => {
    const { pilot, decisions, written, offloads } = autopilot('suggest');
    await seconds(pilot, 3);
    expect(decisions).toHaveLength(1);
    expect(decisions[0]).toMatchObject({ action: 'offload', outcome: 'suggested', host: hostFingerprint });
    expect(decisions[0]?.reason).toMatch(/short of CPU/);
    expect(written).toHaveLength(1);
    expect(pilot.suggestions()).toHaveLength(1);
    expect(offloads).toEqual([]);
  });

  it('level automatic: moves it once, in the policy’s name', async () => {
    const { pilot, offloads } = autopilot('automatic');
    await seconds(pilot, 3);
    expect(offloads).toHaveLength(1);
    expect(offloads[0]?.slice(1)).toMatchObject([hostFingerprint, { by: 'policy' }]);
  });

  it('on battery and a network that costs money, and near the usual time of leaving, it is weighed by that', async () => {
    const weighed = async (surroundings: AutopilotOptions['surroundings'], over: Partial<AutopilotOptions> = {}) => {
      const settings = { current: { ...defaultSettings(), policy: 'homeward' as const } };
      const fast = figures({ name: 'tower', cpuMhz: 6_000 });
      const hosts = { list: () => [host({ facts: fast, benchmark: { ...fastLink, cpuSingleOpsPerSec: 3 } })] };
      const { pilot } = autopilot('suggest', { surroundings, settings, hosts, ...over });
      await seconds(pilot, 1);
      return pilot.latest()[0];
    };
    const usual = (await weighed(() => ({})))?.calculation?.neededS ?? 0;
    const dear = (await weighed(() => ({ onBattery: true, metered: true })))?.calculation?.neededS;
    expect(dear).toBeCloseTo(12 * usual, 3);
    const late = await weighed(() => ({ leavesInS: 10 }));
    expect(late).toMatchObject({ action: 'stay', reason: expect.stringContaining('before you usually leave') });
    // Who sends it out by hand then stays longer.
    const byHand = move({ phase: 'done', askedBy: 'user', endedAt: new Date(now - 600_000).toISOString() });
    const written = { append: async () => undefined, moves: () => [{ move: byHand, data: null, at: now }] };
    const stayed = await weighed(() => ({ leavesInS: 10 }), { journal: written as never });
    expect(stayed?.reason).not.toContain('before you usually leave');
  });

  it('a host that says no is asked again only later, and what it said is the reason meanwhile', async () => {
    const asked: number[] = [];
    const says = (code: ErrorCode): Promise<never> => {
      asked.push(Date.now());
      return Promise.reject(new HomewardError(code, 'Its owner wants no visitors.', { hint: 'Ask them.' }));
    };
    const moves = { underWay: () => [], isMoving: () => false, home: () => says('internal') };
    const refusing = autopilot('automatic', { moves: { ...moves, offload: () => says('refused') } });
    await seconds(refusing.pilot, 2);
    expect(asked).toHaveLength(1);
    expect(refusing.pilot.latest()).toMatchObject([
      { action: 'stay', reason: expect.stringContaining('cannot take it: Its owner wants no visitors. Ask them.') },
    ]);
    const samples = fresh;
    const passing = autopilot('automatic', {
      moves: { ...moves, offload: () => says('vm-busy') },
      monitor: { samples },
    });
    await seconds(passing.pilot, 2);
    expect(asked).toHaveLength(2);
    await seconds(passing.pilot, 31);
    expect(asked, 'what holds for the moment only is tried again soon').toHaveLength(3);
  });

  it('a way home that is refused is not asked for each second, and says why meanwhile', async () => {
    const asked: number[] = [];
    const refuses = () => {
      asked.push(Date.now());
      return Promise.reject(new HomewardError('incompatible', 'It has another name here.', { hint: 'Rename it.' }));
    };
    const { pilot, written } = away({ moves: { ...still, home: refuses } });
    await seconds(pilot, 5);
    expect(asked).toHaveLength(1);
    expect(written).toHaveLength(1);
    expect(pilot.latest()).toMatchObject([
      { action: 'stay', reason: 'work could not come home a moment ago: It has another name here. Rename it.' },
    ]);
  });

  it('what the user cancelled is not begun again for half an hour: a move out, nor a way home', async () => {
    const cancelled = (direction: 'home' | 'out', minutesAgo: number) => {
      const endedAt = new Date(now - minutesAgo * 60_000).toISOString();
      const one = move({ direction, phase: 'failed', failure: cancelledByUser, askedBy: 'policy', endedAt });
      return { append: async () => undefined, moves: () => [{ move: one, data: undefined }] };
    };
    const out = autopilot('automatic', { journal: cancelled('out', 10) });
    await seconds(out.pilot, 2);
    expect(out.offloads).toEqual([]);
    expect(out.pilot.latest()[0]?.reason).toContain('since you called a move there off');
    const later = autopilot('automatic', { journal: cancelled('out', 31) });
    await seconds(later.pilot, 2);
    expect(later.offloads).toHaveLength(1);

    const homes: number[] = [];
    const moves = { ...still, home: async () => move({ id: String(homes.push(1)) }) };
    const back = away({ moves, journal: cancelled('home', 10) });
    await seconds(back.pilot, 2);
    expect(homes).toEqual([]);
    expect(back.pilot.latest()[0]?.reason).toContain('You called its way home off');
    await seconds(away({ moves, journal: cancelled('home', 31) }).pilot, 1);
    expect(homes).toHaveLength(1);
  });

  it('room that a VM has just taken is not given away again before its host tells of it', async () => {
    const arrived = (secondsAgo: number) => {
      const endedAt = new Date(now - secondsAgo * 1_000).toISOString();
      return {
        append: async () => undefined,
        moves: () => [{ move: move({ vm: other, phase: 'done', endedAt }), data: undefined }],
      };
    };
    const guest = vm({ uuid: other, name: 'play', level: 'off', vcpus: 4 });
    const fleet = { list: () => [vm({ level: 'automatic', vcpus: 1, memoryBytes: gib }), guest] };
    const soon = autopilot('automatic', { fleet, journal: arrived(5) });
    await seconds(soon.pilot, 1);
    expect(soon.offloads).toEqual([]);
    const later = autopilot('automatic', { fleet, journal: arrived(30) });
    await seconds(later.pilot, 1);
    expect(later.offloads).toHaveLength(1);
  });

  it('the journal does not keep what a VM runs', async () => {
    const { pilot, decisions, written } = autopilot('suggest', {
      settings: { current: { ...defaultSettings(), policy: 'homeward' } },
      hosts: { list: () => [host({ facts: figures({ name: 'tower', cpuMhz: 6_000 }), benchmark: fastLink })] },
      homeBenchmark: () => ({ ...fastLink, cpuSingleOpsPerSec: 0.4 }),
      monitor: { samples: () => history([120, { ...busy, guestProgram: 'cc1' }]) },
    });
    await seconds(pilot, 1);
    expect(decisions).toMatchObject([{ calculation: { program: 'cc1' } }]);
    expect(written).toMatchObject([{ decision: { calculation: { kind: 'cpu-bound' } } }]);
    expect(JSON.stringify(written)).not.toContain('cc1');
  });

  it('this computer is about to leave: nothing moves out, and the reason is noted', async () => {
    const { pilot, decisions, offloads } = autopilot('automatic', {
      leaving: () => 'This computer is about to leave.',
    });
    await seconds(pilot, 3);
    expect(offloads).toEqual([]);
    expect(decisions).toEqual([]);
    expect(pilot.latest()).toMatchObject([
      { action: 'stay', outcome: 'noted', reason: 'This computer is about to leave.' },
    ]);
  });

  it('not now: it is noted only, for half an hour, then suggested and told anew', async () => {
    const clock = { samples: () => history([120, busy]) };
    const { pilot, decisions } = autopilot('suggest', { monitor: clock });
    await seconds(pilot, 1);
    pilot.dismiss(vm());
    expect(pilot.suggestions()).toEqual([]);
    expect(pilot.latest()).toMatchObject([{ action: 'offload', outcome: 'noted' }]);
    await seconds(pilot, 2);
    expect(pilot.suggestions()).toEqual([]);
    expect(decisions).toHaveLength(1);
    vi.setSystemTime(now + 30 * 60_000 + 3_000);
    clock.samples = () => history([120, busy]).map((sample) => ({ ...sample, at: sample.at + 30 * 60_000 + 3_000 }));
    await seconds(pilot, 1);
    expect(pilot.suggestions()).toHaveLength(1);
    expect(decisions).toHaveLength(2);
  });

  it('not now for one host: another is suggested all the same', async () => {
    const rack = 'cd'.repeat(32);
    const there = { list: () => [host({ facts: figures({ name: 'tower' }), benchmark: fastLink })] };
    const { pilot, decisions } = autopilot('suggest', { hosts: there });
    await seconds(pilot, 1);
    pilot.dismiss(vm());
    there.list = () => [
      host({ fingerprint: rack, name: 'rack', facts: figures({ name: 'rack' }), benchmark: fastLink }),
    ];
    await seconds(pilot, 1);
    expect(pilot.suggestions()).toMatchObject([{ host: rack }]);
    expect(decisions).toHaveLength(2);
    there.list = () => [host({ facts: figures({ name: 'tower' }), benchmark: fastLink })];
    pilot.dismiss(vm());
    await seconds(pilot, 1);
    expect(pilot.suggestions(), 'the first is still put off').toEqual([]);
  });

  it('not now holds nothing back that the VM may do by itself', async () => {
    let level: Vm['level'] = 'suggest';
    const { pilot, offloads } = autopilot('suggest', {
      fleet: { list: () => [vm({ level, vcpus: 1, memoryBytes: gib })] },
    });
    await seconds(pilot, 1);
    pilot.dismiss(vm());
    level = 'automatic';
    await seconds(pilot, 1);
    expect(offloads).toHaveLength(1);
  });

  it('not now where nothing is suggested is refused', async () => {
    const { pilot } = autopilot('suggest');
    const nothing = expect.objectContaining({
      code: 'bad-input',
      message: 'Nothing is suggested for work now.',
      hint: expect.stringContaining('homeward status'),
    });
    expect(() => pilot.dismiss(vm())).toThrow(nothing);
    await seconds(pilot, 1);
    pilot.dismiss(vm());
    expect(() => pilot.dismiss(vm()), 'a second time').toThrow(nothing);
  });

  it.each([
    ['a VM is not moved back to', 10, 0],
    ['half an hour later a VM may visit again', 31, 1],
  ])('a host whose owner sent it home: %s', async (_what, minutesAgo, moved) => {
    const endedAt = new Date(now - minutesAgo * 60_000).toISOString();
    const sent = move({ direction: 'home', phase: 'done', askedBy: 'host', endedAt });
    const { pilot, offloads } = autopilot('automatic', {
      journal: { append: async () => undefined, moves: () => [{ move: sent, data: undefined }] },
    });
    await seconds(pilot, 2);
    expect(offloads).toHaveLength(moved);
  });

  it('a move that is refused is reported, not thrown', async () => {
    const moves = {
      underWay: () => [],
      isMoving: () => false,
      offload: () => Promise.reject(new Error('full')),
      home: () => Promise.reject(new Error('nothing is away')),
    };
    const { pilot, faults } = autopilot('automatic', { moves });
    await seconds(pilot, 1);
    expect(faults).toEqual(['moving work']);
  });

  it('waits where this computer’s own facts are not known yet', async () => {
    const { pilot, decisions } = autopilot('automatic', { homeFacts: () => undefined });
    await seconds(pilot, 2);
    expect(decisions).toEqual([]);
  });

  it('a fault about one VM leaves the others considered', async () => {
    const { pilot, faults } = autopilot('suggest', {
      fleet: { list: () => [vm({ level: 'suggest' }), vm({ uuid: other, name: 'play', level: 'suggest' })] },
      monitor: {
        samples: (uuid) => {
          if (uuid !== other) throw new Error('no samples');
          return history([120, busy]);
        },
      },
    });
    await seconds(pilot, 1);
    expect(faults).toEqual(['deciding about work']);
    expect(pilot.latest().map(({ vmName }) => vmName)).toEqual(['play']);
  });
});
