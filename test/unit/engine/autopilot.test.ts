import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Autopilot, type AutopilotOptions } from '../../../main/engine/autopilot.ts';
import { defaultSettings } from '../../../main/engine/settings.ts';
import type { Vm } from '../../../shared/model/vm.ts';
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
    homeFacts: () => figures({ name: 'lap', busyCores: 1.2 }),
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

  it('a move that is refused is reported, not thrown', async () => {
    const moves = {
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
    const other = '11111111-2222-4333-8444-555555555555';
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
