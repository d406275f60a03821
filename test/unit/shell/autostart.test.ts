import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Autostart } from '../../../main/shell/autostart.ts';
import { tempFolder } from '../engine/temp-folder.ts';

const run = promisify(execFile);

test('it is on while its file is there and says so', async () => {
  const file = join(await tempFolder(), 'autostart/homeward.desktop');
  const autostart = new Autostart(['/usr/bin/homeward'], file);
  expect(await autostart.isOn()).toBe(false);
  await autostart.set(true);
  expect(await autostart.isOn()).toBe(true);
  await autostart.set(false);
  await autostart.set(false);
  expect(await autostart.isOn()).toBe(false);
});

test.each(['Hidden=true', 'X-GNOME-Autostart-enabled=false'])(
  'what a desktop switched off is off: %s',
  async (line) => {
    const file = join(await tempFolder(), 'homeward.desktop');
    const autostart = new Autostart(['/usr/bin/homeward'], file);
    await autostart.set(true);
    await writeFile(file, `${await readFile(file, 'utf8')}${line}\n`);
    expect(await autostart.isOn()).toBe(false);
  },
);

test('a path with characters that mean something in a desktop entry is started as it is', async () => {
  const folder = await tempFolder();
  const words = ['/bin/echo', `${folder}/a b`, '100%', 'say "hi"', '$HOME', 'back\\slash', '`id`'];
  const file = join(folder, 'homeward.desktop');
  await new Autostart(words, file).set(true);
  const line = /^Exec=(.*)$/m.exec(await readFile(file, 'utf8'))?.[1] ?? '';
  // As a launcher reads it: escapes of a string, then %, then quotes as a shell has them.
  const unescaped = line.replaceAll('\\\\', '\\').replaceAll('%%', '%');
  const { stdout } = await run('sh', ['-c', `printf '%s\\n' ${unescaped}`]);
  expect(stdout.trimEnd().split('\n')).toEqual(words);
});
