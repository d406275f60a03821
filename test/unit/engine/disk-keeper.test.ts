import { describe, expect, it, onTestFinished } from 'vitest';
import { DiskKeeper } from '../../../main/engine/disk-keeper.ts';
import type { HomeService } from '../../../main/engine/home-services.ts';
import { openJournal } from '../../../main/engine/journal.ts';
import { writersOf } from '../../../main/engine/writers.ts';
import type { Connection } from '../../../main/libvirt/index.ts';
import { type MoveEvent, type MoveState, planned, step } from '../../../shared/machine/move-machine.ts';
import type { Seen } from '../../../shared/machine/verdict.ts';
import type { Direction } from '../../../shared/model/move.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { move, vm, vmUuid } from '../samples.ts';
import { away } from './away-scene.ts';
import { tempFolder } from './temp-folder.ts';

const adoption = {
  vm: vmUuid,
  name: 'work',
  connection: 'session' as const,
  originalXml: '<domain/>',
  disks: [],
  nics: [],
};

interface Given {
  reason?: string;
  /** What QEMU calls its state. */
  status?: string;
  ready?: boolean;
  broken?: boolean;
  moving?: boolean;
  /** Which daemon serves. */
  daemon?: string;
}

function keeper(one: Vm, given: Given = {}) {
  const done: string[] = [];
  const connection = {
    state: async () => ({ state: 'paused', reason: given.reason ?? 'paused-ioerror' }),
    qemuMonitorCommand: async () => ({ status: given.status ?? 'paused' }),
  } as unknown as Connection;
  const disks = new DiskKeeper({
    adoptions: { all: () => [adoption], isReady: () => given.ready ?? true },
    services: {
      refresh: async () => {
        if (given.broken === true) throw new Error('The drive is gone.');
        done.push('serve');
        return { disk: { daemon: given.daemon ?? 'first' } } as HomeService;
      },
    },
    fleet: { list: () => [one], connection: async () => connection },
    moves: { isMoving: () => given.moving ?? false },
    journal: { append: async (entry) => void done.push(entry.kind === 'event' ? 'tell' : entry.kind) },
    onFault: (what) => done.push(`fault: ${what}`),
    now: () => new Date('2026-11-20T10:00:00Z'),
  });
  return { disks, done };
}

describe('the disk of a VM', () => {
  it.each<[string, Vm, Parameters<typeof keeper>[1], string[]]>([
    ['running: is served', vm(), {}, ['serve']],
    ['away: is served', vm({ place: away, state: 'paused' }), {}, ['serve']],
    ['stopped because it did not answer: is served, and its user told', vm({ state: 'paused' }), {}, ['serve', 'tell']],
    [
      'stopped so during a move, which libvirt has forgotten: the same',
      vm({ state: 'paused' }),
      { reason: 'paused-user', status: 'io-error' },
      ['serve', 'tell'],
    ],
    ['paused by somebody: stays so', vm({ state: 'paused' }), { reason: 'paused-user' }, ['serve']],
    ['paused on its way: is the move’s', vm({ state: 'paused' }), { moving: true }, ['serve']],
    ['being made ready, or given back: is left alone', vm({ state: 'paused' }), { ready: false }, []],
  ])('%s', async (_what, one, given, expected) => {
    const { disks, done } = keeper(one, given);
    await disks.look();
    expect(done).toEqual(expected);
  });

  it('that cannot be served is told, and not tried again at once', async () => {
    const { disks, done } = keeper(vm({ state: 'paused' }), { broken: true });
    await disks.look();
    await disks.look();
    expect(done).toEqual(['fault: serving the disk of work']);
  });

  it('of a VM that stays stopped is told of once', async () => {
    const { disks, done } = keeper(vm({ state: 'paused' }));
    await disks.look();
    await disks.look();
    expect(done).toEqual(['serve', 'tell', 'serve']);
  });
});

describe('what is told of a storage daemon', () => {
  const at = new Date('2026-11-20T10:00:00Z');

  it('is nothing while the same one serves', async () => {
    const { disks } = keeper(vm());
    await disks.look();
    await disks.look();
    expect(disks.story(vmUuid)).toEqual({ restarts: [], stopped: false });
  });

  it('is that another one had to be started', async () => {
    const given: Given = {};
    const { disks } = keeper(vm(), given);
    await disks.look();
    given.daemon = 'second';
    await disks.look();
    await disks.look();
    expect(disks.story(vmUuid)).toEqual({ restarts: [at], stopped: false });
  });

  it('is not that one was ended with what it was for', async () => {
    const given: Given = {};
    const { disks } = keeper(vm(), given);
    await disks.look();
    given.ready = false;
    await disks.look();
    Object.assign(given, { ready: true, daemon: 'second' });
    await disks.look();
    expect(disks.story(vmUuid).restarts).toEqual([]);
  });

  it('is why none can be started', async () => {
    const { disks } = keeper(vm(), { broken: true });
    await disks.look();
    expect(disks.story(vmUuid).down).toEqual({ since: at, sentence: 'The drive is gone.' });
  });

  it('is that a VM stands still for it', async () => {
    const { disks } = keeper(vm({ state: 'paused' }));
    await disks.look();
    expect(disks.story(vmUuid).stopped).toBe(true);
  });
});

describe('who may write when a storage daemon begins anew', () => {
  const visit = `visit-${away.visit}`;

  const thisBoot = '11111111-2222-4333-8444-555555555555';
  const anotherBoot = '99999999-8888-4777-8666-555555555555';

  async function writers(
    place: Vm['place'],
    state?: MoveState,
    { began = thisBoot, atHome = 'running' }: { began?: string | null; atHome?: Seen } = {},
  ): Promise<string[]> {
    const journal = await openJournal(`${await tempFolder()}/journal.jsonl`);
    onTestFinished(() => journal.close());
    await journal.append({ kind: 'place', vm: vmUuid, place });
    if (state !== undefined) {
      const record = { visit: away.visit, migrationFolder: '/tmp/homeward-0123456789', homeXml: '<domain/>' };
      await journal.append({
        kind: 'move',
        move: move({ phase: state.phase, direction: state.direction }),
        data: { state: JSON.parse(JSON.stringify(state)), record, ...(began === null ? {} : { bootId: began }) },
      });
    }
    return writersOf(vmUuid, journal, { bootId: async () => thisBoot, seen: async () => atHome });
  }

  const reached = (direction: Direction, ...events: readonly MoveEvent[]): MoveState =>
    events.reduce((state, event) => step(state, event).state, planned(direction));
  const begun = [{ kind: 'begin' }, { kind: 'prepared' }] as const;
  const arrived = [...begun, { kind: 'migrate-succeeded' }] as const;
  const settling = [...arrived, { kind: 'place-recorded' }] as const;
  /** Waits for the link, with both ends out of sight. */
  const waiting = (direction: Direction): MoveState =>
    reached(
      direction,
      ...begun,
      { kind: 'migrate-failed', reason: 'the link broke' },
      { kind: 'seen', source: 'unknown', destination: 'unknown' },
    );
  const failed = [{ kind: 'begin' }, { kind: 'prepare-failed', reason: 'no room' }] as const;

  it.each<[string, Vm['place'], MoveState | undefined, string[]]>([
    ['at home', { kind: 'home' }, undefined, ['home']],
    ['away', away, undefined, [visit]],
    ['away and being cut off', { ...away, restarting: { start: true } }, undefined, ['home']],
    ['moving out', { kind: 'home' }, reached('out', ...begun), [visit, 'home']],
    ['moving home', away, reached('home', ...begun), [visit, 'home']],
    ['arrived there', { kind: 'home' }, reached('out', ...arrived), [visit]],
    ['arrived at home', away, reached('home', ...arrived), ['home']],
    ['arrived there, tidying up', away, reached('out', ...settling), [visit]],
    ['arrived at home, tidying up', { kind: 'home' }, reached('home', ...settling), ['home']],
    ['not moved out, tidying up', { kind: 'home' }, reached('out', ...failed), ['home']],
    ['not moved home, tidying up', away, reached('home', ...failed), [visit]],
  ])('%s', async (_what, place, state, expected) => {
    expect(await writers(place, state)).toEqual(expected);
  });

  it.each<[string, Direction, string | null, Seen, string[]]>([
    ['the source runs', 'out', thisBoot, 'running', [visit, 'home']],
    ['the source stands still for the switch', 'out', thisBoot, 'paused', [visit, 'home']],
    ['the receiver waits', 'home', thisBoot, 'incoming', [visit, 'home']],
    ['libvirt does not answer', 'out', thisBoot, 'unknown', [visit, 'home']],
    ['the source has gone', 'out', thisBoot, 'absent', [visit]],
    ['the receiver has gone', 'home', thisBoot, 'absent', [visit]],
    ['this computer was started anew', 'out', anotherBoot, 'unknown', [visit]],
    ['this computer was started anew, on the way home', 'home', anotherBoot, 'unknown', [visit]],
    ['an earlier version did not write down in which boot it began', 'home', null, 'unknown', [visit]],
  ])(
    'while a move is undecided, home only where it can have a copy: %s',
    async (_what, direction, began, atHome, to) => {
      const place: Vm['place'] = direction === 'out' ? { kind: 'home' } : away;
      const states = [reached(direction, ...begun), reached(direction, { kind: 'begin' }), waiting(direction)];
      for (const state of states) expect(await writers(place, state, { began, atHome })).toEqual(to);
    },
  );

  it.each<Direction>(['out', 'home'])(
    'a move %s that is decided asks neither libvirt nor the clock',
    async (direction) => {
      const state = reached(direction, ...arrived);
      const given = { began: anotherBoot, atHome: 'absent' } as const;
      expect(await writers(away, state, given)).toEqual([direction === 'out' ? visit : 'home']);
    },
  );
});
