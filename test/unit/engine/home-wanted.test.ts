import { describe, expect, it } from 'vitest';
import { bringHomeFor } from '../../../main/engine/home-wanted.ts';
import { openJournal } from '../../../main/engine/journal.ts';
import type { Place } from '../../../shared/model/vm.ts';
import { hostFingerprint, move, vm, vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

const visit = 'a'.repeat(32);
const tower = { fingerprint: hostFingerprint, name: 'tower' };
const atTower: Place = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit,
  since: '2026-11-20T10:00:00.000Z',
};

async function scene(place: Place = atTower) {
  const journal = await openJournal(`${await tempFolder()}/journal.jsonl`);
  await journal.append({ kind: 'place', vm: vmUuid, place, data: {} });
  const begun: unknown[] = [];
  const moves = {
    isMoving: () => begun.length > 0,
    home: async (...asked: unknown[]) => {
      begun.push(asked);
      return move();
    },
  };
  return { journal, begun, moves, fleet: { settled: async () => vm({ place }) } };
}

describe('a host that needs its room back', () => {
  it('gets it: the VM comes home, and why is said', async () => {
    const { begun, ...rooms } = await scene();
    await bringHomeFor(tower, visit, rooms);
    expect(begun).toEqual([[vm({ place: atTower }), { by: 'host', reason: 'tower needs its room back.' }]]);
    await rooms.journal.close();
  });

  it('asking twice at once begins one move', async () => {
    const { begun, ...rooms } = await scene();
    await Promise.all([bringHomeFor(tower, visit, rooms), bringHomeFor(tower, visit, rooms)]);
    expect(begun).toHaveLength(1);
    await rooms.journal.close();
  });

  it.each<[string, Place, string, string]>([
    ['another host’s visitor', atTower, 'cd'.repeat(32), visit],
    ['another visit', atTower, hostFingerprint, 'b'.repeat(32)],
    ['a VM that is at home', { kind: 'home' }, hostFingerprint, visit],
  ])('is not heard about %s', async (_what, place, fingerprint, named) => {
    const { begun, ...rooms } = await scene(place);
    await bringHomeFor({ fingerprint, name: 'tower' }, named, rooms);
    expect(begun).toEqual([]);
    await rooms.journal.close();
  });

  it('learns nothing of a move that cannot begin; the laptop does', async () => {
    const { begun, ...rooms } = await scene();
    const moves = { ...rooms.moves, home: () => Promise.reject(new Error('no room at home')) };
    await expect(bringHomeFor(tower, visit, { ...rooms, moves })).rejects.toThrow('no room at home');
    expect(begun).toEqual([]);
    await rooms.journal.close();
  });
});
