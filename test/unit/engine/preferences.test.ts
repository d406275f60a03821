import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { changePreferences, preferencesOf } from '../../../main/engine/preferences.ts';
import { openSettings } from '../../../main/engine/settings.ts';
import { defaultDeparture } from '../../../shared/model/signal.ts';
import { tempFolder } from './temp-folder.ts';

async function rooms() {
  const file = `${await tempFolder()}/settings.json`;
  const settings = await openSettings(file);
  await settings.update((now) => ({ ...now, name: 'eva' }));
  const done: string[] = [];
  const hosting = { renamed: async () => void done.push(`announce ${settings.current.name}`) };
  return { file, settings, hosting, onChange: () => void done.push('status'), done };
}

test('at first everything is told and closing the window leaves the tray', async () => {
  const { settings } = await rooms();
  expect(preferencesOf(settings.current)).toEqual({
    name: 'eva',
    cooldownS: 120,
    balloon: true,
    notify: { suggestions: true, moves: true, trouble: true, pairing: true },
    departure: defaultDeparture,
    leaving: [],
    closeToTray: true,
  });
});

test('one notification is turned off, on disk, and all else stays', async () => {
  const { done, ...here } = await rooms();
  const before = preferencesOf(here.settings.current);
  const after = await changePreferences(here, { notify: { moves: false }, closeToTray: undefined });
  expect(after).toEqual({ ...before, notify: { ...before.notify, moves: false } });
  expect(JSON.parse(await readFile(here.file, 'utf8'))).toMatchObject({ notify: { moves: false, pairing: true } });
  expect(done).toEqual(['status']);
});

test('one sign of departure is turned off, another gets more time, and all else stays', async () => {
  const { done, ...here } = await rooms();
  const { departure } = await changePreferences(here, {
    departure: { dock: { on: false }, lid: { deadlineS: 120, on: undefined } },
  });
  expect(departure).toEqual({
    ...defaultDeparture,
    dock: { ...defaultDeparture.dock, on: false },
    lid: { on: true, deadlineS: 120 },
  });
  await expect(changePreferences(here, { departure: { lid: { deadlineS: 1 } } })).rejects.toThrow();
});

test('a new name is announced before the change is answered', async () => {
  const { done, ...here } = await rooms();
  await expect(changePreferences(here, { name: 'attic', cooldownS: 5 })).resolves.toMatchObject({
    name: 'attic',
    cooldownS: 5,
  });
  expect(done).toEqual(['announce attic', 'status']);
});

test('the name it has already is no news', async () => {
  const { done, ...here } = await rooms();
  await changePreferences(here, { name: 'eva' });
  expect(done).toEqual(['status']);
});

test('what cannot be is refused, and nothing is other than before', async () => {
  const { done, ...here } = await rooms();
  await expect(changePreferences(here, { name: 'a/b' })).rejects.toMatchObject({ code: 'bad-input' });
  expect(here.settings.current.name).toBe('eva');
  expect(done).toEqual([]);
});
