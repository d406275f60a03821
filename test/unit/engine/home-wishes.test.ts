import { describe, expect, it } from 'vitest';
import { openJournal } from '../../../main/engine/journal.ts';
import { cancelledByUser } from '../../../shared/machine/move-machine.ts';
import { vmUuid } from '../samples.ts';
import { away, awayScene } from './away-scene.ts';
import { tempFolder } from './temp-folder.ts';

const went = 'move home for policy: the battery is low';

describe('a VM that is wanted home', () => {
  it('comes at once where its host can be reached', async () => {
    const { wishes, done, vm } = await awayScene(() => []);
    await wishes.wantHome(vm(), 'the battery is low');
    await expect.poll(() => done).toEqual([went]);
  });

  it('waits where it cannot, and comes when the host is met, after a crash too', async () => {
    const far = await awayScene(() => [], { unreachable: true });
    await far.wishes.wantHome(far.vm(), 'the battery is low');
    expect(far.done).toEqual([]);
    const near = await awayScene(() => []);
    const wish = far.journal.wish(vmUuid);
    if (wish === undefined) throw new Error('It was not written down.');
    await near.journal.append({ kind: 'wish', vm: vmUuid, wish });
    near.wishes.start();
    await expect.poll(() => near.done).toEqual([went]);
  });

  it('is not disturbed while it moves', async () => {
    const { wishes, done, vm } = await awayScene(() => [], { isMoving: () => true });
    await wishes.wantHome(vm(), 'the battery is low');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(done).toEqual([]);
  });

  it('stays where somebody takes the wish back', async () => {
    const { wishes, journal, done, vm } = await awayScene(() => [], { unreachable: true });
    await wishes.wantHome(vm(), 'the battery is low');
    await wishes.withdraw(vm());
    expect(journal.wish(vmUuid)).toBeUndefined();
    await expect(wishes.withdraw(vm())).rejects.toMatchObject({ code: 'bad-input' });
    expect(done).toEqual([]);
  });

  it('stays where the user cancels the move, and is tried again where it failed', async () => {
    const cancelled = await awayScene(() => [], { moveEnds: { failure: cancelledByUser } });
    await cancelled.wishes.wantHome(cancelled.vm(), 'the battery is low');
    await expect.poll(() => cancelled.journal.wish(vmUuid)).toBeUndefined();
    const failed = await awayScene(() => [], { moveEnds: { failure: 'the host is busy' } });
    await failed.wishes.wantHome(failed.vm(), 'the battery is low');
    await expect.poll(() => failed.done).toEqual([went]);
    expect(failed.journal.wish(vmUuid)).toBeDefined();
  });

  it('that is at home already is not wanted', async () => {
    const { wishes, vm } = await awayScene(() => [], { place: { kind: 'home' } });
    await expect(wishes.wantHome(vm(), 'the battery is low')).rejects.toMatchObject({ code: 'vm-home' });
  });

  it('is told when the move cannot begin, and the wish stays', async () => {
    const { wishes, journal, done, vm } = await awayScene(() => [], { broken: (step) => step === 'move home' });
    await wishes.wantHome(vm(), 'the battery is low');
    await expect.poll(() => done).toEqual(['fault: bringing a VM home as was wanted']);
    expect(journal.wish(vmUuid)).toMatchObject({ reason: 'the battery is low' });
  });
});

it('a wish is kept over restarts and compaction, and lapses with the visit', async () => {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await openJournal(file, { compactAboveBytes: 1_000 });
  await journal.append({ kind: 'place', vm: vmUuid, place: away, data: {} });
  const wish = { visit: away.visit, reason: 'lid closed', askedBy: 'policy' as const, since: away.since };
  await journal.append({ kind: 'wish', vm: vmUuid, wish });
  for (let at = 0; at < 50; at += 1) await journal.append({ kind: 'event', text: 'x'.repeat(100) });
  await journal.close();
  const next = await openJournal(file);
  expect(next.wish(vmUuid)).toEqual(wish);
  await next.append({ kind: 'place', vm: vmUuid, place: { kind: 'home' }, data: null });
  expect(next.wish(vmUuid)).toBeUndefined();
  await next.append({ kind: 'place', vm: vmUuid, place: { ...away, visit: 'b'.repeat(32) }, data: {} });
  expect(next.wish(vmUuid)).toBeUndefined();
  await next.close();
});
