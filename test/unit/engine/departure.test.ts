import { describe, expect, it, vi } from 'vitest';
import { Departure, type DepartureOptions } from '../../../main/engine/departure.ts';
import { powerFindings } from '../../../main/engine/power-findings.ts';
import { defaultSettings } from '../../../main/engine/settings.ts';
import { cancelledByUser } from '../../../shared/machine/move-machine.ts';
import type { Move } from '../../../shared/model/move.ts';
import { changedDeparture, type DepartureChange, type Readings } from '../../../shared/model/signal.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import type { Hurry } from '../../../shared/plan/plan-watch.ts';
import type { Decision } from '../../../shared/rpc.ts';
import { hostFingerprint, MiB, move, vm, vmUuid } from '../samples.ts';

const away: Vm['place'] = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit: 'f'.repeat(32),
  since: '2026-11-26T08:00:00.000Z',
};
const homeward = (over: Partial<Move> = {}): Move => move({ direction: 'home', phase: 'copying', ...over });

/** A laptop whose VM is away, with every room scripted. */
function laptop(over: Partial<DepartureOptions> = {}, change: DepartureChange = {}) {
  const did: string[] = [];
  const told: Decision[] = [];
  const here = {
    place: away as Vm['place'],
    moves: [] as Move[],
    nowMs: 0,
    reachable: true,
    hurry: undefined as Hurry | undefined,
  };
  const note = (what: string) => async () => void did.push(what);
  const departure = new Departure({
    fleet: { list: () => [vm({ place: here.place })] },
    journal: { append: note('journal'), places: () => [{ vm: vmUuid, place: here.place, data: undefined }] },
    moves: {
      underWay: () => here.moves,
      isTakenUp: () => true,
      isMoving: () => here.moves.length > 0,
      cancel: () => {
        did.push('cancel');
        return move();
      },
      hurry: (_vm, hurry) => {
        here.hurry = hurry;
        return hurry !== undefined;
      },
    },
    settings: { current: { ...defaultSettings(), departure: changedDeparture(defaultSettings().departure, change) } },
    power: {
      arm: () => void did.push('arm'),
      disarm: note('disarm'),
      hold: note('hold'),
      release: note('release'),
    },
    isReachable: () => here.reachable,
    bringHome: note('home'),
    safeEnd: { pauseAway: note('pause'), wakeUp: note('wake') },
    onDecision: (decision) => told.push(decision),
    onFault: (what) => void did.push(`fault: ${what}`),
    now: () => here.nowMs,
    ...over,
  });
  return {
    departure,
    here,
    told,
    did,
    /** What was done since the last time. */
    done: () => did.splice(0),
    async second(readings: Readings = {}): Promise<void> {
      here.nowMs += 1_000;
      departure.onReadings(readings);
      await Promise.resolve();
    },
  };
}

const closed: Readings = { lidClosed: true };

describe('leaving', () => {
  it('nothing is watched or held while every VM is at home', () => {
    const { departure, here, done } = laptop();
    here.place = { kind: 'home' };
    departure.sync();
    departure.onReadings(closed);
    expect(done()).toEqual([]);
  });

  it('is watched for, and the lid held, from the first moment of a move out until the VM is home', () => {
    const { departure, here, done } = laptop();
    here.place = { kind: 'home' };
    here.moves = [move({ phase: 'preparing' })];
    departure.moved(move({ phase: 'preparing' }));
    expect(done()).toEqual(['arm', 'hold']);
    here.moves = [];
    here.place = away;
    departure.moved(move({ phase: 'done' }));
    expect(done()).toEqual([]);
    here.place = { kind: 'home' };
    departure.moved(homeward({ phase: 'done' }));
    expect(done()).toEqual(['disarm']);
  });

  it('brings the VM home once, tells it once with the reason, and writes it down', async () => {
    const { departure, here, done, told, second } = laptop();
    departure.sync();
    done();
    await second(closed);
    here.moves = [homeward()];
    await second(closed);
    await second(closed);
    expect(done().filter((what) => what !== 'hold')).toEqual(['journal', 'home']);
    expect(told).toMatchObject([
      { action: 'home', outcome: 'acted', policy: 'departure', vmName: 'work', reason: 'The lid is closed.' },
    ]);
  });

  it('hands on what is left of the time', async () => {
    const bringHome = vi.fn(async () => undefined);
    const { departure, second, here } = laptop({ bringHome });
    here.reachable = false;
    departure.sync();
    await second(closed);
    await second(closed);
    expect(bringHome).not.toHaveBeenCalled();
    here.reachable = true;
    await second(closed);
    expect(bringHome).toHaveBeenCalledWith(expect.objectContaining({ name: 'work' }), {
      by: 'policy',
      reason: 'The lid is closed.',
      hurry: { deadlineMs: 298_000, pausesWhenLate: true },
    });
  });

  it.each(['policy', 'user', 'host'] as const)(
    'a move home that %s asked for keeps to the lid as it is',
    async (askedBy) => {
      const { departure, here, second } = laptop();
      here.moves = [homeward({ askedBy })];
      departure.sync();
      await second();
      expect(here.hurry).toBeUndefined();
      await second(closed);
      expect(here.hurry).toEqual({ deadlineMs: 300_000, pausesWhenLate: true });
      for (let s = 0; s < 9; s += 1) await second(closed);
      expect(here.hurry?.deadlineMs).toBe(291_000);
      await second({ lidClosed: false });
      expect(here.hurry).toBeUndefined();
      here.nowMs = 250_000;
      await second(closed);
      expect(here.hurry?.deadlineMs).toBe(300_000);
    },
  );

  it('brings one home at a time, that with the least memory in use first, and the next when it is there or cannot be', async () => {
    const [small, large, broken] = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`);
    const sizes: Record<string, number> = { [`${broken}`]: 1, [`${small}`]: 2, [`${large}`]: 3 };
    const moving = new Set<string>();
    const home: string[] = [];
    const begun: string[] = [];
    const vms = (): Vm[] =>
      Object.entries(sizes).map(([uuid, gib]) =>
        vm({ uuid, place: away, memoryBytes: 16 * 1024 * MiB, sample: { usedMemoryBytes: gib } as Vm['sample'] }),
      );
    const starting = Promise.withResolvers<void>();
    const { departure, second } = laptop({
      fleet: { list: vms },
      journal: {
        append: async () => undefined,
        places: () =>
          Object.keys(sizes).flatMap((uuid) => (home.includes(uuid) ? [] : [{ vm: uuid, place: away, data: {} }])),
      },
      moves: {
        underWay: () => [...moving].map((uuid) => homeward({ vm: uuid })),
        isTakenUp: () => true,
        isMoving: (uuid) => moving.has(uuid),
        cancel: () => move(),
        hurry: () => true,
      },
      bringHome: async ({ uuid }) => {
        begun.push(uuid);
        if (uuid === broken) throw new Error('no room');
        if (uuid === small) await starting.promise;
        moving.add(uuid);
      },
    });
    departure.sync();
    for (let s = 0; s < 4; s += 1) await second(closed);
    // The first does not work, and the second takes its time to begin.
    expect(begun).toEqual([broken, small]);
    starting.resolve();
    for (let s = 0; s < 10; s += 1) await second(closed);
    expect(begun).toEqual([broken, small]);
    moving.clear();
    home.push(`${small}`, `${broken}`);
    await second(closed);
    expect(begun).toEqual([broken, small, large]);
  });

  it('lets the next come home where the move of the smallest fails again and again, later than it began', async () => {
    const [small, large] = [1, 2].map((n) => `00000000-0000-4000-8000-00000000000${n}`);
    const begun: string[] = [];
    const script = { nowS: 0, untilS: 0, failing: '' };
    const { departure, second } = laptop({
      fleet: {
        list: () =>
          [small, large].map((uuid, gib) => vm({ uuid: `${uuid}`, place: away, memoryBytes: (gib + 1) * MiB })),
      },
      journal: {
        append: async () => undefined,
        places: () => [small, large].map((uuid) => ({ vm: `${uuid}`, place: away, data: {} })),
      },
      moves: {
        underWay: () => (script.nowS < script.untilS ? [homeward({ vm: script.failing })] : []),
        isTakenUp: () => true,
        isMoving: () => script.nowS < script.untilS,
        cancel: () => move(),
        hurry: () => true,
      },
      bringHome: async ({ uuid }) => {
        begun.push(uuid);
        Object.assign(script, { failing: uuid, untilS: script.nowS + 8 });
      },
    });
    departure.sync();
    for (; script.nowS < 30; script.nowS += 1) await second(closed);
    expect(begun).toEqual([small, large, small, large]);
  });

  it('an undocking counts for as long as it brings VMs home, though it is old by then', async () => {
    const { departure, here, second, done } = laptop();
    departure.sync();
    await second({ docked: true });
    await second({ docked: false });
    expect(done()).toContain('home');
    here.moves = [homeward()];
    for (let s = 0; s < 200; s += 1) await second({ docked: false });
    expect(here.hurry).toMatchObject({ deadlineMs: 100_000 });
    here.moves = [];
    here.place = { kind: 'home' };
    for (let s = 0; s < 3; s += 1) await second({ docked: false });
    expect(departure.leaving()).not.toContain('is about to leave');
  });

  it('tries again every five seconds where that fails, and says why each time', async () => {
    const bringHome = vi.fn(() => Promise.reject(new Error('no room')));
    const { departure, second, done, told } = laptop({ bringHome });
    departure.sync();
    for (let s = 0; s < 12; s += 1) await second(closed);
    expect(bringHome).toHaveBeenCalledTimes(3);
    expect(done().filter((what) => what === 'fault: bringing work home')).toHaveLength(3);
    expect(told).toHaveLength(1);
  });

  it('calls a move out off while that can be, else waits for it and brings the VM home then', async () => {
    const { departure, here, done, told, second } = laptop();
    here.place = { kind: 'home' };
    here.moves = [move({ phase: 'copying', cancellable: true })];
    departure.sync();
    await second(closed);
    expect(done()).toContain('cancel');
    expect(told[0]?.reason).toBe('The lid is closed. Its move out is called off.');
    here.moves = [move({ phase: 'postcopy', cancellable: false })];
    for (let s = 0; s < 6; s += 1) await second(closed);
    expect(done().filter((what) => what === 'cancel' || what === 'home')).toEqual([]);
    here.moves = [];
    here.place = away;
    await second(closed);
    expect(done()).toContain('home');
  });

  it('a person who calls the move home off is not overruled, until something else happens', async () => {
    const { departure, here, done, second } = laptop();
    const docked: Readings = { externalDisplays: 1 };
    departure.sync();
    await second(docked);
    await second({ externalDisplays: 0 });
    expect(done()).toContain('home');
    departure.moved(homeward({ phase: 'failed', failure: cancelledByUser }));
    for (let s = 0; s < 10; s += 1) await second({ externalDisplays: 0 });
    expect(done()).not.toContain('home');
    here.moves = [];
    await second({ externalDisplays: 0, lidClosed: true });
    expect(done()).toContain('home');
  });

  it('a move out that a person asks for is not called off for what is so already, one that the policy asked for is', async () => {
    for (const askedBy of ['user', 'policy'] as const) {
      const { departure, here, done, second } = laptop();
      here.place = { kind: 'home' };
      here.moves = [move({ askedBy })];
      departure.moved(move({ askedBy }));
      const low: Readings = { battery: { discharging: true, percent: 9, low: true } };
      await second(low);
      await second(low);
      expect(done().includes('cancel')).toBe(askedBy === 'policy');
      await second({ ...low, ...closed });
      expect(done().includes('cancel')).toBe(askedBy === 'user');
    }
  });

  it('out of time: pauses first, then lets the lid go, and goes on when it is opened', async () => {
    const paused = Promise.withResolvers<void>();
    const { departure, done, second, here } = laptop(
      { safeEnd: { pauseAway: () => paused.promise, wakeUp: async () => void here.reachable } },
      { lid: { deadlineS: 10 } },
    );
    departure.sync();
    here.moves = [homeward()];
    for (let s = 0; s < 12; s += 1) await second(closed);
    expect(done()).not.toContain('release');
    paused.resolve();
    await vi.waitFor(() => expect(done()).toContain('release'));
    await second(closed);
    expect(done()).toEqual(['release']);
    await second({ lidClosed: false });
    await second({ lidClosed: false });
    expect(done()).toContain('hold');
  });

  it('a VM paused on its way home for want of time lets the lid go, and goes on when it is opened', async () => {
    const { departure, done, second, here } = laptop();
    departure.sync();
    await second(closed);
    expect(done()).toContain('home');
    here.place = { ...away, pausedSince: '2026-11-26T10:00:00.000Z' };
    await second(closed);
    expect(done()).toContain('release');
    await second({ lidClosed: false });
    expect(done()).toContain('wake');
  });

  it('a VM that a person had paused for want of time is left to that person', async () => {
    const { departure, done, second, here } = laptop();
    here.place = { ...away, pausedSince: '2026-11-26T10:00:00.000Z' };
    departure.sync();
    await second({ lidClosed: false });
    expect(done()).not.toContain('wake');
  });

  it('and goes on when this computer is back from a sleep, though its host was out of reach when that began', async () => {
    const { departure, done, second, here } = laptop();
    here.place = { ...away, pausedSince: '2026-11-26T10:00:00.000Z' };
    here.reachable = false;
    departure.sync();
    await second({ ending: { how: 'sleep', delayMs: 5_000 } });
    expect(done()).not.toContain('wake');
    here.reachable = true;
    await second({ lidClosed: false });
    expect(done()).toContain('wake');
  });

  it('what begins to move again after it was paused is called off and paused once more when this computer sleeps', async () => {
    const { departure, done, second, here } = laptop({}, { lid: { deadlineS: 10 } });
    departure.sync();
    for (let s = 0; s < 12; s += 1) await second(closed);
    expect(done()).toContain('pause');
    here.moves = [homeward({ cancellable: true })];
    for (let s = 0; s < 6; s += 1) await second({ ...closed, ending: { how: 'sleep', delayMs: 5_000 } });
    expect(done().filter((what) => what === 'pause')).toHaveLength(1);
  });

  it('a VM that rests paused at a host out of reach, as an earlier engine left it, keeps no closed laptop awake', async () => {
    const { departure, done, second, here } = laptop();
    here.place = { ...away, pausedSince: '2026-11-26T10:00:00.000Z' };
    here.reachable = false;
    departure.sync();
    await second(closed);
    expect(done()).toEqual(['arm', 'hold', 'release']);
  });

  it('a sleep that has begun is held up until VMs are paused', async () => {
    const paused = Promise.withResolvers<void>();
    const { departure, second } = laptop({
      safeEnd: { pauseAway: () => paused.promise, wakeUp: async () => undefined },
    });
    departure.sync();
    await second({ ending: { how: 'sleep', delayMs: 5_000 } });
    let isDone = false;
    const before = departure.beforeSleep().then(() => {
      isDone = true;
    });
    await Promise.resolve();
    expect(isDone).toBe(false);
    paused.resolve();
    await before;
    expect(isDone).toBe(true);
  });

  it('the lid trigger off: nothing is held from the start', () => {
    const { departure, done } = laptop({}, { lid: { on: false } });
    departure.sync();
    expect(done()).toEqual(['arm']);
  });

  it('lets everything go when the engine ends, and does nothing after', async () => {
    const { departure, done } = laptop();
    departure.sync();
    await departure.stop();
    departure.sync();
    expect(done()).toEqual(['arm', 'hold', 'disarm']);
  });

  it('for ten minutes after a departure nothing is moved out by itself', async () => {
    vi.useFakeTimers({ now: 0, toFake: ['Date'] });
    try {
      const { departure, here, second } = laptop();
      expect(departure.leaving()).toBeUndefined();
      departure.sync();
      await second(closed);
      expect(departure.leaving()).toBe('This computer is about to leave: The lid is closed.');
      here.place = { kind: 'home' };
      departure.sync();
      expect(departure.leaving()).toMatch(/less than ten minutes ago: The lid is closed\.$/);
      vi.setSystemTime(10 * 60_000);
      expect(departure.leaving()).toBeUndefined();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('the doctor about lid, battery and network', () => {
  it('says of each that is missing what that means', async () => {
    const tryGuard = (): Promise<never> => Promise.reject(new Error('there is nobody to ask'));
    const found = await powerFindings({ missing: async () => ['logind', 'upower', 'network-manager'], tryGuard });
    expect(found.map(({ id, severity }) => [id, severity])).toEqual([
      ['power-logind', 'problem'],
      ['power-upower', 'note'],
      ['power-network-manager', 'note'],
    ]);
    expect(
      (await powerFindings({ missing: async () => ['logind', 'network-manager', 'ip'], tryGuard })).at(-1),
    ).toMatchObject({
      id: 'power-ip',
      command: 'sudo apt-get install iproute2',
    });
    for (const { detail, remedy } of found) for (const words of [detail, remedy]) expect(words).toMatch(/\.$/);
  });

  it('says who handles the lid itself, and does not promise that it waits', async () => {
    const held = { state: 'held', takenBy: 'PowerDevil' } as const;
    const [found, ...others] = await powerFindings({ missing: async () => [], tryGuard: async () => held });
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      id: 'power-guard',
      severity: 'note',
      detail: expect.stringContaining('“PowerDevil”'),
    });
    for (const words of [found?.detail, found?.remedy]) expect(words).toMatch(/\.$/);
    expect(found?.title).not.toMatch(/waits/);
  });

  it('says in logind’s own words why the lid does not wait', async () => {
    const refused = { state: 'refused', sentence: 'logind says no.', hint: 'Ask polkit.' } as const;
    expect(await powerFindings({ missing: async () => [], tryGuard: async () => refused })).toEqual([
      expect.objectContaining({ severity: 'problem', detail: 'logind says no.', remedy: 'Ask polkit.' }),
    ]);
  });
});
