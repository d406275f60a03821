import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { defaultSettings } from '../../../main/engine/settings.ts';
import { Surroundings } from '../../../main/engine/surroundings.ts';
import { parseLeaving } from '../../../shared/model/leaving.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-11-27T17:00:00') });
});
afterEach(() => {
  vi.useRealTimers();
});

function surroundings(leaving = '') {
  const watched: boolean[] = [];
  const faults: string[] = [];
  const one = new Surroundings({
    power: { watch: async (isWanted) => void watched.push(isWanted) },
    settings: { current: { ...defaultSettings(), leaving: parseLeaving(leaving) } },
    onFault: (what) => faults.push(what),
  });
  return { one, watched };
}

it('what the machine says, once it has been looked at', () => {
  const { one } = surroundings();
  expect(one.latest()).toEqual({});
  one.onReadings({ onMains: false, network: { primary: 'wifi', metered: true } });
  expect(one.latest()).toEqual({ onBattery: true, metered: true });
  one.onReadings({ onMains: true, network: { primary: 'cable', metered: false } });
  expect(one.latest()).toEqual({ onBattery: false, metered: false });
});

it('when the user usually leaves', () => {
  expect(surroundings('daily 17:30').one.latest()).toEqual({ leavesInS: 1_800 });
});

it('the machine is watched while somebody asks, and what was seen before is forgotten afterwards', async () => {
  const { one, watched } = surroundings();
  for (let asked = 0; asked < 100; asked += 1) {
    one.latest();
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(watched).toEqual([true]);
  one.onReadings({ onMains: false });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(watched).toEqual([true, false]);
  expect(one.latest()).toEqual({});
  expect(watched).toEqual([true, false, true]);
});
