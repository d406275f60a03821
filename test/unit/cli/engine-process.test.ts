import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { visitRequest } from '../samples.ts';
import { emptySurroundings, runCli, startCli, startInTerminal } from './scripted-engine.ts';

vi.setConfig({ testTimeout: 60_000 });

/** Surroundings in which a real engine may be started; it is stopped with the test. */
async function realSurroundings() {
  const surroundings = await emptySurroundings();
  const { env } = surroundings;
  onTestFinished(async () => {
    const { pid } = JSON.parse((await runCli(env, ['status', '--json'])).stdout) as { pid?: number };
    await runCli(env, ['engine', 'stop']);
    // It stops answering before it has tidied up, and its folder must not be removed under it.
    while (pid !== undefined && (await alive(pid))) await setTimeout(50);
  });
  return surroundings;
}

test('engine --detach starts one engine, says so when it runs already, and stop ends it', async () => {
  const { env, folder } = await realSurroundings();
  const started = await runCli(env, ['engine', '--detach', '--json']);
  expect(started).toMatchObject({ code: 0, stderr: '' });
  const { pid, log } = JSON.parse(started.stdout) as { pid: number; log: string };
  expect((await stat(log)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'homeward/engine.sock'))).mode & 0o777).toBe(0o600);
  expect(await runCli(env, ['engine', '--detach'])).toEqual({
    code: 0,
    stdout: `The engine is running already: process ${pid}.\n`,
    stderr: '',
  });
  const second = await runCli(env, ['engine']);
  expect(second.code).toBe(4);
  expect(second.stderr).toContain(`An engine is already running for this user (process ${pid}).`);
  expect(await runCli(env, ['engine', 'stop'])).toEqual({ code: 0, stdout: 'The engine is stopped.\n', stderr: '' });
  await expect.poll(() => alive(pid), { timeout: 5_000 }).toBe(false);
  expect((await runCli(env, ['status'])).code).toBe(3);
});

test('an engine that was started as a host is none any more once that is turned off', async () => {
  const { env } = await realSurroundings();
  const host = async (...what: string[]) =>
    JSON.parse((await runCli(env, ['host', ...what, '--json'])).stdout) as { enabled: boolean; addresses?: unknown };
  await runCli(env, ['engine', '--detach', '--host']);
  expect(await host('status')).toMatchObject({ enabled: true, addresses: expect.any(Array) });
  expect(await host('off')).toMatchObject({ enabled: false, settings: { enabled: false } });
  expect(await host('status')).not.toHaveProperty('addresses');
});

test('an engine killed with SIGKILL is replaced by the next', async () => {
  const { env } = await realSurroundings();
  const { pid } = JSON.parse((await runCli(env, ['engine', '--detach', '--json'])).stdout) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => alive(pid)).toBe(false);
  const next = JSON.parse((await runCli(env, ['engine', '--detach', '--json'])).stdout) as {
    started: boolean;
    pid: number;
  };
  expect(next.started).toBe(true);
  expect(next.pid).not.toBe(pid);
});

test('engine in the foreground takes the process’s place and ends with SIGTERM', async () => {
  const { env } = await realSurroundings();
  const cli = startCli(env, ['engine']);
  await cli.sees(/engine started/);
  const { pid } = JSON.parse((await runCli(env, ['status', '--json'])).stdout) as { pid: number };
  expect(pid).toBe(cli.child.pid);
  cli.child.kill('SIGTERM');
  expect((await cli.ended).code).toBe(0);
});

test('an engine that cannot start is told with its own words', async () => {
  const { env, folder } = await realSurroundings();
  await writeFile(join(folder, 'config'), 'a file where a folder should be');
  const { code, stderr } = await runCli(env, ['engine', '--detach']);
  expect(code).toBe(3);
  expect(stderr).toMatch(/homeward: The engine ended at once\. [\s\S]*config\/homeward cannot be used[\s\S]*Its log: /);
});

test('engine starts with damaged settings and a damaged journal, with the defaults and both files kept aside', async () => {
  const { env, folder } = await realSurroundings();
  await runCli(env, ['engine', '--detach']);
  await runCli(env, ['host', 'on', '--max-visitors', '3']);
  await runCli(env, ['host', 'off']);
  await runCli(env, ['engine', 'stop']);
  const settings = join(folder, 'config/homeward/settings.json');
  await writeFile(settings, (await readFile(settings, 'utf8')).slice(0, 40));
  await writeFile(join(folder, 'state/homeward/journal.jsonl'), '{"crc":"00000000","seq":1}\n');
  expect((await runCli(env, ['engine', '--detach'])).code).toBe(0);
  const { settings: now } = JSON.parse((await runCli(env, ['host', 'status', '--json'])).stdout) as {
    settings: { maxVisitors: number };
  };
  expect(now.maxVisitors).toBe(2);
  expect(await readdir(join(folder, 'config/homeward'))).toContainEqual(
    expect.stringMatching(/^settings\.json\.damaged-/),
  );
  expect(await readdir(join(folder, 'state/homeward'))).toContainEqual(
    expect.stringMatching(/^journal\.jsonl\.damaged-/),
  );
});

test('engine says in its log that the last entry of the journal was cut short', async () => {
  const { env, folder } = await realSurroundings();
  const state = join(folder, 'state/homeward');
  await mkdir(state, { recursive: true, mode: 0o700 });
  await writeFile(join(state, 'journal.jsonl'), '{"crc":"01');
  await runCli(env, ['engine', '--detach']);
  const lines = (await readFile(join(state, 'engine.log'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toContainEqual(
    expect.objectContaining({ level: 40, droppedBytes: 10, msg: expect.stringContaining('was cut short') }),
  );
  await runCli(env, ['engine', 'stop']);
  await runCli(env, ['engine', '--detach']);
  expect((await readFile(join(state, 'engine.log'), 'utf8')).match(/was cut short/g), 'once').toHaveLength(1);
});

test('engine --detach --host makes a host of an engine that runs already', async () => {
  const { env } = await realSurroundings();
  await runCli(env, ['engine', '--detach']);
  const { code, stdout } = await runCli(env, ['engine', '--detach', '--host']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/running already: process \d+\.\nThis computer takes visitors from now on; .* host off\n$/);
  const { host } = JSON.parse((await runCli(env, ['status', '--json'])).stdout) as { host: { enabled: boolean } };
  expect(host.enabled).toBe(true);
  expect((await runCli(env, ['engine', '--detach', '--host'])).stdout).toMatch(/^The engine .* process \d+\.\n$/);
});

test('host starts an engine of its own, is a host while it runs, and Ctrl-C ends both', async () => {
  const { env } = await realSurroundings();
  const cli = startInTerminal(env, ['host', '--max-visitors', '1']);
  await cli.sees(/takes visitors (?:at \S+:\d+|on port \d+)[^:]*: 1 visitor, [\s\S]*Ctrl-C ends this/);
  const { pid } = JSON.parse((await runCli(env, ['status', '--json'])).stdout) as { pid: number };
  cli.child.stdin?.write('\u0003');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(130);
  expect(stdout).toContain('Stopping the engine.');
  await expect.poll(() => alive(pid), { timeout: 5_000 }).toBe(false);
  await runCli(env, ['engine', '--detach']);
  const { host } = JSON.parse((await runCli(env, ['status', '--json'])).stdout) as { host: { enabled: boolean } };
  expect(host.enabled, 'only for as long as it ran').toBe(false);
});

test('a host that revokes a laptop ends its visits', async () => {
  const { env, folder } = await realSurroundings();
  const laptop = 'ab'.repeat(32);
  const state = join(folder, 'state/homeward');
  await mkdir(state, { recursive: true, mode: 0o700 });
  const peers = [{ fingerprint: laptop, name: 'lap', pairedAt: '2026-11-20T10:00:00.000Z', role: 'laptop' }];
  await writeFile(join(state, 'peers.json'), JSON.stringify({ version: 1, peers }), { mode: 0o600 });
  const visit = join(folder, 'homeward/h/v/left');
  await mkdir(visit, { recursive: true, mode: 0o700 });
  await writeFile(join(visit, 'visit.json'), JSON.stringify(leftVisit(laptop)));
  await runCli(env, ['engine', '--detach', '--host']);
  const visitors = async () => {
    const status = JSON.parse((await runCli(env, ['status', '--json'])).stdout) as { host: { visitors: unknown[] } };
    return status.host.visitors;
  };
  expect(await visitors()).toEqual([expect.objectContaining({ vmName: 'work', state: 'gone' })]);
  expect((await runCli(env, ['peers', 'revoke', 'lap', '--yes'])).code).toBe(0);
  // Each look is a process of its own, which takes its time on a busy machine.
  await expect.poll(visitors, { timeout: 15_000 }).toEqual([]);
});

/** What an engine wrote down of a visit whose sandbox has ended since, as with a restart of the computer. */
function leftVisit(peer: string) {
  return { peer, request: visitRequest(), since: '2026-11-20T10:00:00.000Z', state: 'running' };
}

/** A killed process that nobody has waited for yet (state Z) does not live. */
async function alive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return !stat.includes(') Z');
}
