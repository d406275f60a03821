import { describe, expect, it } from 'vitest';
import { Experience } from '../../../main/engine/experience.ts';
import { cancelledByUser } from '../../../shared/machine/move-machine.ts';
import { type Learned, nothingLearned, reluctanceOf } from '../../../shared/policy/learned.ts';
import { away, busy, host as candidate, facts as figures, history, idle, now } from '../policy/fixtures.ts';
import { host, hostFingerprint, move, vm, vmUuid } from '../samples.ts';

const home = { facts: figures({ name: 'lap' }) };
const benchmark = {
  cpuSingleOpsPerSec: 1,
  memcpyBytesPerSec: 1,
  diskWriteBytesPerSec: 1,
  linkOutBytesPerSec: 1e8,
  takenAt: new Date(now).toISOString(),
};
const there = candidate({ fingerprint: hostFingerprint, name: 'tower', benchmark });

function experience() {
  const known = new Map<string, Learned>();
  const lessons = {
    of: (uuid: string) => known.get(uuid) ?? nothingLearned(),
    put: (uuid: string, learned: Learned) => void known.set(uuid, learned),
  };
  return { one: new Experience(lessons), learned: () => lessons.of(vmUuid) };
}

const startedAt = new Date(now).toISOString();
const endedAt = new Date(now + 60_000).toISOString();
const back = move({ id: '9'.repeat(32), direction: 'home', phase: 'planned', askedBy: 'user' });

describe('what the engine learns by watching', () => {
  it('the length of a run that ended, once, however often it looks', () => {
    const { one, learned } = experience();
    const samples = history([60, idle], [40, busy], [15, idle]);
    for (const length of [60, 90, 115, 115]) one.followVm(vm(), samples.slice(0, length), home, [there]);
    expect(learned().runs.all.reduce((sum, count) => sum + count, 0)).toBeCloseTo(1, 1);
    expect(learned().runs.all[10]).toBe(1);
  });

  it('what a VM got while it was copied is of where it was, not of where it arrives', () => {
    const { one } = experience();
    const starved = { busyVcpus: 0.4, busiestVcpu: 0.4, waitingVcpus: 0.6 };
    const samples = history([60, idle], [60, starved], [12, busy]);
    one.followVm(vm(), samples.slice(0, 100), home, [there]);
    const gone = vm({ place: { ...away, host: hostFingerprint } });
    expect(one.followVm(gone, samples.slice(0, 120), home, [there])?.run).toMatchObject({
      seenMs: 0,
      granted: expect.closeTo(0.4),
    });
    expect(one.followVm(gone, samples, home, [there])?.run).toMatchObject({
      seenMs: 12_000,
      granted: expect.closeTo(1),
    });
  });

  it('how long moves take, from those that came to a good end', () => {
    const { one, learned } = experience();
    one.noteMove(move({ startedAt, phase: 'copying', askedBy: 'policy' }), vm(), there, now);
    one.noteMove(move({ startedAt, endedAt, phase: 'failed', askedBy: 'policy' }), vm(), there, now);
    expect(learned().hosts).toEqual({});
    const before = one.expectedMoveS(vm(), 'out', hostFingerprint, benchmark);
    one.noteMove(move({ startedAt, phase: 'copying', askedBy: 'policy' }), vm(), there, now);
    one.noteMove(move({ startedAt, endedAt, phase: 'done', askedBy: 'policy' }), vm(), there, now);
    expect(learned().hosts[hostFingerprint]?.out).toMatchObject({ moves: 1 });
    expect(learned().hosts[hostFingerprint]?.out?.bias).toBeGreaterThan(0);
    expect(one.expectedMoveS(vm(), 'out', hostFingerprint, benchmark)).toBeGreaterThan(before);
  });

  it('how long the way home takes, from the way out, until the VM has gone it', () => {
    const { one, learned } = experience();
    const before = one.expectedMoveS(vm(), 'home', hostFingerprint, benchmark);
    const out = one.expectedMoveS(vm(), 'out', hostFingerprint, benchmark);
    const took = (s: number) => new Date(now + s * 1_000).toISOString();
    one.noteMove(move({ startedAt, phase: 'copying', askedBy: 'policy' }), vm(), there, now);
    one.noteMove(move({ startedAt, endedAt: took(3 * out), phase: 'done', askedBy: 'policy' }), vm(), there, now);
    const said = one.expectedMoveS(vm(), 'home', hostFingerprint, benchmark);
    expect(said).toBeCloseTo(3 * before, 1);
    expect(one.shareOfLink(vm(), 'home', hostFingerprint)).toBeCloseTo(1 / 3, 2);
    const home = move({ id: '8'.repeat(32), direction: 'home', startedAt, phase: 'copying', askedBy: 'policy' });
    one.noteMove(home, vm(), there, now);
    one.noteMove({ ...home, endedAt: took(2 * said), phase: 'done' }, vm(), there, now);
    expect(one.expectedMoveS(vm(), 'home', hostFingerprint, benchmark)).toBeCloseTo(2 * said, 1);
    expect(learned().hosts[hostFingerprint]?.home).toMatchObject({ moves: 1 });
  });

  it('"not now" and a quick way back count against a host; going there by hand counts for it, and ends "never"', () => {
    const { one, learned } = experience();
    one.noteNotNow(vmUuid, hostFingerprint, now, true);
    expect(reluctanceOf(learned(), hostFingerprint, now)).toBe(1);
    expect(learned().hosts[hostFingerprint]?.never).toBe(true);
    one.noteMove(move({ startedAt, phase: 'planned', askedBy: 'user' }), vm(), there, now);
    expect(learned().hosts[hostFingerprint]?.never).toBe(false);
    expect(reluctanceOf(learned(), hostFingerprint, now)).toBe(0);

    one.followVm(vm(), history([60, idle], [60, busy]), home, [there]);
    one.noteMove(move({ startedAt, endedAt, phase: 'done', askedBy: 'policy' }), vm(), there, now);
    one.noteMove(back, vm({ place: { ...away, host: hostFingerprint } }), there, now + 60_000);
    expect(reluctanceOf(learned(), hostFingerprint, now + 60_000)).toBeCloseTo(2, 3);
  });

  it('an automatic move that the user cancels is as good as "not now"; one that failed, or was called off for another reason, is not', () => {
    const { one, learned } = experience();
    const out = { startedAt, endedAt, phase: 'failed', askedBy: 'policy' } as const;
    one.noteMove(move({ ...out, failure: 'the lid was closed' }), vm(), there, now);
    one.noteMove(move({ ...out, failure: cancelledByUser, askedBy: 'user' }), vm(), there, now);
    one.noteMove(move({ ...out, failure: cancelledByUser, direction: 'home' }), vm(), there, now);
    expect(reluctanceOf(learned(), hostFingerprint, now)).toBe(0);
    one.noteMove(move({ ...out, failure: cancelledByUser }), vm(), there, now);
    expect(reluctanceOf(learned(), hostFingerprint, now)).toBe(1);
  });

  it('a way home once the work is done, however quick, says nothing against the move out', () => {
    for (const rests of [5, 30]) {
      const { one, learned } = experience();
      const samples = history([60, idle], [60, busy], [rests, idle]);
      one.followVm(vm(), samples.slice(0, 120), home, [there]);
      const leftAt = samples[119]?.at ?? 0;
      one.noteMove(move({ startedAt, endedAt, phase: 'done', askedBy: 'policy' }), vm(), there, leftAt);
      const gone = vm({ place: { ...away, host: hostFingerprint } });
      one.followVm(gone, samples, home, [there]);
      one.noteMove(back, gone, there, now);
      expect(reluctanceOf(learned(), hostFingerprint, now)).toBe(0);
    }
  });

  it('breaks of a link, and hosts that others take', () => {
    const { one } = experience();
    const look = (atS: number, reachable: boolean, busyCores: number) =>
      one.followHost(host({ reachable, facts: figures({ busyCores }) }), vm(), 0, atS * 1_000);
    for (let atS = 0; atS < 600; atS += 1) look(atS, atS % 100 < 90, atS % 200 < 150 ? 0 : 4);
    const seen = look(600, true, 0);
    expect(seen.linkBreaks?.lengthS).toBeCloseTo(10, -1);
    expect(seen.linkBreaks?.perS).toBeGreaterThan(0.001);
    expect(seen.takeovers?.perS).toBeGreaterThan(0.0004);
    expect(seen.usualBusyCores).toBeGreaterThan(0.3);
  });

  it('a host that only our own VMs keep busy is not taken by others', () => {
    const { one } = experience();
    const there = (busyCores: number) => host({ facts: figures({ cores: 4, busyCores }) });
    for (let atS = 0; atS < 600; atS += 1) {
      const isWorking = atS % 200 < 150;
      one.followHost(there(isWorking ? 4 : 0.1), vm({ vcpus: 2 }), isWorking ? 4 : 0, atS * 1_000);
    }
    const alone = one.followHost(there(0.1), vm({ vcpus: 2 }), 0, 600_000);
    expect(alone.usualBusyCores).toBeLessThan(0.1);
    expect(alone.takeovers).toEqual({ perS: expect.closeTo(0.1 / 4_200, 5), lengthS: expect.closeTo(20) });
  });

  it('what is room for one VM is none for another', () => {
    const { one } = experience();
    const look = (atS: number, uuid: string, vcpus: number) =>
      one.followHost(
        host({ facts: figures({ cores: 4, busyCores: atS % 200 < 150 ? 2 : 0 }) }),
        vm({ uuid, vcpus }),
        0,
        atS * 1_000,
      );
    const large = 'ffffffff-1111-4222-8333-444444444444';
    for (let atS = 0; atS < 600; atS += 1)
      for (const [uuid, vcpus] of [
        [vmUuid, 1],
        [large, 4],
      ] as const)
        look(atS, uuid, vcpus);
    expect(look(600, large, 4).takeovers?.perS).toBeGreaterThan(0.0004);
    expect(look(600, vmUuid, 1).takeovers?.perS).toBeLessThan(0.0001);
  });
});
