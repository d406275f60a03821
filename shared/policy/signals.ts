/** From looks at the machine to signals of departure. Pure: each look comes with its time. */
import type { Battery, Network, Readings, Signal } from '../model/signal.ts';
import { type Point, reachesInMs, slopePerS } from './trend.ts';

/** Undocking or pulling a plug says something about the next minutes, not about the next hour. */
const freshMs = 120_000;
/** While it brings VMs home, which come one after the other. */
const freshOnTheMoveMs = 600_000;
const wifiWindowMs = 30_000;
const batteryWindowMs = 10 * 60_000;
/** A look a second is kept of Wi-Fi, one in ten seconds of the battery, whose service asks it twice a minute at most. */
const batteryEveryMs = 10_000;

const lowBatteryPercent = 15;
/** From here on the system may end by itself at any moment. */
const emptyBatteryPercent = 3;
const shortBatteryMs = 15 * 60_000;
/** What is low is so until it is clearly above: whoever said no to it is not asked again because a figure trembles. */
const wellPercent = 18;
const wellBatteryMs = 20 * 60_000;
/** How long; its service may not know for one answer. */
const wellForMs = 60_000;
/** Below this a link stalls more than it carries. */
const weakWifiPercent = 20;
/** Strong Wi-Fi that dips has a long way to go. */
const fadingBelowPercent = 60;
const fadingWithinMs = 60_000;
/** Per cent. */
const leastFallPerS = 0.2;
/** Wi-Fi that fades does so until it has not fallen for that long, not even half as fast. */
const steadyForMs = 10_000;
const stillFallsPerS = leastFallPerS / 2;
/** A line through fewer seconds than that is noise. */
const leastTrendMs = 10_000;

/** What is remembered from one look to the next. */
export interface Memory {
  readonly readings: Readings;
  /** When something that is still so began; absent where it is not so. */
  readonly since: Since;
  /** When what trembles was so the last time. */
  readonly last: Since;
  readonly wifi: readonly Point[];
  readonly battery: readonly Point[];
}

type Lasting = 'lid' | 'ending' | 'undocked' | 'unplugged' | 'cableOut' | 'lowBattery' | 'wifiFades';
type Since = { readonly [what in Lasting]?: number };

export const nothingSeen: Memory = { readings: {}, since: {}, last: {}, wifi: [], battery: [] };

/** @param isGoingOn whether what was seen before brings VMs home at this moment */
export function look(before: Memory, readings: Readings, nowMs: number, isGoingOn = false): Memory {
  const changeCountsMs = isGoingOn ? freshOnTheMoveMs : freshMs;
  const wifi = kept(before.wifi, readings.network?.wifiPercent, nowMs, wifiWindowMs, 0);
  const battery = kept(before.battery, readings.battery?.percent, nowMs, batteryWindowMs, batteryEveryMs);
  const was = before.readings;
  const lasts = (what: Lasting, isSo: boolean): Since => (isSo ? { [what]: before.since[what] ?? nowMs } : {});
  /** When it was so the last time, unless it is over: what has begun goes on by less, and while it is away for a moment. */
  const lastSo = (what: Lasting, begins: boolean, goesOn: boolean, overAfterMs: number): Since => {
    const last = before.last[what];
    if (begins || (last !== undefined && goesOn)) return { [what]: nowMs };
    return last !== undefined && nowMs - last < overAfterMs ? { [what]: last } : {};
  };
  /** Begins with a change, and is over when it is undone or old. */
  const changed = (what: Lasting, began: boolean, isSo: boolean): Since => {
    const since = began ? nowMs : before.since[what];
    return isSo && since !== undefined && nowMs - since < changeCountsMs ? { [what]: since } : {};
  };
  const without = isUndocked(readings);
  const unplugged = readings.onMains === false;
  const uncabled = readings.network !== undefined && !onCable(readings);
  const last: Since = {
    ...(readings.battery?.discharging === true
      ? lastSo('lowBattery', isLow(readings.battery, battery), !isWell(readings.battery, battery), wellForMs)
      : {}),
    ...(readings.network?.primary === 'wifi'
      ? lastSo('wifiFades', fadesInMs(readings.network, wifi) !== undefined, stillFalls(wifi), steadyForMs)
      : {}),
  };
  return {
    readings,
    wifi,
    battery,
    last,
    since: {
      ...lasts('lid', isLidDeparture(readings)),
      ...lasts('ending', readings.ending !== undefined),
      ...lasts('lowBattery', last.lowBattery !== undefined),
      ...lasts('wifiFades', last.wifiFades !== undefined),
      ...changed('undocked', without && isDocked(was), without),
      ...changed('unplugged', unplugged && was.onMains === true, unplugged),
      ...changed('cableOut', uncabled && onCable(was), uncabled),
    },
  };
}

/** Most urgent first. */
export function signalsOf({ readings, since, wifi, battery }: Memory): Signal[] {
  const signals: Signal[] = [];
  const { ending, network } = readings;
  if (since.ending !== undefined && ending !== undefined) {
    signals.push({
      trigger: 'sleep',
      priority: 'must',
      confidence: 1,
      sinceMs: since.ending,
      endsAtMs: since.ending + ending.delayMs,
      sentence: ending.how === 'sleep' ? 'This computer is going to sleep.' : 'This computer is shutting down.',
    });
  }
  if (since.lid !== undefined) {
    signals.push({
      trigger: 'lid',
      priority: 'must',
      confidence: 1,
      sinceMs: since.lid,
      sentence: 'The lid is closed.',
    });
  }
  if (since.lowBattery !== undefined && readings.battery !== undefined) {
    const emptyInMs = emptyIn(readings.battery, battery);
    signals.push({
      trigger: 'battery',
      priority: 'must',
      confidence: 0.9,
      sinceMs: since.lowBattery,
      ...(emptyInMs === undefined ? {} : { endsAtMs: (battery.at(-1)?.atMs ?? since.lowBattery) + emptyInMs }),
      sentence: batteryWords(readings.battery, emptyInMs),
    });
  }
  if (since.wifiFades !== undefined) {
    const fadesIn = fadesInMs(network, wifi);
    signals.push({
      trigger: 'wifi',
      priority: 'hint',
      confidence: 0.7,
      sinceMs: since.wifiFades,
      ...(fadesIn === undefined ? {} : { endsAtMs: (wifi.at(-1)?.atMs ?? since.wifiFades) + fadesIn }),
      sentence:
        network?.wifiPercent === undefined
          ? 'The Wi-Fi is fading.'
          : `The Wi-Fi is fading: ${Math.round(network.wifiPercent)} % and falling.`,
    });
  }
  const hint = (
    trigger: Signal['trigger'],
    sinceMs: number | undefined,
    confidence: number,
    sentence: string,
  ): void => {
    if (sinceMs !== undefined) signals.push({ trigger, priority: 'hint', confidence, sinceMs, sentence });
  };
  hint('dock', since.undocked, 0.7, 'This computer was taken from its dock or external display.');
  hint('cable', since.cableOut, 0.5, 'The network cable was pulled out.');
  hint('power', since.unplugged, 0.3, 'The power cable was pulled out.');
  return signals;
}

function kept(
  before: readonly Point[],
  value: number | undefined,
  atMs: number,
  windowMs: number,
  everyMs: number,
): readonly Point[] {
  // Another network, or none: what was measured says nothing about what comes.
  if (value === undefined) return [];
  const last = before.at(-1);
  if (last !== undefined && atMs - last.atMs < everyMs) return before;
  return [...before.filter((point) => atMs - point.atMs <= windowMs), { atMs, value }];
}

/** With a display or a dock it stays open as far as the system is concerned, unless that is set otherwise. */
function isLidDeparture({ lidClosed, lidIgnored, docked, externalDisplays = 0 }: Readings): boolean {
  const staysOpen =
    lidIgnored === true || (docked === undefined ? externalDisplays > 0 : docked && lidIgnored !== false);
  return lidClosed === true && !staysOpen;
}

function isDocked({ docked, externalDisplays = 0 }: Readings): boolean {
  return docked === true || externalDisplays > 0;
}

function isUndocked(readings: Readings): boolean {
  return (readings.docked !== undefined || readings.externalDisplays !== undefined) && !isDocked(readings);
}

function onCable({ network }: Readings): boolean {
  return network?.primary === 'cable' && network.carrier !== false;
}

function isLow(battery: Battery, points: readonly Point[]): boolean {
  if (battery.low || battery.percent <= lowBatteryPercent) return true;
  const emptyInMs = emptyIn(battery, points);
  return emptyInMs !== undefined && emptyInMs < shortBatteryMs;
}

function isWell(battery: Battery, points: readonly Point[]): boolean {
  if (battery.low || battery.percent < wellPercent) return false;
  return (emptyIn(battery, points) ?? Number.POSITIVE_INFINITY) >= wellBatteryMs;
}

/** By the battery's own service where it says so, else by how it has been falling. */
function emptyIn({ emptyInMs, percent }: Battery, points: readonly Point[]): number | undefined {
  if (emptyInMs !== undefined)
    return Math.max(0, emptyInMs * (1 - emptyBatteryPercent / Math.max(percent, emptyBatteryPercent)));
  return lasting(points) ? reachesInMs(points, emptyBatteryPercent) : undefined;
}

/** Until the Wi-Fi is too weak, where it is getting there; undefined while it is well. */
function fadesInMs(network: Network | undefined, points: readonly Point[]): number | undefined {
  const percent = network?.wifiPercent;
  if (network?.primary !== 'wifi' || percent === undefined || percent > fadingBelowPercent || !lasting(points))
    return undefined;
  // Weak all along is no departure, and what goes up and down by a few per cent is noise.
  if ((slopePerS(points) ?? 0) > -leastFallPerS) return undefined;
  const inMs = reachesInMs(points, weakWifiPercent);
  return inMs !== undefined && inMs <= fadingWithinMs ? inMs : undefined;
}

function stillFalls(points: readonly Point[]): boolean {
  return (slopePerS(points) ?? 0) <= -stillFallsPerS;
}

function lasting(points: readonly Point[]): boolean {
  return (points.at(-1)?.atMs ?? 0) - (points[0]?.atMs ?? 0) >= leastTrendMs;
}

function batteryWords({ percent }: Battery, emptyInMs: number | undefined): string {
  const left = `The battery is at ${Math.round(percent)} %`;
  if (emptyInMs === undefined || emptyInMs > 60 * 60_000) return `${left}.`;
  return `${left} and lasts about ${Math.max(1, Math.round(emptyInMs / 60_000))} min.`;
}
