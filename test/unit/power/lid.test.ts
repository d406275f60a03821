import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Power } from '../../../main/power/index.ts';
import { isLidIgnored, lidTakenBy } from '../../../main/power/lid.ts';
import type { Readings } from '../../../shared/model/signal.ts';
import { look, nothingSeen, signalsOf } from '../../../shared/policy/signals.ts';
import { client, privateBus } from '../shell/private-bus.ts';
import { LogindStandIn } from './logind-stand-in.ts';

const logind = { lidClosed: true, docked: false, onMains: false, preparingFor: undefined, delayMaxMs: 5_000 };

describe('a closed lid', () => {
  test.each(['ignore', 'lock'])(
    'set to %s keeps this computer awake, unless a desktop has taken it',
    async (lidAction) => {
      expect(await isLidIgnored({ ...logind, lidAction }, async () => undefined)).toBe(true);
      expect(await isLidIgnored({ ...logind, lidAction }, async () => 'a desktop')).toBe(false);
    },
  );

  test.each(['suspend', 'hibernate', 'suspend-then-hibernate', 'sleep', 'poweroff', 'something new'])(
    'set to %s is a departure, whoever has taken it',
    async (lidAction) => {
      for (const other of [undefined, 'a desktop'])
        expect(await isLidIgnored({ ...logind, lidAction }, async () => other)).toBe(false);
    },
  );

  test('in a dock a desktop leaves it alone, though logind is set to suspend there', async () => {
    const docked = { ...logind, docked: true, lidAction: 'suspend' };
    expect(await isLidIgnored(docked, async () => 'a desktop')).toBe(true);
    expect(await isLidIgnored(docked, async () => undefined)).toBe(false);
  });

  test('whoever blocks the lid’s switch has taken it; we have not, nor has who only delays', () => {
    const lock = { what: 'handle-power-key:handle-lid-switch', who: 'PowerDevil', mode: 'block', pid: 7 };
    expect(lidTakenBy([lock])).toBe('PowerDevil');
    expect(
      lidTakenBy([
        { ...lock, who: 'Homeward' },
        { ...lock, mode: 'delay' },
        { ...lock, what: 'sleep' },
      ]),
    ).toBeUndefined();
  });
});

describe('what logind is set to do about the lid', () => {
  test.each([
    ['on battery', { lid: 'suspend', onMains: 'lock' }, { onMains: false }, true],
    ['on mains, set to lock', { lid: 'suspend', onMains: 'lock' }, { onMains: true }, false],
    ['on mains, where nothing is set for that', { lid: 'suspend', onMains: '' }, { onMains: true }, true],
    ['in a dock', { lid: 'suspend', docked: 'ignore' }, { docked: true }, false],
    ['in a dock, set to suspend', { lid: 'ignore', docked: 'suspend' }, { docked: true }, true],
    ['in a dock on mains', { onMains: 'suspend', docked: 'lock' }, { docked: true, onMains: true }, false],
    ['out of the dock', { lid: 'lock', docked: 'suspend' }, { docked: false }, false],
  ])('%s', async (_, settings, state, leaves) => {
    const address = await privateBus();
    vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', address);
    const standIn = await LogindStandIn.create();
    Object.assign(standIn, state, { lidClosed: true, settings: { ...standIn.settings, ...settings } });
    await standIn.serve(client(address));
    const readings: Readings[] = [];
    const power = new Power({
      onReadings: (seen) => readings.push(seen),
      beforeSleep: async () => undefined,
      onGuard: () => undefined,
      onFault: () => undefined,
    });
    onTestFinished(() => power.watch(false));
    await power.watch(true);
    await vi.waitFor(() => expect(readings.at(-1)).toMatchObject({ lidClosed: true }), { timeout: 4_000 });
    const { lid, onMains, docked } = standIn.settings;
    const set = standIn.docked ? docked : standIn.onMains && onMains !== '' ? onMains : lid;
    expect(readings.at(-1)?.lidLocksScreen).toBe(set === 'lock');
    const signals = signalsOf(look(nothingSeen, readings.at(-1) ?? {}, 0));
    expect(signals.map(({ trigger }) => trigger)).toEqual(leaves ? ['lid'] : []);
  });
});
