import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Departure } from '../../../main/engine/departure.ts';
import type { KnownHost } from '../../../main/engine/hosts.ts';
import { openJournal } from '../../../main/engine/journal.ts';
import type { Asked } from '../../../main/engine/moves.ts';
import { PauseAway } from '../../../main/engine/pause-away.ts';
import { defaultSettings } from '../../../main/engine/settings.ts';
import type { Connection } from '../../../main/libvirt/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { Move } from '../../../shared/model/move.ts';
import type { Readings } from '../../../shared/model/signal.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { outOfTime } from '../../../shared/plan/homecoming.ts';
import type { Hurry } from '../../../shared/plan/plan-watch.ts';
import { hostFingerprint, move, vm } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

const first = '00000000-0000-4000-8000-000000000001';
const second = '00000000-0000-4000-8000-000000000002';
const closed: Readings = { lidClosed: true };
const open: Readings = { lidClosed: false };

/** A step that a test lets happen when it wants to. */
interface Gate {
  shut: boolean;
  readonly open: () => void;
  readonly pass: () => Promise<void>;
}

function gate(): Gate {
  let waiting: (() => void)[] = [];
  const made: Gate = {
    shut: false,
    open: () => {
      made.shut = false;
      for (const go of waiting) go();
      waiting = [];
    },
    pass: async () => {
      if (made.shut) await new Promise<void>((go) => waiting.push(go));
    },
  };
  return made;
}

/** The real departure, the real safe end and a real journal, with VMs that are away; libvirt and the moves are scripted. */
async function laptop(uuids: readonly string[]) {
  const journal = await openJournal(`${await tempFolder()}/journal.jsonl`);
  onTestFinished(() => journal.close());
  for (const uuid of uuids) {
    const visit = uuid.replaceAll('-', '').padEnd(32, '0');
    const since = '2026-11-27T08:00:00.000Z';
    const place = { kind: 'away', host: hostFingerprint, hostName: 'tower', visit, since } as const;
    await journal.append({ kind: 'place', vm: uuid, place, data: {} });
  }
  const here = { nowMs: 0, noWay: new Set<string>(), faults: [] as string[], locked: false };
  const suspends = gate();
  const ends = gate();
  const states = new Map(uuids.map((uuid) => [uuid, 'running']));
  const connection = {
    state: async (uuid: string) => ({ state: states.get(uuid) }),
    suspend: async (uuid: string) => {
      await suspends.pass();
      states.set(uuid, 'paused');
    },
    resume: async (uuid: string) => void states.set(uuid, 'running'),
  } as unknown as Connection;
  const vms = (): Vm[] =>
    uuids.map((uuid) => vm({ uuid, name: uuid, place: journal.place(uuid)?.place ?? { kind: 'home' } }));

  const running = new Map<string, Move>();
  const ended = new Map<string, PromiseWithResolvers<Move>>();
  const busy = new Set<string>();
  const over = (uuid: string, failure: string): void => {
    const was = running.get(uuid);
    if (was === undefined) return;
    running.delete(uuid);
    ended.get(was.id)?.resolve({ ...was, phase: 'failed', failure });
  };
  const callOff = async (uuid: string): Promise<void> => {
    await ends.pass();
    over(uuid, outOfTime);
  };
  const moves = {
    isMoving: (uuid: string) => busy.has(uuid) || running.has(uuid),
    underWay: () => [...running.values()],
    isTakenUp: () => true,
    exclusively: async <T>({ uuid }: { uuid: string }, act: () => Promise<T>): Promise<T> => {
      if (moves.isMoving(uuid)) throw new HomewardError('vm-busy', 'It is already being moved.');
      busy.add(uuid);
      try {
        return await act();
      } finally {
        busy.delete(uuid);
      }
    },
    wait: (id: string) => ended.get(id)?.promise ?? Promise.reject(new Error('no such move')),
    home: async ({ uuid }: Vm, { hurry }: Asked) => {
      if (moves.isMoving(uuid)) throw new HomewardError('vm-busy', 'It is already being moved.');
      const began = move({ id: uuid.replaceAll('-', ''), vm: uuid, direction: 'home', phase: 'copying' });
      ended.set(began.id, Promise.withResolvers());
      running.set(uuid, began);
      moves.hurry(uuid, hurry);
      if (here.noWay.has(uuid)) void callOff(uuid);
      return began;
    },
    cancel: ({ uuid }: Vm) => {
      void callOff(uuid);
      return move();
    },
    hurry: (uuid: string, hurry: Hurry | undefined) => {
      const { deadlineAt: _before, ...began } = running.get(uuid) ?? move();
      const at = hurry && new Date(here.nowMs + hurry.deadlineMs).toISOString();
      running.set(uuid, at === undefined ? began : { ...began, deadlineAt: at });
      return at !== undefined;
    },
  };
  const onFault = (what: string, thrown: unknown): void => void here.faults.push(`${what}: ${thrown}`);
  const pauseAway = new PauseAway({
    journal,
    moves,
    hosts: { need: () => ({ link: { state: 'up' } }) as KnownHost, onUp: () => undefined },
    visits: { connection: async () => connection },
    onChange: () => undefined,
    onFault,
    patienceMs: 2_000,
  });
  const departure = new Departure({
    fleet: { list: vms },
    journal,
    moves,
    settings: { current: defaultSettings() },
    power: {
      arm: () => undefined,
      disarm: async () => undefined,
      hold: async () => void Object.assign(here, { locked: true }),
      release: async () => void Object.assign(here, { locked: false }),
    },
    isReachable: () => true,
    bringHome: (which, asked) => pauseAway.bringHome(which, asked),
    safeEnd: pauseAway,
    onDecision: () => undefined,
    onFault,
    now: () => here.nowMs,
  });
  departure.sync();
  return {
    here,
    suspends,
    ends,
    moving: (uuid: string): Move | undefined => running.get(uuid),
    over,
    state: (uuid: string) => states.get(uuid),
    isWritten: (uuid: string): boolean => {
      const place = journal.place(uuid)?.place;
      return place?.kind === 'away' && place.pausedSince !== undefined;
    },
    /** Looks until that second; what each look begins is given a moment. */
    until: async (s: number, readings: Readings): Promise<void> => {
      while (here.nowMs < s * 1_000) {
        here.nowMs += 1_000;
        departure.onReadings(readings);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
  };
}

describe('a VM that is paused for a departure', () => {
  it('goes on though the lid was opened before it was paused: another was paused already, and this one too late', async () => {
    const { here, until, state, moving, over, isWritten } = await laptop([first, second]);
    here.noWay.add(first);
    await until(20, closed);
    await vi.waitFor(() => expect(state(first)).toBe('paused'));
    await until(22, closed);
    expect(moving(second)?.deadlineAt).toBeDefined();
    await until(30, open);
    await vi.waitFor(() => expect(state(first)).toBe('running'));
    expect(moving(second)).not.toHaveProperty('deadlineAt');
    // Called off all the same, as where that was under way: nobody leaves, so it is not paused.
    over(second, outOfTime);
    await until(35, open);
    expect(state(second)).toBe('running');
    // Closed again, and opened after both were called off.
    await until(50, closed);
    over(second, outOfTime);
    await vi.waitFor(() => expect([state(second), isWritten(first)]).toEqual(['paused', true]));
    await until(60, open);
    await vi.waitFor(() => expect([state(first), state(second)]).toEqual(['running', 'running']));
    expect(here.faults).toEqual([]);
  });

  it('goes on where the lid is opened while it is being paused: it is written down as paused, and is not yet', async () => {
    const { here, until, state, suspends, isWritten } = await laptop([first]);
    here.noWay.add(first);
    suspends.shut = true;
    await until(3, closed);
    await vi.waitFor(() => expect(isWritten(first)).toBe(true));
    await until(4, open);
    expect(state(first)).toBe('running');
    suspends.open();
    await vi.waitFor(() => expect(isWritten(first)).toBe(false));
    await until(8, open);
    expect([state(first), isWritten(first), here.locked]).toEqual(['running', false, true]);
    expect(here.faults).toEqual([]);
  });

  it('is not paused at all where the lid is opened while its move is still being called off', async () => {
    const { here, until, state, suspends, ends, moving, isWritten } = await laptop([first]);
    await until(10, closed);
    expect(moving(first)).toBeDefined();
    ends.shut = true;
    here.nowMs = 295_000;
    await until(302, closed);
    expect(here.locked).toBe(true);
    await until(304, open);
    suspends.shut = true;
    ends.open();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([state(first), isWritten(first)]).toEqual(['running', false]);
    await until(310, open);
    expect([state(first), here.locked, here.faults]).toEqual(['running', true, []]);
  });

  it('goes on where its pause takes longer than the lid waits, and ends after the lid was opened', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'], shouldAdvanceTime: true, advanceTimeDelta: 20 });
    onTestFinished(() => void vi.useRealTimers());
    const { here, until, state, suspends, isWritten } = await laptop([first]);
    suspends.shut = true;
    await until(1, { ending: { how: 'sleep', delayMs: 5_000 } });
    await vi.waitFor(() => expect(isWritten(first)).toBe(true));
    await vi.advanceTimersByTimeAsync(15_000);
    await until(3, open);
    suspends.open();
    await vi.waitFor(() => expect([state(first), isWritten(first)]).toEqual(['running', false]));
    await until(8, open);
    expect([state(first), here.locked]).toEqual(['running', true]);
  });

  it('goes on where no sleep comes of the closed lid, and is paused by one that comes after all', async () => {
    const { here, until, state, isWritten, moving } = await laptop([first]);
    await until(10, closed);
    here.nowMs = 295_000;
    await until(305, closed);
    await vi.waitFor(() => expect([state(first), here.locked]).toEqual(['paused', false]));
    await until(340, closed);
    expect(state(first)).toBe('paused');
    await until(360, closed);
    await vi.waitFor(() => expect([state(first), isWritten(first)]).toEqual(['running', false]));
    here.nowMs = 790_000;
    await until(800, closed);
    expect([state(first), moving(first), here.locked]).toEqual(['running', undefined, false]);
    await until(804, { ...closed, ending: { how: 'sleep', delayMs: 5_000 } });
    await vi.waitFor(() => expect(state(first)).toBe('paused'));
    await until(815, open);
    await vi.waitFor(() => expect([state(first), here.locked]).toEqual(['running', true]));
    // The next time it counts again.
    await until(820, closed);
    expect(moving(first)?.deadlineAt).toBeDefined();
    expect(here.faults).toEqual([]);
  });
});
