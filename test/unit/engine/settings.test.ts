import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { defaultSettings, openSettings, readSettings } from '../../../main/engine/settings.ts';
import { vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

test('without a file the defaults hold: nothing moves by itself and nobody may visit', async () => {
  const store = await openSettings(`${await tempFolder()}/settings.json`);
  expect(store.current).toEqual(defaultSettings());
  expect(store.current.levels).toEqual({});
  expect(store.current.host.enabled).toBe(false);
  expect(store.findings).toEqual([]);
});

test('a change is on disk, mode 0600, when update has returned, and is there after a restart', async () => {
  const file = `${await tempFolder()}/settings.json`;
  const store = await openSettings(file);
  await store.update((settings) => ({ ...settings, levels: { [vmUuid]: 'automatic' }, cooldownS: 5 }));
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await openSettings(file)).current).toMatchObject({ levels: { [vmUuid]: 'automatic' }, cooldownS: 5 });
});

test('changes made at once are all kept', async () => {
  const file = `${await tempFolder()}/settings.json`;
  const store = await openSettings(file);
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      store.update((settings) => ({
        ...settings,
        manualHosts: [...settings.manualHosts, { address: `10.0.0.${index}`, port: 7000 }],
      })),
    ),
  );
  expect((await readSettings(file)).manualHosts).toHaveLength(20);
});

test('an impossible change is refused and changes nothing', async () => {
  const file = `${await tempFolder()}/settings.json`;
  const store = await openSettings(file);
  await store.update((settings) => ({ ...settings, cooldownS: 7 }));
  await expect(store.update((settings) => ({ ...settings, cooldownS: -1 }))).rejects.toMatchObject({
    code: 'bad-input',
  });
  expect(store.current.cooldownS).toBe(7);
  await expect(store.update((settings) => ({ ...settings, cooldownS: 8 }))).resolves.toMatchObject({ cooldownS: 8 });
});

test('fields of a newer version survive, missing ones get their default', async () => {
  const file = `${await tempFolder()}/settings.json`;
  await writeFile(file, '{"name":"desk","later":{"a":1},"host":{"enabled":true}}');
  const store = await openSettings(file);
  expect(store.current.host).toEqual({ ...defaultSettings().host, enabled: true });
  await store.update((settings) => ({ ...settings, cooldownS: 9 }));
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ name: 'desk', later: { a: 1 }, cooldownS: 9 });
});

test('a file from before there were notifications loads; of those it names, the others keep their default', async () => {
  const file = `${await tempFolder()}/settings.json`;
  await writeFile(file, '{"name":"desk","cooldownS":9}');
  const { notify, closeToTray } = defaultSettings();
  expect(await readSettings(file)).toMatchObject({ name: 'desk', cooldownS: 9, notify, closeToTray });
  await writeFile(file, '{"notify":{"trouble":false}}');
  expect((await readSettings(file)).notify).toEqual({ ...notify, trouble: false });
});

test.each([
  ['cut short', '{"name":"desk"'],
  ['empty', ''],
  ['not an object', '[]'],
  ['of the wrong shape', '{"host":{"port":99999999}}'],
  ['binary', '\0\0\0\0'],
])(
  'a settings file that is %s is reported, kept aside whole, and the engine starts with the defaults',
  async (_, text) => {
    const folder = await tempFolder();
    const file = `${folder}/settings.json`;
    await writeFile(file, text);
    await expect(readSettings(file)).rejects.toMatchObject({
      code: 'damaged-file',
      message: expect.stringContaining(`The settings file ${file} is damaged`),
      hint: expect.stringContaining('delete it to start with the defaults'),
    });
    const store = await openSettings(file, () => new Date('2026-11-20T10:00:00Z'));
    expect(store.current).toEqual(defaultSettings());
    const kept = `${file}.damaged-2026-11-20T10-00-00Z`;
    expect(await readFile(kept, 'utf8')).toBe(text);
    expect(store.findings).toMatchObject([{ severity: 'problem', detail: expect.stringContaining(kept) }]);
    expect((await openSettings(file)).findings, 'until the user has removed it').toHaveLength(1);
  },
);

test('damaged twice in one second, both are kept', async () => {
  const folder = await tempFolder();
  const file = `${folder}/settings.json`;
  for (const text of ['one', 'two']) {
    await writeFile(file, text);
    await openSettings(file, () => new Date('2026-11-20T10:00:00Z'));
  }
  const kept = (await readdir(folder)).sort();
  expect(await Promise.all(kept.map((name) => readFile(`${folder}/${name}`, 'utf8')))).toEqual(['one', 'two']);
});

test('a folder that cannot be written gives a sentence and changes nothing', async () => {
  const folder = await tempFolder();
  const file = `${folder}/none/settings.json`;
  await chmod(folder, 0o700);
  await writeFile(`${folder}/none`, '');
  const store = await openSettings(`${folder}/settings.json`);
  expect(store.current).toEqual(defaultSettings());
  await expect(openSettings(file)).rejects.toMatchObject({
    code: 'permission',
    message: expect.stringContaining('cannot be read'),
  });
});
