import { leavingWords } from '../model/leaving.ts';
import { type Trigger, triggers } from '../model/signal.ts';
import type { Preferences } from '../rpc.ts';
import { formatDuration } from './units.ts';

/** What one may set, as the command line calls it. */
export const preferenceKeys = [
  'name',
  'cooldown',
  'balloon',
  'notify.suggestions',
  'notify.moves',
  'notify.trouble',
  'notify.pairing',
  ...triggers.map((trigger) => `departure.${trigger}` as const),
  'leaving',
  'close-to-tray',
] as const;
export type PreferenceKey = (typeof preferenceKeys)[number];
type DepartureKey = Extract<PreferenceKey, `departure.${string}`>;

export function triggerOf(key: DepartureKey): Trigger {
  return key.slice('departure.'.length) as Trigger;
}

interface PreferenceView {
  readonly key: PreferenceKey;
  /** "on", "2 min". */
  readonly value: string;
  readonly meaning: string;
}

export function preferenceViews(preferences: Preferences): PreferenceView[] {
  return preferenceKeys.map((key) => ({
    key,
    value: valueWords(preferences, key),
    meaning: meanings[key],
  }));
}

const meanings: Readonly<Record<PreferenceKey, string>> = {
  name: 'what this computer is called at others',
  cooldown: 'rest of a VM after a move, before it is sent away by itself again',
  balloon: 'a VM that is away lends memory it does not use, to be home sooner',
  'notify.suggestions': 'tell when a move is suggested',
  'notify.moves': 'tell when a move has begun by itself, or ended',
  'notify.trouble': 'tell when something needs attention',
  'notify.pairing': 'tell when a computer wants to pair',
  'departure.lid': 'closing the lid waits until VMs are home, so long at most',
  'departure.sleep': 'pause VMs that are away before this computer sleeps',
  'departure.battery': 'bring VMs home when the battery runs low',
  'departure.dock': 'take leaving the dock as a sign of departure',
  'departure.cable': 'take a pulled network cable as a sign of departure',
  'departure.wifi': 'take fading Wi-Fi as a sign of departure',
  'departure.power': 'take a pulled power cable as a sign of departure, together with another',
  leaving: 'when you usually leave: VMs are home by then, and little is sent away before',
  'close-to-tray': 'closing the window leaves the tray icon',
};

function departureWords({ departure }: Preferences, trigger: Trigger): string {
  const { on } = departure[trigger];
  if (!on || trigger === 'sleep') return onOff(on);
  return `on, within ${formatDuration(departure[trigger].deadlineS * 1_000)}`;
}

function valueWords(preferences: Preferences, key: PreferenceKey): string {
  const { name, cooldownS, balloon, notify, leaving, closeToTray } = preferences;
  switch (key) {
    case 'name':
      return name;
    case 'cooldown':
      return cooldownS === 0 ? 'none' : formatDuration(cooldownS * 1_000);
    case 'balloon':
      return onOff(balloon);
    case 'notify.suggestions':
      return onOff(notify.suggestions);
    case 'notify.moves':
      return onOff(notify.moves);
    case 'notify.trouble':
      return onOff(notify.trouble);
    case 'notify.pairing':
      return onOff(notify.pairing);
    case 'leaving':
      return leaving.length === 0 ? 'not set' : leavingWords(leaving);
    case 'close-to-tray':
      return onOff(closeToTray);
    case 'departure.lid':
    case 'departure.sleep':
    case 'departure.battery':
    case 'departure.dock':
    case 'departure.cable':
    case 'departure.wifi':
    case 'departure.power':
      return departureWords(preferences, triggerOf(key));
  }
}

function onOff(on: boolean): string {
  return on ? 'on' : 'off';
}
