import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultDeparture, type Signal, triggers } from '../../../shared/model/signal.ts';
import { type DepartingVm, type DepartureInput, departure, signalKey } from '../../../shared/policy/departure.ts';

const work: DepartingVm = {
  uuid: 'u',
  name: 'work',
  where: 'away',
  cancellable: false,
  host: 'tower',
  bytes: 1,
  tries: 0,
  isCrossing: false,
  reachable: true,
  paused: false,
  pausedThere: false,
  onlyMust: false,
  vetoed: [],
};

const lid: Signal = { trigger: 'lid', priority: 'must', confidence: 1, sinceMs: 0, sentence: 'The lid is closed.' };
const sleep: Signal = { ...lid, trigger: 'sleep', endsAtMs: 5_000, sentence: 'This computer is going to sleep.' };
const hint = (trigger: Signal['trigger'], confidence: number): Signal => ({
  trigger,
  priority: 'hint',
  confidence,
  sinceMs: 0,
  sentence: `${trigger}.`,
});

function decide(signals: readonly Signal[], over: Partial<DepartureInput> = {}) {
  return departure({ nowMs: 1_000, signals, settings: defaultDeparture, metered: false, vms: [work], ...over });
}

const only = (signals: readonly Signal[], vm: Partial<DepartingVm> = {}, over: Partial<DepartureInput> = {}) => {
  const { acts, ...rest } = decide(signals, { vms: [{ ...work, ...vm }], ...over });
  const [act] = acts;
  if (act === undefined) throw new Error('Nothing was decided.');
  return { ...rest, act };
};

describe('what is done when this computer is about to leave', () => {
  test('no VM away: nothing, and the lid is free', () => {
    expect(decide([lid], { vms: [] })).toMatchObject({ acts: [], guard: { action: 'release' } });
  });

  test('nothing happens: the VM stays, the lid is held', () => {
    expect(only([])).toMatchObject({ act: { action: 'stay' }, guard: { action: 'hold' }, leaving: undefined });
  });

  test('the lid is closed: home, within what is left of five minutes', () => {
    expect(only([lid])).toMatchObject({
      act: {
        action: 'home',
        reason: 'The lid is closed.',
        deadlineMs: 299_000,
        pausesWhenLate: true,
        signals: ['lid@0'],
      },
      guard: { action: 'hold' },
      leaving: 'The lid is closed.',
    });
  });

  test('its host does not answer: it waits for that, and the lid still waits for it', () => {
    expect(only([lid], { reachable: false })).toMatchObject({ act: { action: 'wait' }, guard: { action: 'hold' } });
  });

  test.each([
    ['called off while that can be', true, 'recall'],
    ['else waited for', false, 'wait'],
  ])('a move out is %s', (_, cancellable, action) => {
    expect(only([lid], { where: 'leaving', cancellable }).act.action).toBe(action);
  });

  test('on its way home it is left alone', () => {
    expect(only([lid], { where: 'returning' })).toMatchObject({ act: { action: 'stay' }, guard: { action: 'hold' } });
  });

  test('on its way home it has the time that the signals of now leave it, and all of it once they are gone', () => {
    const returning = { where: 'returning' } as const;
    expect(only([lid], returning).act).toMatchObject({ deadlineMs: 299_000, pausesWhenLate: true });
    expect(only([{ ...lid, sinceMs: 500 }], returning).act).toMatchObject({ deadlineMs: 299_500 });
    expect(only([hint('dock', 0.7)], returning).act).toMatchObject({ deadlineMs: 299_000, pausesWhenLate: false });
    expect(only([], returning).act).not.toHaveProperty('deadlineMs');
    // Who called an earlier move off may begin one: the lid's deadline pauses all the same.
    expect(only([lid], { ...returning, vetoed: ['lid@0'] }).act.deadlineMs).toBe(299_000);
    expect(only([hint('dock', 0.7)], { ...returning, vetoed: ['dock@0'] }).act).not.toHaveProperty('deadlineMs');
  });

  test.each(['away', 'leaving', 'returning'] as const)(
    'the lid’s time is over, %s: paused, and the lid is let go',
    (where) => {
      const decided = only([lid], { where }, { nowMs: 300_000 });
      expect(decided).toMatchObject({ act: { action: 'pause' }, guard: { action: 'release' } });
      expect(decided.act.reason).toBe('The lid is closed. There is no time left to bring work home.');
    },
  );

  test('the system sleeps already: paused at once, even where somebody called the move home off', () => {
    expect(only([sleep], { vetoed: [signalKey(sleep)] }).act.action).toBe('pause');
  });

  test('beside the lid, a battery that ran low before it does not cut the lid’s time short; its end does', () => {
    const low = { ...lid, trigger: 'battery', sentence: 'The battery is low.' } as const;
    const closedLater = { ...lid, sinceMs: 700_000 };
    const at = (battery: Signal) => only([battery, closedLater], { where: 'returning' }, { nowMs: 700_000 }).act;
    expect(at(low)).toMatchObject({ action: 'stay', deadlineMs: 300_000, pausesWhenLate: true });
    expect(at({ ...low, endsAtMs: 800_000 })).toMatchObject({ deadlineMs: 100_000, pausesWhenLate: true });
  });

  test('given up before, and moving again: called off and paused anew when this computer sleeps', () => {
    const moving = { where: 'returning', cancellable: true, paused: true, isCrossing: true } as const;
    expect(only([sleep], moving).act.action).toBe('pause');
    expect(only([sleep], { ...moving, cancellable: false })).toMatchObject({
      act: { action: 'stay' },
      guard: { action: 'release' },
    });
  });

  test('paused, it stays so and keeps no lid open; once this computer is back, it goes on', () => {
    expect(only([lid], { paused: true }, { nowMs: 400_000 })).toMatchObject({
      act: { action: 'stay' },
      guard: { action: 'release' },
      wake: false,
    });
    expect(only([], { paused: true }).wake).toBe(true);
    expect(only([], {}).wake).toBe(false);
  });

  test('two at one host: the smaller comes home first, the other waits for it and holds the lid', () => {
    const small = { ...work, uuid: 'small', name: 'small', bytes: 1 };
    const large = { ...work, uuid: 'large', name: 'large', bytes: 2 };
    const actions = (...vms: DepartingVm[]) => decide([lid], { vms }).acts.map(({ action }) => action);
    const decided = decide([lid], { vms: [large, small] });
    expect(decided.acts.map(({ action }) => action)).toEqual(['wait', 'home']);
    expect(decided.acts[0]?.reason).toBe('The lid is closed. large comes home after small: one at a time is sooner.');
    expect(decided.acts[0]).not.toHaveProperty('deadlineMs');
    expect(decided.guard.action).toBe('hold');
    // On its way already, whoever began that.
    expect(actions({ ...large, where: 'returning', isCrossing: true }, small)).toEqual(['stay', 'wait']);
    expect(actions(large, { ...small, host: 'desk' })).toEqual(['home', 'home']);
    // One that cannot come home keeps nobody waiting, nor does one whose move failed, or rests half-way.
    expect(actions({ ...large, where: 'returning' }, small)).toEqual(['stay', 'home']);
    expect(actions(large, { ...small, paused: true })).toEqual(['home', 'stay']);
    expect(actions(large, { ...small, tries: 1 })).toEqual(['home', 'wait']);
    expect(decide([lid], { vms: [large, small], nowMs: 300_000 }).acts.map(({ action }) => action)).toEqual([
      'pause',
      'pause',
    ]);
  });

  test('whatever there is to bring home: one move at a time at each host, and as many are home in time as can be', () => {
    const guest = fc.record({
      host: fc.constantFrom('tower', 'desk', 'lab'),
      takesS: fc.integer({ min: 1, max: 200 }),
    });
    fc.assert(
      fc.property(fc.array(guest, { maxLength: 8 }), (guests) => {
        let vms = guests.map(({ host, takesS }, at) => ({ ...work, uuid: `${at}`, host, bytes: takesS }));
        const endsS = new Map<string, number>();
        for (let s = 0; s < 300; s += 1) {
          vms = vms.filter(({ uuid }) => (endsS.get(uuid) ?? Number.POSITIVE_INFINITY) > s);
          for (const { vm, action } of decide([lid], { vms, nowMs: s * 1_000 }).acts) {
            if (action !== 'home') continue;
            const begun = vms.find(({ uuid }) => uuid === vm) ?? work;
            endsS.set(vm, s + begun.bytes);
            vms = vms.map((other) => (other === begun ? { ...other, where: 'returning', isCrossing: true } : other));
          }
          for (const one of vms)
            expect(vms.filter(({ host, where }) => where === 'returning' && host === one.host).length).toBeLessThan(2);
        }
        const inTime = [...endsS.values()].filter((atS) => atS <= 300).length;
        const best = ['tower', 'desk', 'lab'].flatMap((host) => {
          const sizes = guests.filter((one) => one.host === host).map(({ takesS }) => takesS);
          let usedS = 0;
          return sizes
            .toSorted((one, other) => one - other)
            .filter((takesS) => {
              usedS += takesS;
              return usedS <= 300;
            });
        });
        expect(inTime).toBe(best.length);
      }),
    );
  });

  test('a closed lid that put nothing to sleep pauses nobody, and is not held again: whoever holds it decides', () => {
    const sleepless = { nowMs: 400_000, sleeplessLid: 'lid@0' };
    expect(only([lid], {}, sleepless)).toMatchObject({ act: { action: 'stay' }, guard: { action: 'release' } });
    expect(only([lid], { paused: true }, sleepless).wake).toBe(true);
    // A sleep that comes after all pauses it.
    expect(only([lid, sleep], {}, sleepless)).toMatchObject({ act: { action: 'pause' }, wake: false });
  });

  test('a lid that locks the screen is not held, which would keep it from that', () => {
    expect(only([], {}, { lidLocksScreen: true }).guard.action).toBe('release');
    expect(only([], {}, { lidLocksScreen: false }).guard.action).toBe('hold');
  });

  test('paused at a host that does not answer, it needs nothing: the lid is let go at once, and nobody is woken for it', () => {
    const there = { pausedThere: true, reachable: false };
    for (const signals of [[lid], [sleep], []])
      expect(only(signals, there)).toMatchObject({
        act: { action: 'stay' },
        guard: { action: 'release' },
        wake: false,
      });
    // Where its host answers there may be time to have it home.
    expect(only([lid], { pausedThere: true })).toMatchObject({ act: { action: 'home' }, guard: { action: 'hold' } });
    expect(only([lid], { reachable: false })).toMatchObject({ act: { action: 'wait' }, guard: { action: 'hold' } });
  });

  test('hints: one weak one does nothing and says why, two together do', () => {
    const quiet = only([hint('cable', 0.5)]);
    expect(quiet.act).toMatchObject({ action: 'stay', reason: 'cable. That alone is no departure (50 % sure).' });
    expect(only([hint('cable', 0.5), hint('power', 0.3)]).act).toMatchObject({
      action: 'home',
      reason: 'cable. power.',
      signals: ['cable@0', 'power@0'],
    });
  });

  test('a VM that moves only when asked comes home for what must be, not for hints', () => {
    expect(only([hint('dock', 0.7)], { onlyMust: true }).act.action).toBe('stay');
    expect(only([hint('dock', 0.7), lid], { onlyMust: true }).act).toMatchObject({
      action: 'home',
      reason: 'The lid is closed.',
    });
  });

  test('where the network is paid by volume a hint has to be surer, a must does not', () => {
    expect(only([hint('dock', 0.7)], {}, { metered: true }).act.action).toBe('stay');
    expect(only([lid], {}, { metered: true }).act.action).toBe('home');
  });

  test('a hint whose time is over pauses nobody', () => {
    expect(only([hint('dock', 0.7)], {}, { nowMs: 10_000_000 }).act).toMatchObject({ action: 'home', deadlineMs: 0 });
  });

  test('the battery gives what it has left where that is less than allowed', () => {
    const battery: Signal = { ...lid, trigger: 'battery', endsAtMs: 61_000 };
    expect(only([battery]).act.deadlineMs).toBe(60_000);
  });

  test('called off by a person: not again for the same, but for the next', () => {
    expect(only([lid], { vetoed: ['lid@0'] }).act).toMatchObject({ action: 'stay', reason: 'You called it off.' });
    expect(only([{ ...lid, sinceMs: 500 }], { vetoed: ['lid@0'] }).act.action).toBe('home');
    expect(only([lid], { vetoed: ['lid@0'] }, { nowMs: 300_000 }).act.action).toBe('pause');
  });

  test.each(triggers)('%s switched off is not heard', (trigger) => {
    const settings = { ...defaultDeparture, [trigger]: { on: false, deadlineS: 60 } };
    const decided = only([{ ...lid, trigger }], {}, { settings, nowMs: 10_000_000 });
    expect(decided.act.action).toBe('stay');
    expect(decided.guard.action).toBe(trigger === 'lid' ? 'release' : 'hold');
  });

  test('whatever is signalled: each VM has one answer in words, and the lid is held exactly while something goes on', () => {
    const signal = fc.record({
      trigger: fc.constantFrom(...triggers),
      priority: fc.constantFrom('must' as const, 'hint' as const),
      confidence: fc.double({ min: 0, max: 1, noNaN: true }),
      sinceMs: fc.integer({ min: 0, max: 1_000_000 }),
      sentence: fc.constant('So it is.'),
    });
    const vm = fc.record({
      uuid: fc.uuid(),
      name: fc.constant('work'),
      where: fc.constantFrom('away' as const, 'leaving' as const, 'returning' as const),
      cancellable: fc.boolean(),
      host: fc.constantFrom('tower', 'desk'),
      bytes: fc.nat(),
      tries: fc.nat(),
      isCrossing: fc.boolean(),
      reachable: fc.boolean(),
      paused: fc.boolean(),
      pausedThere: fc.boolean(),
      onlyMust: fc.boolean(),
      vetoed: fc.constant([]),
    });
    fc.assert(
      fc.property(fc.array(signal), fc.array(vm), fc.integer({ min: 0, max: 2_000_000 }), (signals, vms, nowMs) => {
        const { acts, guard } = decide(signals, { vms, nowMs });
        expect(acts.map(({ vm: uuid }) => uuid)).toEqual(vms.map(({ uuid }) => uuid));
        for (const act of acts) expect(act.reason).toMatch(/[.]$/);
        const rests = vms.map(
          ({ paused, pausedThere, reachable, cancellable }) => !cancellable && (paused || (pausedThere && !reachable)),
        );
        const goesOn = acts.some(({ action }, at) => action !== 'pause' && rests[at] === false);
        expect(guard.action).toBe(goesOn ? 'hold' : 'release');
        expect(acts.some(({ action }, at) => action !== 'stay' && rests[at] === true)).toBe(false);
      }),
    );
  });
});
