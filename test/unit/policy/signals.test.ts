import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Readings, Signal } from '../../../shared/model/signal.ts';
import { signalKey } from '../../../shared/policy/departure.ts';
import { look, nothingSeen, signalsOf } from '../../../shared/policy/signals.ts';
import { reachesInMs, slopePerS } from '../../../shared/policy/trend.ts';

/** A look a second, each telling what is other than before. */
function seen(...changes: readonly Readings[]): Signal[] {
  let memory = nothingSeen;
  let readings: Readings = {};
  changes.forEach((change, second) => {
    readings = { ...readings, ...change };
    memory = look(memory, readings, second * 1_000);
  });
  return signalsOf(memory);
}

const same = (seconds: number): Readings[] => Array.from({ length: seconds }, () => ({}));
const wifi = (wifiPercent: number): Readings => ({ network: { primary: 'wifi', metered: false, wifiPercent } });
const cable = (carrier: boolean): Readings => ({ network: { primary: 'cable', carrier, metered: false } });
const names = (signals: readonly Signal[]): string[] => signals.map(({ trigger }) => trigger);

describe('trends', () => {
  test('a straight line’s slope is found, and when it will be down', () => {
    const points = [0, 1, 2, 3].map((s) => ({ atMs: s * 1_000, value: 50 - 2 * s }));
    expect(slopePerS(points)).toBeCloseTo(-2);
    expect(reachesInMs(points, 20)).toBeCloseTo(12_000);
    expect(reachesInMs(points, 45)).toBe(0);
  });

  test('what rises, stands still or has hardly been seen never comes down', () => {
    const rising = [0, 1, 2].map((s) => ({ atMs: s * 1_000, value: 50 + s }));
    const still = [0, 1, 2].map((s) => ({ atMs: s * 1_000, value: 50 }));
    for (const points of [rising, still, rising.slice(0, 2), []]) expect(reachesInMs(points, 20)).toBeUndefined();
    expect(slopePerS(still.map((point) => ({ ...point, atMs: 5 })))).toBeUndefined();
  });

  test('whatever the points, there is a finite slope or none', () => {
    const point = fc.record({ atMs: fc.integer({ min: 0, max: 1e9 }), value: fc.integer({ min: 0, max: 100 }) });
    fc.assert(
      fc.property(fc.array(point), (points) => {
        const slope = slopePerS(points);
        expect(slope === undefined || Number.isFinite(slope)).toBe(true);
      }),
    );
  });
});

describe('signals of departure', () => {
  test('nothing known is no signal', () => {
    expect(seen({}, {}, {})).toEqual([]);
  });

  test('the lid: from when it was closed, until it is opened', () => {
    expect(seen({ lidClosed: false }, { lidClosed: true }, {}, {})).toMatchObject([
      { trigger: 'lid', priority: 'must', sinceMs: 1_000, sentence: 'The lid is closed.' },
    ]);
    expect(seen({ lidClosed: true }, { lidClosed: false })).toEqual([]);
  });

  test('the lid closed in a dock, or where logind would ignore it, is no departure; undocked, it becomes one', () => {
    expect(seen({ lidClosed: true, docked: true })).toEqual([]);
    expect(seen({ lidClosed: true, lidIgnored: true })).toEqual([]);
    expect(names(seen({ lidClosed: true, docked: true }, { docked: false }))).toEqual(['lid', 'dock']);
    expect(names(seen({ lidClosed: true, docked: true, lidIgnored: false }))).toEqual(['lid']);
    expect(seen({ lidClosed: true, externalDisplays: 1, lidIgnored: false })).toEqual([]);
  });

  test('sleep and shutdown come first, with how long there is', () => {
    expect(seen({ lidClosed: true, ending: { how: 'shutdown', delayMs: 5_000 } })).toMatchObject([
      { trigger: 'sleep', endsAtMs: 5_000, sentence: 'This computer is shutting down.' },
      { trigger: 'lid' },
    ]);
  });

  test('a plug that was out all along says nothing; one that is pulled does, for two minutes', () => {
    expect(seen({ onMains: false })).toEqual([]);
    expect(names(seen({ onMains: true }, { onMains: false }))).toEqual(['power']);
    expect(seen({ onMains: true }, { onMains: false }, { onMains: true })).toEqual([]);
    expect(names(seen({ onMains: true }, { onMains: false }, ...same(118)))).toEqual(['power']);
    expect(seen({ onMains: true }, { onMains: false }, ...same(120))).toEqual([]);
  });

  test('a cable: by its carrier, before the network counts as lost, and by what takes over', () => {
    expect(names(seen(cable(true), cable(false)))).toEqual(['cable']);
    expect(names(seen(cable(true), wifi(80)))).toEqual(['cable']);
    expect(seen(cable(true), cable(false), cable(true))).toEqual([]);
    expect(seen(wifi(80), wifi(81))).toEqual([]);
    expect(seen(cable(true), { network: undefined })).toEqual([]);
  });

  test('taken from its external display, or dock', () => {
    expect(names(seen({ externalDisplays: 1 }, { externalDisplays: 0 }))).toEqual(['dock']);
    expect(seen({ externalDisplays: 2 }, { externalDisplays: 1 })).toEqual([]);
    expect(seen({ externalDisplays: 0 })).toEqual([]);
  });

  test('Wi-Fi that falls towards nothing, with when it will be there', () => {
    const falling = Array.from({ length: 21 }, (_, s) => wifi(70 - s));
    expect(seen(...falling)).toMatchObject([{ trigger: 'wifi', priority: 'hint', endsAtMs: 50_000 }]);
  });

  test('Wi-Fi that is weak all along, strong and falling, or up and down is no departure', () => {
    expect(seen(...Array.from({ length: 30 }, () => wifi(15)))).toEqual([]);
    expect(seen(...Array.from({ length: 20 }, (_, s) => wifi(100 - s)))).toEqual([]);
    expect(seen(...Array.from({ length: 30 }, (_, s) => wifi(40 + 3 * (s % 2))))).toEqual([]);
    expect(seen(...Array.from({ length: 5 }, (_, s) => wifi(60 - 8 * s)))).toEqual([]);
  });

  test.each([
    ['15 %', { percent: 15, low: false }, 'The battery is at 15 %.'],
    ['what the system calls low', { percent: 30, low: true }, 'The battery is at 30 %.'],
    [
      'ten minutes left',
      { percent: 40, low: false, emptyInMs: 600_000 },
      'The battery is at 40 % and lasts about 9 min.',
    ],
  ])('a battery that discharges at %s', (_, battery, sentence) => {
    expect(seen({ battery: { discharging: true, ...battery } })).toMatchObject([{ trigger: 'battery', sentence }]);
    expect(seen({ battery: { discharging: false, ...battery } })).toEqual([]);
  });

  test('a battery that falls fast counts before it is low, though nobody says how long it lasts', () => {
    const falling = Array.from({ length: 121 }, (_, s) => ({
      battery: { discharging: true, percent: 40 - s / 20, low: false },
    }));
    expect(seen(...falling)).toMatchObject([{ trigger: 'battery', sinceMs: 20_000 }]);
    expect(seen({ battery: { discharging: true, percent: 40, low: false } }, ...same(120))).toEqual([]);
  });
});

describe('an episode is one signal, however its figures tremble', () => {
  const noise = (most: number) =>
    fc.array(fc.double({ min: -most, max: most, noNaN: true }), { minLength: 200, maxLength: 200 });

  /** The keys by which a person's no to it is remembered, in order. */
  function keysOf(readings: readonly Readings[]): string[] {
    let memory = nothingSeen;
    const keys: string[] = [];
    readings.forEach((reading, second) => {
      memory = look(memory, reading, second * 1_000);
      for (const key of signalsOf(memory).map(signalKey)) if (!keys.includes(key)) keys.push(key);
    });
    return keys;
  }

  const bounded = (percent: number): number => Math.min(100, Math.max(0, Math.round(percent)));

  test('Wi-Fi that falls', () => {
    fc.assert(
      fc.property(
        noise(5),
        fc.double({ min: 0.5, max: 2, noNaN: true }),
        fc.integer({ min: 60, max: 90 }),
        (jitter, perS, from) => {
          const seconds = Math.floor((from - 8) / perS);
          const falling = jitter.slice(0, seconds).map((off, s) => wifi(bounded(from - perS * s + off)));
          expect(keysOf(falling).length).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  test('a battery whose service does not know whether it lasts a quarter of an hour', () => {
    fc.assert(
      fc.property(noise(2.4), fc.integer({ min: 20, max: 60 }), (jitter, percent) => {
        const trembling = jitter.map((off) => ({
          battery: { discharging: true, percent, low: false, emptyInMs: (15 + off) * 60_000 },
        }));
        expect(keysOf(trembling).length).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('fifteen minutes, seventeen and a half, fifteen: the battery was low once', () => {
    const trembling = Array.from({ length: 120 }, (_, s) => ({
      battery: { discharging: true, percent: 40, low: false, emptyInMs: s % 30 < 15 ? 900_000 : 1_050_000 },
    }));
    expect(keysOf(trembling)).toEqual(['battery@0']);
  });

  test('a service that does not know for a moment how long the battery lasts ends nothing', () => {
    const battery = { discharging: true, percent: 40, low: false };
    const known = { battery: { ...battery, emptyInMs: 600_000 } };
    expect(keysOf([known, { battery }, { battery }, known])).toEqual(['battery@0']);
  });

  test('Wi-Fi that falls by half a per cent a second, up and down by five', () => {
    const falling = Array.from({ length: 60 }, (_, s) => wifi(bounded(55 - s / 2 + 5 * Math.sin(s * s))));
    expect(keysOf(falling)).toHaveLength(1);
  });

  test('it ends where it is clearly over: charged, well above for a minute, Wi-Fi steady or another network', () => {
    const low = { battery: { discharging: true, percent: 15, low: false } };
    const above = { battery: { discharging: true, percent: 19, low: false } };
    expect(names(seen(low, { battery: { ...low.battery, discharging: false } }))).toEqual([]);
    expect(names(seen(low, above, ...same(58)))).toEqual(['battery']);
    expect(names(seen(low, above, ...same(60)))).toEqual([]);
    expect(names(seen(low, { battery: { ...above.battery, percent: 17 } }, ...same(120)))).toEqual(['battery']);
    const falling = Array.from({ length: 21 }, (_, s) => wifi(60 - s));
    expect(names(seen(...falling, wifi(40), ...same(5)))).toEqual(['wifi']);
    expect(names(seen(...falling, wifi(40), ...same(60)))).toEqual([]);
    expect(names(seen(...falling, cable(true)))).toEqual([]);
  });

  test('Wi-Fi whose strength is not known for a moment is not said to have none', () => {
    const falling = Array.from({ length: 21 }, (_, s) => wifi(60 - s));
    expect(seen(...falling, { network: { primary: 'wifi', metered: false } })).toMatchObject([
      { trigger: 'wifi', sinceMs: 10_000, sentence: 'The Wi-Fi is fading.' },
    ]);
  });
});
