import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { homeward } from '../../testbed/index.ts';

const repository = join(dirname(homeward), '..');

/**
 * What was built, changed into another version of it. `newer` speaks a newer wire, which this one does not understand;
 * `older` is of the same wire, tells an older version, and knows no notice that asks for a VM to be brought home
 * and no way to show its speed.
 * @returns its bin/homeward.mjs
 */
export async function otherVersion(folder: string, which: 'newer' | 'older'): Promise<string> {
  const copy = join(folder, which);
  const program = join(copy, 'bin/homeward.mjs');
  if (existsSync(program)) return program;
  await mkdir(copy, { recursive: true });
  for (const part of ['bin', 'dist', 'package.json', 'assets'])
    await cp(join(repository, part), join(copy, part), { recursive: true, preserveTimestamps: true });
  await symlink(join(repository, 'node_modules'), join(copy, 'node_modules'));
  let changes = 0;
  for (const name of await readdir(join(copy, 'dist'))) {
    if (!name.endsWith('.js')) continue;
    const file = join(copy, 'dist', name);
    const before = await readFile(file, 'utf8');
    const after = which === 'newer' ? newer(before) : older(before);
    if (after === before) continue;
    changes += 1;
    await writeFile(file, after);
  }
  if (changes < 2) throw new Error(`The ${which} Homeward is no different: is dist/ built?`);
  return program;
}

const newer = (text: string): string =>
  withVersion(text, '99.0.0').replace(/homeward-(pair|control|stream)\/1/g, 'homeward-$1/2');

const older = (text: string): string =>
  withVersion(text, '0.0.1')
    .replaceAll('home.wanted', 'home.unheard-of')
    .replaceAll('host.hashChain', 'host.unheardOf');

const withVersion = (text: string, version: string): string =>
  text.replace(/^(\s*version: )"\d+\.\d+\.\d+"(,)$/m, `$1"${version}"$2`);
