import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Libvirt } from '../../../main/libvirt/index.ts';

/** A daemon that takes connections and never says a word. */
let folder: string;
let server: Server;
const taken = new Set<Socket>();

const muteUri = () => `qemu+unix:///session?socket=${join(folder, 'sock')}`;
const threads = async () => (await readdir('/proc/self/task')).length;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'libvirt-mute-'));
  server = createServer((socket) => {
    taken.add(socket);
    socket.on('error', () => undefined).resume();
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 'sock'), resolve));
});

afterEach(async () => {
  for (const socket of taken) {
    socket.destroy();
  }
  taken.clear();
  server.close();
  await rm(folder, { recursive: true });
});

test('a daemon that never answers means a timeout, and its thread comes back', async () => {
  const libvirt = await Libvirt.start();
  const before = await threads();
  const started = performance.now();
  await expect(libvirt.connect(muteUri(), { deadlineMs: 400 })).rejects.toMatchObject({
    name: 'LibvirtError',
    kind: 'timeout',
    code: 0,
  });
  expect(performance.now() - started).toBeLessThan(2_000);
  await expect.poll(threads, { timeout: 5_000 }).toBeLessThanOrEqual(before);
  await libvirt.stop();
});

test('a connection that hangs does not delay another', async () => {
  const libvirt = await Libvirt.start();
  const healthy = await libvirt.connect('test:///default');
  const hanging = libvirt.connect(muteUri(), { deadlineMs: 1_500 }).catch((error: unknown) => error);
  await expect.poll(() => taken.size).toBe(1);
  const slowest = { ms: 0 };
  for (let call = 0; call < 50; call += 1) {
    const started = performance.now();
    await healthy.listDomains();
    slowest.ms = Math.max(slowest.ms, performance.now() - started);
  }
  expect(slowest.ms).toBeLessThan(500);
  expect(await hanging).toMatchObject({ kind: 'timeout' });
  await libvirt.stop();
});

test('cutting a stuck connection leaves others to the same daemon alone', async () => {
  const libvirt = await Libvirt.start();
  const first = libvirt.connect(muteUri(), { deadlineMs: 3_000 }).catch((error: unknown) => error);
  await expect.poll(() => taken.size).toBe(1);
  const [older] = taken;
  let isOlderOpen = true;
  older?.on('close', () => {
    isOlderOpen = false;
  });
  expect(await libvirt.connect(muteUri(), { deadlineMs: 300 }).catch((error: unknown) => error)).toMatchObject({
    kind: 'timeout',
  });
  expect(isOlderOpen).toBe(true);
  expect(await first).toMatchObject({ kind: 'timeout' });
  await libvirt.stop();
});

test('a call that waits behind others times out without harm to them', async () => {
  const libvirt = await Libvirt.start();
  const connection = await libvirt.connect('test:///default');
  const ahead = Array.from({ length: 1_000 }, () => connection.listDomains());
  await expect(connection.hostname({ deadlineMs: 1 })).rejects.toMatchObject({ kind: 'timeout' });
  expect((await Promise.all(ahead)).flat()).toHaveLength(1_000);
  expect(await connection.hostname()).not.toBe('');
  await libvirt.stop();
});

test('a migration to a daemon that never answers ends when libvirt is stopped', async () => {
  const libvirt = await Libvirt.start();
  const connection = await libvirt.connect('test:///default');
  const { uuid } = await connection.domainByName('test');
  const request = { sourceUri: 'test:///default', destinationUri: muteUri(), uuid, flags: ['live'] as const };
  const move = libvirt.migrate(request).catch((error: unknown) => error);
  await expect.poll(() => taken.size).toBe(1);
  await libvirt.stop();
  expect(await move).toMatchObject({ name: 'LibvirtError', kind: 'libvirt' });
});

/** Runs `body` in a Node of its own, which must end by itself. */
async function runAlone(body: string): Promise<string> {
  const face = new URL('../../../main/libvirt/index.ts', import.meta.url).href;
  const script = `const { Libvirt } = await import(${JSON.stringify(face)});${body}`;
  const options = { timeout: 20_000, killSignal: 'SIGKILL' } as const;
  return (await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], options)).stdout.trim();
}

test('a process that stopped libvirt ends by itself', async () => {
  const out = await runAlone(`
    const libvirt = await Libvirt.start();
    const connection = await libvirt.connect('test:///default');
    await connection.listDomains();
    await libvirt.stop();
    console.log('stopped');`);
  expect(out).toBe('stopped');
}, 30_000);

test('a process that gave a daemon up can exit at once', async () => {
  const out = await runAlone(`
    const libvirt = await Libvirt.start();
    const kind = await libvirt.connect(${JSON.stringify(muteUri())}, { deadlineMs: 300 }).catch((error) => error.kind);
    await libvirt.stop();
    console.log(kind);
    process.exit(0);`);
  expect(out).toBe('timeout');
}, 30_000);
