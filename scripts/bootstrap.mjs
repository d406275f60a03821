/**
 * The way in from a fresh clone: `npm start`, `npm run setup|demo|test`. Runs on the machine's own Node, however old; everything
 * after the set-up runs on the Node that comes with the dependencies.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { windowIsBuilt } from '../bin/built.mjs';
import { setUp } from './setup.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
const bin = join(repository, 'node_modules/.bin');
const [task, ...args] = process.argv.slice(2);

const tests = [
  ['build', 'npm', ['run', '--silent', 'build']],
  ['types, lint, layers, dead code', 'npm', ['run', '--silent', 'check']],
  ['guest image', 'node', ['test/testbed/guest/prepare.ts']],
  ['unit tests', 'npm', ['run', '--silent', 'test:unit']],
  ['end-to-end tests', 'npm', ['run', '--silent', 'test:e2e']],
  ['integration tests', 'npm', ['run', '--silent', 'test:integration']],
  ['fault tests', 'npm', ['run', '--silent', 'test:fault']],
];

process.chdir(repository);
if (!['setup', 'start', 'demo', 'test', 'bench:workloads'].includes(task)) {
  console.error(
    'Usage: node scripts/bootstrap.mjs setup | start [options] | demo [options] | test | bench:workloads [options]',
  );
  process.exit(2);
}
installDependencies();
// A window can be opened before the machine is set up; the engine says what it misses.
if (task !== 'start') await setUp({ forTests: task === 'test', forWorkloads: task === 'bench:workloads' });
process.env.PATH = `${bin}${delimiter}${process.env.PATH}`;
if (task === 'demo') {
  process.exitCode =
    (await run('npm', ['run', '--silent', 'build'])) || (await run('node', ['test/demo/demo.ts', ...args]));
}
if (task === 'start')
  process.exitCode = (await buildAll()) || (await run('node', ['bin/homeward.mjs', 'open', ...args]));
if (task === 'bench:workloads') {
  process.exitCode =
    (await run('npm', ['run', '--silent', 'build'])) || (await run('node', ['test/bench/workloads.ts', ...args]));
}
if (task === 'test') process.exitCode = await runTests();

/**
 * Brings node_modules to what package-lock.json says, and leaves that file alone. Not `npm ci`: where a registry does
 * not carry the binaries of other systems it refuses even a lock file that is right.
 */
function installDependencies() {
  if (existsSync(join(bin, 'node')) && isInstalled()) return;
  console.log('Installing the dependencies that package-lock.json names');
  const done = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund'], { stdio: 'inherit' });
  if (done.status !== 0) process.exit(1);
}

/** By content: a checkout gives files any date. Packages for other systems may stay out. */
function isInstalled() {
  const installedFile = 'node_modules/.package-lock.json';
  if (!existsSync(installedFile)) return false;
  const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
  const installed = packagesOf(installedFile);
  return Object.entries(packagesOf('package-lock.json')).every(
    ([path, { version, optional, peer }]) => path === '' || optional || peer || installed[path]?.version === version,
  );
}

async function buildAll() {
  return (
    (await run('npm', ['run', '--silent', 'build'])) ||
    (windowIsBuilt() ? 0 : await run('npm', ['run', '--silent', 'build:window']))
  );
}

async function runTests() {
  for (const [name, command, commandArgs] of tests) {
    console.log(`\n== ${name}`);
    const since = Date.now();
    const code = await run(command, commandArgs);
    console.log(`== ${name}: ${code === 0 ? 'passed' : 'FAILED'} in ${((Date.now() - since) / 1000).toFixed(1)} s`);
    if (code !== 0) return code;
  }
  return 0;
}

/** Ctrl-C reaches the child by the terminal; this process stays until it has cleaned up. */
function run(command, commandArgs) {
  return new Promise((resolve) => {
    const child = spawn(command, commandArgs, { stdio: 'inherit' });
    const wait = () => {};
    const pass = () => child.kill('SIGTERM');
    process.on('SIGINT', wait).on('SIGTERM', pass);
    child.on('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on('exit', (code, signal) => {
      process.off('SIGINT', wait).off('SIGTERM', pass);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}
