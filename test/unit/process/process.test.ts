import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ChildRecord, isAlive, readRecord, spawnDetached, stop } from '../../../main/process/index.ts';

const run = promisify(execFile);
const env = { PATH: '/usr/bin:/bin' };
let folder: string;
let started: ChildRecord[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'homeward-process-'));
  started = [];
});
afterEach(async () => {
  for (const record of started) await stop(record, { graceMs: 0 });
  await rm(folder, { recursive: true });
});

function child(command: string, args: readonly string[]) {
  return { command, args, env, logFile: join(folder, 'log'), recordFile: join(folder, 'record.json') };
}

async function start(command: string, args: readonly string[]): Promise<ChildRecord> {
  const record = await spawnDetached(child(command, args));
  started.push(record);
  return record;
}

async function contentOf(file: string, pattern: RegExp): Promise<string> {
  let text = '';
  await expect.poll(async () => (text = await readFile(file, 'utf8'))).toMatch(pattern);
  return text;
}

test('the record on disk is the process that runs, private to its owner', async () => {
  const record = await start('sleep', ['60']);
  expect(await readRecord(join(folder, 'record.json'))).toEqual(record);
  expect(await isAlive(record)).toBe(true);
  await expect.poll(() => readFile(`/proc/${record.pid}/comm`, 'utf8')).toBe('sleep\n');
  expect((await stat(join(folder, 'record.json'))).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'log'))).mode & 0o777).toBe(0o600);
});

test('the child leads its own session, has no terminal input, and gets exactly the given arguments and environment', async () => {
  const record = await start('sh', [
    '-c',
    'env; echo "[$0|$1]"; readlink /proc/self/fd/0; exec sleep 60',
    'a b',
    `c"d'e$f`,
  ]);
  const log = await contentOf(join(folder, 'log'), /null/);
  expect(log).toContain(`[a b|c"d'e$f]`);
  expect(log).not.toMatch(/^HOME=/m);
  expect(log).toContain('/dev/null');
  const session = (await readFile(`/proc/${record.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[3];
  expect(Number(session)).toBe(record.pid);
});

test('the child outlives the process that started it', async () => {
  const script = `import { spawnDetached } from '${join(import.meta.dirname, '../../../main/process/index.ts')}';
    await spawnDetached(${JSON.stringify(child('sleep', ['60']))});`;
  await run(process.execPath, ['--input-type=module', '-e', script]);
  const record = await readRecord(join(folder, 'record.json'));
  if (!record) throw new Error('no record');
  started.push(record);
  expect(await isAlive(record)).toBe(true);
});

describe('where systemd runs', () => {
  const asRoot = process.getuid?.() === 0;

  /** An engine in a world with a systemd-run that does `body`; root gets a private /run for it. */
  async function engineUnder(body: string): Promise<void> {
    const tools = join(folder, 'tools');
    const runtime = join(folder, 'runtime');
    await mkdir(tools);
    await mkdir(join(runtime, 'systemd/private'), { recursive: true });
    await writeFile(join(tools, 'systemd-run'), `#!/bin/sh\necho "$@" > ${folder}/asked\n${body}\n`, { mode: 0o755 });
    const script = `import { spawnDetached } from '${join(import.meta.dirname, '../../../main/process/index.ts')}';
      await spawnDetached(${JSON.stringify({ ...child('sh', ['-c', 'env; exec sleep 60']), env: { ...env, ONE: 'a b' } })});`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const inside = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec "$@"';
    const [command = '', ...args] = asRoot ? ['unshare', '--mount', 'sh', '-c', inside, 'sh', ...node] : node;
    await run(command, args, { env: { PATH: `${tools}:${process.env['PATH']}`, XDG_RUNTIME_DIR: runtime } });
    const record = await readRecord(join(folder, 'record.json'));
    if (!record) throw new Error('no record');
    started.push(record);
    expect(await isAlive(record)).toBe(true);
    const log = await contentOf(join(folder, 'log'), /ONE=/);
    expect(log).toContain('ONE=a b');
    expect(log).not.toContain('XDG_RUNTIME_DIR');
  }

  test('the child gets a scope of its own, which the engine’s unit does not take along when it ends', async () => {
    await engineUnder('while [ "$1" != -- ]; do shift; done; shift; exec "$@"');
    expect(await readFile(join(folder, 'asked'), 'utf8')).toMatch(/--scope .*--collect -- /);
  });

  test('a scope that keeps the report from coming through leaves no second copy', async () => {
    await engineUnder('while [ "$1" != -- ]; do shift; done; shift; exec "$@" 3>/dev/null');
    await expect(run('pgrep', ['-f', `${folder}/record.json`])).rejects.toThrow();
    expect((await run('pgrep', ['-s', String(started[0]?.pid)])).stdout.trim()).toBe(String(started[0]?.pid));
  });

  test('a refused scope does not keep it from starting', async () => {
    await engineUnder('exit 1');
    expect(await readFile(join(folder, 'asked'), 'utf8')).toContain('--scope');
  });
});

test('another process with the same pid is not taken for the recorded one, nor stopped in its place', async () => {
  const record = await start('sleep', ['60']);
  const earlier = { ...record, startTime: record.startTime - 1 };
  const otherBoot = { ...record, bootId: '00000000-0000-4000-8000-000000000000' };
  expect(await isAlive(earlier)).toBe(false);
  expect(await isAlive(otherBoot)).toBe(false);
  await stop(earlier, { graceMs: 0 });
  await stop(otherBoot, { graceMs: 0 });
  expect(await isAlive(record)).toBe(true);
});

test('a program name with blanks and brackets does not confuse the start time', async () => {
  const odd = join(folder, 'a) b (c 1 2');
  await writeFile(odd, '#!/bin/sh\nwhile :; do sleep 0.05; done\n');
  await chmod(odd, 0o755);
  const record = await start(odd, []);
  expect(await isAlive(record)).toBe(true);
});

test('stopping asks first and kills what does not listen', async () => {
  const polite = await start('sh', ['-c', 'trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.05; done']);
  await contentOf(join(folder, 'log'), /ready/);
  await stop(polite, { graceMs: 5_000 });
  expect(await contentOf(join(folder, 'log'), /bye/)).toContain('bye');
  const deaf = await start('sh', ['-c', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done']);
  await contentOf(join(folder, 'log'), /deaf/);
  await stop(deaf, { graceMs: 100 });
  expect(await isAlive(deaf)).toBe(false);
});

test('a program that is not installed is named', async () => {
  await expect(start('no-such-program', [])).rejects.toMatchObject({
    code: 'missing-tool',
    message: 'The program no-such-program is not installed.',
  });
});

test('without a place for the record nothing is left running', async () => {
  await expect(
    spawnDetached({ ...child('sleep', ['61.25']), recordFile: join(folder, 'none', 'record.json') }),
  ).rejects.toMatchObject({ code: 'internal' });
  await expect(run('pgrep', ['-f', '^sleep 61.25'])).rejects.toThrow();
});

test('a full disk is named, and nothing runs unrecorded', async () => {
  await symlink('/dev/full', join(folder, 'record.json.new'));
  await expect(start('sleep', ['61.5'])).rejects.toMatchObject({ code: 'disk-full' });
  await expect(run('pgrep', ['-f', '^sleep 61.5'])).rejects.toThrow();
});

test('a damaged record is refused in words, a missing one is none', async () => {
  const file = join(folder, 'record.json');
  expect(await readRecord(file)).toBeUndefined();
  for (const text of ['', '{', '{"pid":1,"startTime":1,"bootId":"x"}', '{"pid":-5}']) {
    await writeFile(file, text);
    await expect(readRecord(file)).rejects.toMatchObject({ code: 'damaged-file' });
  }
});
