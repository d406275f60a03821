import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const run = promisify(execFile);

/** A copy to build in, so that nothing else sees its dist/. */
async function built(): Promise<string> {
  const folder = await mkdtemp('/tmp/homeward-build-');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const name of ['bin', 'main', 'shared', 'scripts', 'package.json', 'tsconfig.json']) {
    await cp(join(repository, name), join(folder, name), { recursive: true });
  }
  await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'));
  await run(process.execPath, [join(folder, 'scripts/build.mjs')]);
  return folder;
}

test('every program that a module starts by its URL is in dist/, and the command runs from there', async () => {
  const folder = await built();
  const sources = await readdir(join(folder, 'main'), { recursive: true });
  const texts = await Promise.all(
    sources.filter((name) => name.endsWith('.ts')).map((name) => readFile(join(folder, 'main', name), 'utf8')),
  );
  const started = new Set(
    texts.flatMap((text) => [...text.matchAll(/\/([\w-]+)\.ts', import\.meta\.url/g)].map(([, name]) => name)),
  );
  expect(started.size).toBeGreaterThan(4);
  const programs = await readdir(join(folder, 'dist'));
  for (const name of started) expect(programs).toContainEqual(expect.stringMatching(new RegExp(`-${name}\\.js$`)));

  await rm(join(folder, 'main'), { recursive: true });
  const { stdout } = await run(process.execPath, [join(folder, 'bin/homeward.mjs'), '--version']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  for (const name of programs)
    expect(await readFile(join(folder, 'dist', name), 'utf8')).not.toMatch(/\.ts["'`],\s*import\.meta\.url/);
});
