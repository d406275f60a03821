import { describe, expect, it } from 'vitest';
import { visitEndReasons } from '../../../shared/model/visit-end.ts';
import { visitEndSentences } from '../../../shared/view/index.ts';
import type { VisitInfo } from '../../../shared/wire.ts';
import { visit } from '../link/bed.ts';
import { vm, vmUuid } from '../samples.ts';
import { away, awayScene, placeIn, takenBack } from './away-scene.ts';

const at = '2026-11-20T11:00:00.000Z';
const settled = (why: string): string[] => [...takenBack, `visit.end ${visit} ${why}`];

describe('a VM that ends while it is away', () => {
  it('is settled when the host tells: fenced first, then written down, then told', async () => {
    let state: VisitInfo['state'] = 'running';
    const { keeper, journal, done, tell } = await awayScene(() => [{ state, end: { why: 'shutdown', at } }]);
    keeper.start();
    state = 'gone';
    tell();
    await expect.poll(() => done).toEqual(settled('shutdown'));
    expect(journal.place(vmUuid)?.place).toEqual({
      kind: 'home',
      ended: { why: 'shutdown', at, hostName: 'tower' },
    });
    expect(journal.history(1)).toEqual([
      expect.objectContaining({ kind: 'event', text: expect.stringMatching(/^work was shut down while it was at/) }),
    ]);
  });

  it.each(visitEndReasons)('because of "%s": is settled when its host is met again, with the reason', async (why) => {
    const { keeper, journal, done } = await awayScene(() => [{ state: 'gone', end: { why, at } }]);
    keeper.start();
    await expect.poll(() => done).toEqual(settled(why));
    expect(journal.place(vmUuid)?.place).toMatchObject({ kind: 'home', ended: { why } });
    const [event] = journal.history(1);
    expect(event).toMatchObject({ text: visitEndSentences('work', 'tower', { why }) });
  });

  it('is settled where the host does not say why', async () => {
    const { keeper, journal, done } = await awayScene(() => [{ state: 'gone' }]);
    keeper.start();
    await expect.poll(() => done).toEqual(settled('unknown'));
    expect(placeIn(journal)).toBe('home');
  });

  it('can be started as soon as it is home, though its host does not answer to being told', async () => {
    const listed: readonly Partial<VisitInfo>[] = [{ state: 'gone', end: { why: 'host-restarted', at } }];
    const { keeper, restarts, journal, done, vm: current } = await awayScene(() => listed, { silentEnd: true });
    keeper.start();
    await expect.poll(() => placeIn(journal)).toBe('home');
    expect(await restarts.restart(current(), true)).toMatchObject({ state: 'running' });
    expect(done).toContain('start');
  });

  it('is not started by itself', async () => {
    const { keeper, done, vm: current } = await awayScene(() => [{ state: 'gone' }]);
    keeper.start();
    await expect.poll(() => done).toHaveLength(settled('unknown').length);
    expect(done).not.toContain('start');
    expect(current().state).toBe('shutoff');
  });

  it.each<[string, readonly Partial<VisitInfo>[]]>([
    ['runs', [{ state: 'running' }]],
    ['is paused, as by virsh there', [{ state: 'paused' }]],
    ['is not listed', []],
    ['is another', [{ visit: 'b'.repeat(32), state: 'empty' }]],
  ])('is left alone where the visit %s', async (_what, listed) => {
    const { keeper, journal, done, tell } = await awayScene(() => listed);
    keeper.start();
    tell();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(done.filter((one) => !one.includes('b'.repeat(32)))).toEqual([]);
    expect(placeIn(journal)).toBe('away');
  });

  it('is left alone where another host than its own says so', async () => {
    const { keeper, journal, tell } = await awayScene(() => [{ state: 'gone' }], {
      place: { ...away, host: 'cd'.repeat(32) },
    });
    keeper.start();
    tell();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(placeIn(journal)).toBe('away');
  });

  it('stays away where its disk cannot be fenced, and that is said', async () => {
    const { keeper, moves, journal, done } = await awayScene(() => [{ state: 'gone' }], {
      broken: (step) => step === 'revoke',
    });
    keeper.start();
    await expect.poll(() => done).toContain('fault: taking back the disk of a VM that ended while away');
    expect(done).not.toContain('allow home');
    expect(placeIn(journal)).toBe('away');
    expect(moves.isMoving(vmUuid)).toBe(false);
  });

  it('is taken back as soon as its disk can be fenced', async () => {
    let broken = true;
    const { keeper, journal, done } = await awayScene(() => [{ state: 'gone', end: { why: 'lease', at } }], {
      broken: (step) => step === 'revoke' && broken,
    });
    keeper.start();
    await expect.poll(() => done).toContain('fault: taking back the disk of a VM that ended while away');
    broken = false;
    await expect.poll(() => placeIn(journal)).toBe('home');
    expect(journal.place(vmUuid)?.place).toMatchObject({ ended: { why: 'lease' } });
    expect(done.filter((one) => one === 'allow home')).toHaveLength(1);
  });

  it('while something else was being done with it, as having it go on: is taken back when that is over', async () => {
    const {
      keeper,
      moves,
      journal,
      done,
      vm: current,
    } = await awayScene(() => [{ state: 'gone', end: { why: 'host-restarted', at } }], {
      place: { ...away, pausedSince: at },
    });
    let isOver: () => void = () => undefined;
    const goingOn = moves.exclusively(current(), () => new Promise<void>((resolve) => (isOver = resolve)));
    keeper.start();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([done, placeIn(journal)]).toEqual([[], 'away']);
    isOver();
    await goingOn;
    await expect.poll(() => done).toEqual(settled('host-restarted'));
    expect(journal.place(vmUuid)?.place).toEqual({
      kind: 'home',
      ended: { why: 'host-restarted', at, hostName: 'tower' },
    });
  });

  it('where its host could not say so at first: is taken back when it can', async () => {
    let asked = 0;
    const { keeper, journal, done } = await awayScene(() => {
      asked += 1;
      if (asked === 1) throw new Error('not now');
      return [{ state: 'gone' }];
    });
    keeper.start();
    await expect.poll(() => placeIn(journal)).toBe('home');
    expect(done[0]).toBe('fault: asking tower for visits');
  });

  it('is not looked at again once it is home, nor after the end', async () => {
    let looks = 0;
    const { keeper, journal } = await awayScene(
      () => {
        looks += 1;
        return [{ state: 'gone' }];
      },
      { broken: (step) => step === 'revoke' && looks < 3 },
    );
    keeper.start();
    await expect.poll(() => placeIn(journal)).toBe('home');
    const seen = looks;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([seen, looks]).toEqual([3, 3]);

    let asked = 0;
    const other = await awayScene(
      () => {
        asked += 1;
        return [{ state: 'gone' }];
      },
      { broken: (step) => step === 'revoke' },
    );
    other.keeper.start();
    await expect.poll(() => other.done).toContain('fault: taking back the disk of a VM that ended while away');
    other.keeper.stop();
    const then = asked;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(asked).toBe(then);
  });
});

describe('a host that answers and does not know the visit', () => {
  it('is noted as having forgotten it, until it lists it again', async () => {
    let listed: readonly Partial<VisitInfo>[] = [];
    const { keeper, forgotten, tell } = await awayScene(() => listed);
    keeper.start();
    await expect.poll(() => [...forgotten]).toEqual([visit]);
    listed = [{ state: 'running' }];
    tell();
    await expect.poll(() => [...forgotten]).toEqual([]);
  });
});

describe('a visit that nothing here refers to', () => {
  const stray = 'b'.repeat(32);

  it('is ended when its host is met, with the reason', async () => {
    const { keeper, done } = await awayScene(() => [
      { state: 'running' },
      { visit: stray, vm: vmUuid, state: 'running' },
    ]);
    keeper.start();
    await expect.poll(() => done).toEqual([`visit.end ${stray} fenced`]);
  });

  it('is ended also where its VM is not served any more, since its adoption was undone or it was deleted', async () => {
    const { keeper, done } = await awayScene(
      () => [{ state: 'running' }, { visit: stray, vm: vmUuid, state: 'paused' }],
      { broken: (step) => step === 'serve' },
    );
    keeper.start();
    await expect.poll(() => done).toEqual([`visit.end ${stray} fenced`]);
  });

  it.each(['gone', 'empty', 'incoming'] as const)(
    'that is %s is ended without a reason: no running VM was cut off, it came home or never left',
    async (state) => {
      const { keeper, done } = await awayScene(() => [{ state: 'running' }, { visit: stray, vm: vmUuid, state }]);
      keeper.start();
      await expect.poll(() => done).toEqual([`visit.end ${stray} undefined`]);
    },
  );

  it('is left alone while it may write its disk: then somebody’s VM lives in it', async () => {
    const { keeper, done } = await awayScene(
      () => [{ state: 'running' }, { visit: stray, vm: vmUuid, state: 'running' }],
      { writers: () => [`visit-${stray}`] },
    );
    keeper.start();
    await expect.poll(() => done).toEqual(['fault: ending a stray visit']);
  });
});

describe('bringing home a VM that has ended', () => {
  const asked = { by: 'user', reason: 'You asked for it.' } as const;

  it.each<[string, readonly Partial<VisitInfo>[], string]>([
    ['gone', [{ state: 'gone' }], 'unknown'],
    ['forgotten', [], 'forgotten'],
  ])('its visit being %s: brings its disk, and says so', async (_what, listed, why) => {
    const { moves, journal, done } = await awayScene(() => listed);
    await expect(moves.home(vm({ place: away }), asked)).rejects.toMatchObject({
      code: 'vm-not-running',
      message: 'work ended while it was away; its disk is back home.',
      hint: 'Start it here: homeward restart-here work',
    });
    expect(placeIn(journal)).toBe('home');
    await expect.poll(() => done).toEqual(settled(why));
  });

  it('one that its host has forgotten is not, where nobody sat there and asked', async () => {
    const { moves, journal, done } = await awayScene(() => []);
    const wanted = { by: 'policy', reason: 'The lid was closed.' } as const;
    await expect(moves.home(vm({ place: away }), wanted)).rejects.toMatchObject({ code: 'refused' });
    expect([done, placeIn(journal)]).toEqual([[], 'away']);
  });

  it('one that runs is moved', async () => {
    const { moves, done } = await awayScene(() => [{ state: 'running' }]);
    await expect(moves.home(vm({ place: away }), asked)).rejects.toThrow('planned');
    expect(done).toEqual([`open ${visit}`]);
  });

  it('one that libvirt holds for half-way gone since its switch failed is not, and what to do is said', async () => {
    const { moves } = await awayScene(() => [{ state: 'running' }], { reason: 'running-postcopy-failed' });
    await expect(moves.home(vm({ place: away }), asked)).rejects.toMatchObject({
      code: 'incompatible',
      message: expect.stringContaining('only after it was shut down'),
      hint: expect.stringContaining('Shut work down from inside'),
    });
  });

  it('one that was started here as well, on another disk, is not: it would be taken for the one that came home', async () => {
    const { moves, done, journal } = await awayScene(() => [{ state: 'running' }], { startedByItself: true });
    await expect(moves.home(vm({ place: { ...away, pausedSince: away.since } }), asked)).rejects.toMatchObject({
      code: 'incompatible',
      message: 'work was started here as well while it was away.',
      hint: 'Shut down the one here, then bring it home: virsh -c qemu:///session shutdown work',
    });
    expect([done, placeIn(journal)]).toEqual([[], 'away']);
  });

  it('one that was paused because this computer left goes on first, also where its visit could not be opened yet', async () => {
    const place = { ...away, pausedSince: at };
    const { moves, journal, done } = await awayScene(() => [{ state: 'paused' }], { place });
    await expect(moves.home(vm({ place }), asked)).rejects.toThrow('planned');
    expect(done).toEqual([`open ${visit}`, 'go on']);
    expect(journal.place(vmUuid)?.place).toEqual(away);
  });

  it('one that was renamed here is not, and what to do is said', async () => {
    const { moves, done } = await awayScene(() => [{ state: 'running' }]);
    const renamed = vm({ place: away, name: 'play', awayTroubles: ['renamed'] });
    await expect(moves.home(renamed, asked)).rejects.toMatchObject({
      code: 'incompatible',
      hint: expect.stringContaining('domrename'),
    });
    expect(done).toEqual([]);
  });
});
