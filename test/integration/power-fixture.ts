import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished, vi } from 'vitest';
import { Departure, type DepartureOptions } from '../../main/engine/departure.ts';
import { defaultSettings } from '../../main/engine/settings.ts';
import { Power } from '../../main/power/index.ts';
import type { Move } from '../../shared/model/move.ts';
import type { DepartureChange, Readings } from '../../shared/model/signal.ts';
import { changedDeparture } from '../../shared/model/signal.ts';
import type { Vm } from '../../shared/model/vm.ts';
import type { Decision } from '../../shared/rpc.ts';
import { PowerBed, type PowerBedOptions } from '../testbed/power/index.ts';
import { hostFingerprint, move, vm, vmUuid } from '../unit/samples.ts';

/** logind's files and a lid switch of our own need root. */
export const asRoot = process.getuid?.() === 0;

const away = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit: 'f'.repeat(32),
  since: '2026-11-26T08:00:00.000Z',
} as const;

interface Happening {
  readonly what: string;
  readonly atMs: number;
}

interface LaptopOptions {
  readonly homeTakesMs?: number;
  readonly pauseTakesMs?: number;
  readonly departure?: DepartureChange;
}

export async function bedFor(options: PowerBedOptions = {}): Promise<PowerBed> {
  const bed = await PowerBed.start(options);
  vi.stubEnv('DBUS_SYSTEM_BUS_ADDRESS', bed.address);
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await bed.stop();
  });
  return bed;
}

/** The real watch and locks with the real decisions; only the moves are scripted: home takes as long as it is told. */
export function laptop(bed: PowerBed, { homeTakesMs = 1_500, pauseTakesMs = 0, departure = {} }: LaptopOptions = {}) {
  const happened: Happening[] = [];
  const note = (what: string): void => void happened.push({ what, atMs: performance.now() });
  let place: Vm['place'] = away;
  let moves: Move[] = [];
  const readings: Readings[] = [];
  const decisions: Decision[] = [];
  const settings = { ...defaultSettings(), departure: changedDeparture(defaultSettings().departure, departure) };
  const power: Power = new Power({
    onReadings: (seen) => {
      readings.push(seen);
      leaving.onReadings(seen);
    },
    beforeSleep: () => leaving.beforeSleep(),
    onGuard: ({ state }) => note(`guard ${state}`),
    onFault: (what, thrown) => note(`fault: ${what}: ${thrown}`),
  });
  const changed = (next: Move): void => {
    moves = next.endedAt === undefined ? [next] : [];
    leaving.moved(next);
  };
  const bringHome: DepartureOptions['bringHome'] = async (which, { reason, hurry }) => {
    note(`home asked within ${Math.round((hurry?.deadlineMs ?? 0) / 1_000)} s: ${reason}`);
    const begun = move({ vm: which.uuid, direction: 'home', phase: 'copying' });
    changed(begun);
    setTimeout(() => {
      place = { kind: 'home' };
      note('arrived');
      changed({ ...begun, phase: 'done', endedAt: new Date().toISOString() });
    }, homeTakesMs);
  };
  const leaving = new Departure({
    fleet: { list: () => [vm({ place })] },
    journal: { append: async () => undefined, places: () => [{ vm: vmUuid, place, data: undefined }] },
    moves: {
      underWay: () => moves,
      isTakenUp: () => true,
      cancel: () => Promise.reject(new Error('nothing moves out')) as never,
      hurry: () => true,
      isMoving: () => moves.length > 0,
    },
    settings: { current: settings },
    power,
    isReachable: () => true,
    bringHome,
    safeEnd: {
      pauseAway: async () => {
        note('pause asked');
        await sleep(pauseTakesMs);
        note('paused');
      },
      wakeUp: async () => note('woken'),
    },
    onDecision: (decision) => decisions.push(decision),
    onFault: (what, thrown) => note(`fault: ${what}: ${thrown}`),
  });
  onTestFinished(() => leaving.stop());
  const at = (start: string): number => {
    const found = happened.find(({ what }) => what.startsWith(start));
    if (found === undefined)
      throw new Error(`Nothing like "${start}" in: ${happened.map(({ what }) => what).join(' | ')}`);
    return found.atMs;
  };
  return {
    power,
    leaving,
    readings,
    decisions,
    happened,
    at,
    has: (start: string): boolean => happened.some(({ what }) => what.startsWith(start)),
    faults: () => happened.filter(({ what }) => what.startsWith('fault')),
    holding: async () => {
      leaving.sync();
      await bed.until(() => happened.some(({ what }) => what === 'guard held'), 'the guard to be held');
      await bed.until(async () => (await ours(bed)).length === 2, 'both locks');
    },
  };
}

/** NetworkManager has one of its own. */
export async function ours(bed: PowerBed) {
  return (await bed.locks()).filter(({ who }) => who === 'Homeward');
}

/** Seconds, as reports show them. */
export function ms(value: number): string {
  return `${(value / 1_000).toFixed(2)} s`;
}
