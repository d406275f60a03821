import { describe, expect, it, onTestFinished } from 'vitest';
import type { KnownHost } from '../../../main/engine/hosts.ts';
import { type Journal, openJournal } from '../../../main/engine/journal.ts';
import { PauseAway } from '../../../main/engine/pause-away.ts';
import type { Connection } from '../../../main/libvirt/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { Move } from '../../../shared/model/move.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { outOfTime } from '../../../shared/plan/homecoming.ts';
import { hostFingerprint, move, vm, vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

const away = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit: 'a'.repeat(32),
  since: '2026-11-20T10:00:00.000Z',
} as const;
const reason = 'The lid is closed.';

interface Scene {
  readonly pauseAway: PauseAway;
  readonly journal: Journal;
  /** What was done to the visitor, in order, with what the journal said then. */
  readonly done: string[];
  readonly faults: string[];
  /** The visitor as its libvirt has it. */
  readonly visitor: { state: 'running' | 'paused'; reachable: boolean; suspends: boolean };
  /** The VM's move, if any. */
  readonly moving: { now: Move | undefined; readonly cancelled: string[]; end: (move: Move) => void };
  readonly linkUp: () => void;
}

/** A VM that is away, by a real journal; libvirt and the moves say what a test has them say. */
async function scene(place: Vm['place'] = away): Promise<Scene> {
  const file = `${await tempFolder()}/journal.jsonl`;
  const journal = await openJournal(file);
  onTestFinished(() => journal.close());
  await journal.append({ kind: 'place', vm: vmUuid, place, data: { kept: 'by all that follows' } });
  return sceneOn(journal);
}

function sceneOn(journal: Journal): Scene {
  const done: string[] = [];
  const faults: string[] = [];
  const visitor = { state: 'running' as 'running' | 'paused', reachable: true, suspends: true };
  const written = (): string => (isPaused(journal) ? 'written' : 'not written');
  const connection = {
    state: async () => ({
      state: visitor.state,
      reason: visitor.state === 'paused' ? 'paused-user' : 'running-booted',
    }),
    suspend: async () => {
      done.push(`suspend, ${written()}`);
      if (!visitor.suspends) throw new Error('the link broke');
      visitor.state = 'paused';
    },
    resume: async () => {
      done.push(`resume, ${written()}`);
      visitor.state = 'running';
    },
  } as unknown as Connection;
  let ended: (move: Move) => void = () => undefined;
  const end = new Promise<Move>((resolve) => {
    ended = resolve;
  });
  const moving: Scene['moving'] = {
    now: undefined,
    cancelled: [],
    end: (last) => {
      moving.now = undefined;
      ended(last);
    },
  };
  let tell = (): void => undefined;
  const pauseAway = new PauseAway({
    journal,
    hosts: {
      need: () => ({ link: { state: visitor.reachable ? 'up' : 'down' } }) as KnownHost,
      onUp: (listener) => {
        tell = () => listener({ fingerprint: hostFingerprint } as KnownHost);
      },
    },
    moves: {
      isMoving: () => moving.now !== undefined,
      underWay: () => (moving.now === undefined ? [] : [moving.now]),
      exclusively: (_vm, act) => act(),
      wait: () => end,
      home: async () => {
        moving.now = move({ direction: 'home', phase: 'copying' });
        return moving.now;
      },
      cancel: (_vm, why) => {
        moving.cancelled.push(why ?? '');
        const called = { ...(moving.now ?? move()), cancellable: false };
        setTimeout(() => moving.end({ ...called, phase: 'failed', failure: why ?? '' }), 5);
        return called;
      },
    },
    visits: {
      connection: async () => {
        if (!visitor.reachable) throw new HomewardError('host-unreachable', 'The link is down.');
        return connection;
      },
    },
    onChange: () => undefined,
    onFault: (what) => faults.push(what),
    patienceMs: 200,
  });
  return { pauseAway, journal, done, faults, visitor, moving, linkUp: () => tell() };
}

function isPaused(journal: Journal): boolean {
  const place = journal.place(vmUuid)?.place;
  return place?.kind === 'away' && place.pausedSince !== undefined;
}

const lastNote = (journal: Journal): unknown => journal.history(1)[0];

describe('a VM that is away when this computer must leave', () => {
  it('is paused at its host, which is written down before, and goes on when this computer is back', async () => {
    const { pauseAway, journal, done, visitor } = await scene();
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    expect(done).toEqual(['suspend, written']);
    expect(visitor.state).toBe('paused');
    expect(journal.place(vmUuid)?.data).toEqual({ kept: 'by all that follows' });
    expect(lastNote(journal)).toMatchObject({
      text: expect.stringMatching(/^work was paused on tower\. The lid is closed\. It goes on/),
    });
    await pauseAway.wakeUp();
    expect(done).toEqual(['suspend, written', 'resume, written']);
    expect(isPaused(journal)).toBe(false);
    expect(journal.place(vmUuid)?.data).toEqual({ kept: 'by all that follows' });
  });

  it('is left alone where somebody else paused it, then and afterwards', async () => {
    const { pauseAway, journal, done, visitor } = await scene();
    visitor.state = 'paused';
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    await pauseAway.wakeUp();
    expect(done).toEqual([]);
    expect(isPaused(journal)).toBe(false);
  });

  it('is at home: there is nothing to pause', async () => {
    const { pauseAway, done } = await scene({ kind: 'home' });
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    expect(done).toEqual([]);
  });

  it('is not woken by a link that comes back before this computer leaves, but by one that does afterwards', async () => {
    const { pauseAway, visitor, linkUp, journal, faults } = await scene();
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    linkUp();
    visitor.reachable = false;
    await pauseAway.wakeUp();
    expect(visitor.state).toBe('paused');
    expect(faults).toEqual([]);
    visitor.reachable = true;
    linkUp();
    await expect.poll(() => visitor.state).toBe('running');
    await expect.poll(() => isPaused(journal)).toBe(false);
  });

  it('whose host cannot be reached runs on there, and sleep is not held up', async () => {
    const { pauseAway, visitor, done, faults, journal } = await scene();
    visitor.reachable = false;
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    expect(done).toEqual([]);
    expect(faults).toEqual(['pausing work']);
    expect(isPaused(journal)).toBe(false);
  });

  it('that may or may not have been paused, as when the link breaks, goes on all the same', async () => {
    const { pauseAway, visitor, journal } = await scene();
    visitor.suspends = false;
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    expect(isPaused(journal)).toBe(true);
    visitor.state = 'paused';
    await pauseAway.wakeUp();
    expect(visitor.state).toBe('running');
    expect(isPaused(journal)).toBe(false);
  });

  it('goes on with the next engine, which reads of it in the journal', async () => {
    const first = await scene();
    await first.pauseAway.pauseAway([{ vm: vm(), reason }]);
    const next = sceneOn(first.journal);
    next.visitor.state = 'paused';
    next.linkUp();
    expect(next.done).toEqual([]);
    await next.pauseAway.wakeUp();
    expect(next.done).toEqual(['resume, written']);
  });
});

describe('a VM on the move when this computer must leave', () => {
  it('is called off before the switch, then paused', async () => {
    const { pauseAway, moving, done } = await scene();
    moving.now = move({ direction: 'home', phase: 'copying' });
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    expect(moving.cancelled).toEqual([outOfTime]);
    expect(done).toEqual(['suspend, written']);
  });

  it('after the switch, is left to its migration, and that is written down', async () => {
    const { pauseAway, moving, done, journal } = await scene();
    moving.now = move({ direction: 'home', phase: 'postcopy', mode: 'postcopy', cancellable: false });
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    expect(moving.cancelled).toEqual([]);
    expect(done).toEqual([]);
    expect(lastNote(journal)).toMatchObject({ text: expect.stringMatching(/^work is half-way between two machines/) });
  });

  it('whose move does not end in time is not waited for any longer', async () => {
    const { pauseAway, moving, done, journal } = await scene();
    moving.now = move({ direction: 'home', phase: 'paused', cancellable: false });
    await pauseAway.pauseAway([{ vm: vm(), reason }]);
    expect(done).toEqual([]);
    expect(lastNote(journal)).toMatchObject({ text: expect.stringMatching(/half-way/) });
  });
});

describe('a VM that is to be home in time', () => {
  const asked = { by: 'policy', reason, deadlineMs: 10_000 } as const;

  it('is paused where it is when the time has run out', async () => {
    const { pauseAway, moving, visitor, journal } = await scene();
    expect(await pauseAway.bringHome(vm({ place: away }), asked)).toMatchObject({ direction: 'home' });
    moving.end(move({ direction: 'home', phase: 'failed', failure: outOfTime, deadlineAt: away.since }));
    await expect.poll(() => visitor.state).toBe('paused');
    expect(isPaused(journal)).toBe(true);
  });

  it('goes on where it is when nobody waits for it any more by the time its move is called off', async () => {
    const { pauseAway, moving, done } = await scene();
    await pauseAway.bringHome(vm({ place: away }), asked);
    moving.end(move({ direction: 'home', phase: 'failed', failure: outOfTime }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(done).toEqual([]);
  });

  it('goes on where it is when its move was called off, or failed, for another reason', async () => {
    const { pauseAway, moving, done } = await scene();
    await pauseAway.bringHome(vm({ place: away }), asked);
    moving.end(move({ direction: 'home', phase: 'failed', failure: 'cancelled before the switch' }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(done).toEqual([]);
  });
});
