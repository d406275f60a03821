import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { extractFile, listPackage } from '@electron/asar';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../../..', import.meta.url));
const sources = [
  'assets',
  'bin',
  'main',
  'shared',
  'scripts',
  'test',
  'tsconfig.json',
  'package.json',
  'package-lock.json',
];

let folder: string;
let packed: string;
let archive: string;
/** Paths inside the package, from its root. */
let files: string[];

/**
 * Packed by electron-builder itself, with an empty stand-in for Electron's binary, which it only copies. Packing
 * further, into deb, rpm and AppImage, takes tools that it fetches, and is not done here.
 */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hw-package-'));
  for (const name of [...sources, 'electron-builder.yml']) {
    await cp(join(repository, name), join(folder, name), { recursive: true });
  }
  await installed();
  if (existsSync(join(repository, 'dist-window/index.html'))) {
    await cp(join(repository, 'dist-window'), join(folder, 'dist-window'), { recursive: true });
  } else {
    await mkdir(join(folder, 'dist-window'));
    await writeFile(join(folder, 'dist-window/index.html'), '<!doctype html>');
  }
  const electron = join(folder, 'electron-stand-in');
  await mkdir(join(electron, 'resources'), { recursive: true });
  await writeFile(join(electron, 'electron'), '#!/bin/sh\n');
  await chmod(join(electron, 'electron'), 0o755);
  for (const name of ['chrome-sandbox', 'LICENSE', 'LICENSES.chromium.html']) await writeFile(join(electron, name), '');
  const env = { ...process.env, ELECTRON_OVERRIDE_DIST_PATH: electron };
  await run(process.execPath, [join(folder, 'scripts/package.mjs'), '--dir'], { cwd: folder, env });
  // Away from the sources, whose modules it would find above itself.
  packed = await mkdtemp(join(tmpdir(), 'hw-packed-'));
  await rename(join(folder, 'dist-package/linux-unpacked'), join(packed, 'app'));
  archive = join(packed, 'app/resources/app.asar');
  files = listPackage(archive, { isPack: false }).map((path) => path.replace(/^\//, ''));
});
/** Modules that go into the package are copied: electron-builder packs no link that leads out of the project. */
async function installed(): Promise<void> {
  const [from, to] = [join(repository, 'node_modules'), join(folder, 'node_modules')];
  await mkdir(to);
  for (const name of await readdir(from)) {
    if (name === 'koffi' || name === '@koromix') await cp(join(from, name), join(to, name), { recursive: true });
    else await symlink(join(from, name), join(to, name));
  }
}

afterAll(async () => {
  for (const made of [folder, packed]) await rm(made, { recursive: true, force: true });
});

test('nothing of the tests, the sources or the tools is in it', () => {
  const roots = new Set(files.map((path) => path.split('/')[0]));
  expect([...roots].sort()).toEqual(['dist', 'dist-window', 'node_modules', 'package.json']);
  const modules = files.flatMap((path) => /^node_modules\/(@[^/]+\/[^/]+|[^@/][^/]*)$/.exec(path)?.[1] ?? []);
  expect(modules.sort()).toEqual(['@koromix/koffi-linux-x64', 'koffi']);
  expect(files.filter((path) => /\.(ts|tsx|map|cc|hh)$/.test(path))).toEqual([]);
});

test('every program is in it, with every file and module it imports', async () => {
  const built = await readdir(join(folder, 'dist'));
  expect(files.filter((path) => path.startsWith('dist/')).map((path) => path.slice(5))).toEqual(
    expect.arrayContaining(built),
  );
  expect(built).toEqual(
    expect.arrayContaining([
      'homeward.js',
      'engine-main.js',
      'shell-electron-main.js',
      'shell-electron-preload.cjs',
      'shell-web-main.js',
    ]),
  );
  const missing: string[] = [];
  for (const name of built) {
    const text = await readFile(join(folder, 'dist', name), 'utf8');
    const started = [...text.matchAll(/new URL\("(?:\.\/)?([^"]+)", import\.meta\.url\)/g)].map(
      ([, path]) => `./${path}`,
    );
    const imported = [
      ...text.matchAll(/^(?:import|export)\b[^;]*? from "([^"]+)";/gm),
      ...text.matchAll(/^import "([^"]+)";/gm),
      ...text.matchAll(/\bimport\("([^"]+)"\)/g),
    ].map(([, path = '']) => path);
    for (const path of [...started, ...imported]) {
      const isThere =
        path === 'electron' ||
        isBuiltin(path) ||
        files.includes(path.startsWith('.') ? posix.join('dist', path) : `node_modules/${path}`);
      if (!isThere) missing.push(`${name} → ${path}`);
    }
  }
  expect(missing).toEqual([]);
});

test('what Electron starts is the program that package.json names, and it is there', () => {
  const { main } = JSON.parse(extractFile(archive, 'package.json').toString()) as { readonly main: string };
  expect(files).toContain(main);
});

test('programs and native parts are files beside the archive, and run there with a plain Node', async () => {
  const unpacked = `${archive}.unpacked`;
  const { stdout } = await run(process.execPath, [join(unpacked, 'dist/homeward.js'), '--version']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const koffi = join(unpacked, 'node_modules/koffi/index.js');
  const script = `const { default: koffi } = await import(${JSON.stringify(koffi)});
    console.log(koffi.load(null).func('int getpid()')() === process.pid);`;
  const loaded = await run(process.execPath, ['--input-type=module', '-e', script]);
  expect(loaded.stdout).toBe('true\n');
});

test('the window is in it with everything its page asks for', () => {
  const page = extractFile(archive, 'dist-window/index.html').toString();
  const asked = [...page.matchAll(/(?:src|href)="\.?\/?([^":]+)"/g)].map(([, path = '']) => `dist-window/${path}`);
  expect(files).toEqual(expect.arrayContaining(asked));
});

test('what packages put elsewhere is there, and the command starts what was packed', async () => {
  const settings = await readFile(join(folder, 'electron-builder.yml'), 'utf8');
  const placed = [...settings.matchAll(/- (assets\/[^=\s]+)=/g)].map(([, path = '']) => path);
  expect(placed.length).toBeGreaterThan(3);
  for (const path of placed) expect(existsSync(join(folder, path)), path).toBe(true);
  const command = await readFile(join(folder, 'assets/homeward'), 'utf8');
  const program = /app\.asar\.unpacked\/(\S+)"/.exec(command)?.[1];
  expect(files).toContain(program);
  expect(settings).toContain('executableName: homeward-desktop');
  expect(command).toContain('/homeward-desktop"');
});
