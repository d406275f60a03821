import { describe, expect, it } from 'vitest';
import type { Place } from '../../../shared/model/vm.ts';
import type { VisitInfo } from '../../../shared/wire.ts';
import { visit } from '../link/bed.ts';
import { vmUuid } from '../samples.ts';
import { away, awayScene, placeIn, takenBack } from './away-scene.ts';

describe('restart here from the home disk', () => {
  it('cuts the visitor off first, then the VM is home, then it is started', async () => {
    const { restarts, journal, done, vm } = await awayScene(() => [], { unreachable: true });
    const restarted = await restarts.restart(vm(), true);
    expect(done).toEqual([...takenBack, 'start']);
    expect(restarted).toMatchObject({ place: { kind: 'home' }, state: 'running' });
    expect(journal.place(vmUuid)?.place).toEqual({ kind: 'home' });
    expect(journal.history(1)).toMatchObject([{ text: expect.stringContaining('what it had in memory is lost') }]);
  });

  it('leaves it shut off where that is asked for, and it can be started later', async () => {
    const { restarts, journal, done, vm } = await awayScene(() => [], { unreachable: true });
    await restarts.restart(vm(), false);
    expect(done).toEqual(takenBack);
    expect(journal.place(vmUuid)?.place).toMatchObject({ kind: 'home', ended: { why: 'fenced' } });
    await restarts.restart(vm(), true);
    expect(done.at(-1)).toBe('start');
    expect(journal.place(vmUuid)?.place).toEqual({ kind: 'home' });
  });

  it.each<[VisitInfo['state']]>([['running'], ['paused'], ['incoming'], ['empty']])(
    'is refused where the host answers and the visit is %s',
    async (state) => {
      const { restarts, journal, done, vm } = await awayScene(() => [{ state }]);
      await expect(restarts.restart(vm(), true)).rejects.toMatchObject({
        code: 'refused',
        hint: 'Bring it home with all it has in memory: homeward home work',
      });
      expect(done).toEqual([]);
      expect(journal.place(vmUuid)?.place).toEqual(away);
    },
  );

  it.each<[string, readonly Partial<VisitInfo>[]]>([
    ['has ended', [{ state: 'gone', end: { why: 'host-restarted', at: '2026-11-20T11:00:00.000Z' } }]],
    ['is not known', []],
  ])('is done where the host answers and the visit %s', async (_what, listed) => {
    const { restarts, done, vm } = await awayScene(() => listed);
    await restarts.restart(vm(), true);
    expect(done.filter((step) => !step.startsWith('visit.end'))).toEqual([...takenBack, 'start']);
    await expect.poll(() => done).toContainEqual(expect.stringContaining(`visit.end ${visit}`));
  });

  it('is refused for a VM that is at home and well', async () => {
    const { restarts, done, vm } = await awayScene(() => [], { place: { kind: 'home' }, unreachable: true });
    await expect(restarts.restart(vm(), true)).rejects.toMatchObject({ code: 'vm-home' });
    expect(done).toEqual([]);
  });

  it('is refused while the VM moves, or is already being restarted', async () => {
    const { restarts, moves, vm } = await awayScene(() => [], { unreachable: true });
    await moves.exclusively(vm(), async () => {
      await expect(restarts.restart(vm(), true)).rejects.toMatchObject({ code: 'vm-busy' });
    });
    const [first, second] = await Promise.allSettled([restarts.restart(vm(), true), restarts.restart(vm(), true)]);
    expect([first?.status, second?.status]).toEqual(['fulfilled', 'rejected']);
  });

  it('does nothing where the disk cannot be served', async () => {
    const { restarts, journal, vm } = await awayScene(() => [], { unreachable: true, broken: (s) => s === 'serve' });
    await expect(restarts.restart(vm(), true)).rejects.toThrow('serve');
    expect(journal.place(vmUuid)?.place).toEqual(away);
  });

  it('never starts while it is not certain that the visitor is cut off; it goes on until it is', async () => {
    let works = false;
    const { restarts, journal, done, vm } = await awayScene(() => [], {
      unreachable: true,
      broken: (step) => step === 'revoke' && !works,
    });
    await expect(restarts.restart(vm(), true)).rejects.toThrow('revoke');
    await expect.poll(() => done).toContain('fault: restarting a VM from its home disk');
    expect(done).not.toContain('start');
    expect(journal.place(vmUuid)?.place).toMatchObject({ kind: 'away', restarting: { start: true } });
    works = true;
    await expect.poll(() => done.at(-1)).toBe('start');
    expect(placeIn(journal)).toBe('home');
  });

  it('says so where the VM does not start, and leaves it at home, off', async () => {
    const { restarts, journal, vm } = await awayScene(() => [], { unreachable: true, broken: (s) => s === 'start' });
    await expect(restarts.restart(vm(), true)).rejects.toMatchObject({
      code: 'vm-not-running',
      message: expect.stringContaining('is home again, but it could not be started'),
    });
    expect(journal.place(vmUuid)?.place).toMatchObject({ kind: 'home', ended: { why: 'fenced' } });
    expect(journal.place(vmUuid)?.place).not.toHaveProperty('starting');
  });
});

describe('an engine that ends in the middle of it', () => {
  const ended = { why: 'fenced', at: away.since, hostName: 'tower' } as const;

  it.each<[string, Place, readonly string[]]>([
    ['it was decided', { ...away, restarting: { start: true } }, [...takenBack, 'start']],
    ['it was decided, not to start it', { ...away, restarting: { start: false } }, takenBack],
    ['the disk was home', { kind: 'home', ended, starting: true }, ['start']],
  ])('after %s: the next one goes on to the end, in the same order', async (_what, place, rest) => {
    const first = await awayScene(() => [], { unreachable: true, place });
    const next = first.nextEngine();
    next.restarts.recover();
    await expect.poll(() => next.done).toEqual(rest);
    await expect.poll(() => placeIn(first.journal)).toBe('home');
    await expect.poll(() => first.journal.place(vmUuid)?.place).not.toHaveProperty('starting');
  });

  it('after the start, before that was written down: it is not started twice', async () => {
    const first = await awayScene(() => [], { unreachable: true, place: { kind: 'home', starting: true } });
    const next = first.nextEngine({ startedByItself: true });
    next.restarts.recover();
    await expect.poll(() => first.journal.place(vmUuid)?.place).toEqual({ kind: 'home' });
    expect(next.done).toEqual([]);
  });
});

it('what is said of how a visit ended is forgotten once the VM runs here, whoever started it', async () => {
  const ended = { why: 'lease', at: away.since, hostName: 'tower' } as const;
  const scene = await awayScene(() => [], { place: { kind: 'home', ended }, unreachable: true });
  await scene.restarts.noteRunning(scene.vm());
  expect(scene.journal.place(vmUuid)?.place).toMatchObject({ ended });
  await scene.restarts.noteRunning({ ...scene.vm(), state: 'running' });
  expect(scene.journal.place(vmUuid)?.place).toEqual({ kind: 'home' });
});
