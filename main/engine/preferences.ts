import type { z } from 'zod';
import { changedDeparture } from '../../shared/model/signal.ts';
import type { calls, Preferences } from '../../shared/rpc.ts';
import type { Hosting } from './hosting.ts';
import type { Settings, SettingsStore } from './settings.ts';

type Change = z.output<(typeof calls)['preferences.change']['params']>;

export interface PreferenceRooms {
  readonly settings: Pick<SettingsStore, 'current' | 'update'>;
  readonly hosting: Pick<Hosting, 'renamed'>;
  /** The status is other than before. */
  readonly onChange: () => void;
}

/** What of the settings is the same for the engine and all its shells. */
export function preferencesOf({
  name,
  cooldownS,
  balloon,
  notify,
  departure,
  leaving,
  closeToTray,
}: Settings): Preferences {
  return { name, cooldownS, balloon, notify, departure, leaving, closeToTray };
}

/** Resolves once the change is on disk and everybody here goes by it. @throws HomewardError `disk-full`, `permission` */
export async function changePreferences(
  { settings, hosting, onChange }: PreferenceRooms,
  { notify, departure, ...change }: Change,
): Promise<Preferences> {
  const { name } = settings.current;
  const changed = await settings.update((now) => ({
    ...now,
    ...given(change),
    notify: { ...now.notify, ...given(notify ?? {}) },
    departure: changedDeparture(now.departure, departure ?? {}),
  }));
  if (changed.name !== name) await hosting.renamed();
  onChange();
  return preferencesOf(changed);
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without what was not said. */
function given<T extends object>(change: T): Given<T> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as Given<T>;
}
