import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { type Duplex, PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { libvirtErrorCode } from '../../../main/libvirt/index.ts';
import { Carrier } from '../../../main/link/index.ts';
import { MigrationProcess } from '../../../main/migrate/migration-process.ts';
import { tempFolder } from '../engine/temp-folder.ts';

const name = 'm-00000001';
const uuid = '00000000-0000-4000-8000-000000000001';
/** First word of every message of libvirt's protocol after its length: REMOTE_PROGRAM. */
const remoteProgram = 0x20008086;

/** A migrate call out of libvirt's test driver; what the visit's libvirtd would get crosses for the caller to carry. */
async function start(folder: string, visitUri?: (socket: string) => string): Promise<MigrationProcess> {
  const migration = await MigrationProcess.start(folder, name, {
    qemu: 'connects',
    migrationSocket: `${folder}/migration.sock`,
  });
  onTestFinished(() => migration.end());
  migration.begin((socket) => ({
    sourceUri: visitUri?.(socket) ?? 'test:///default',
    destinationUri: 'test:///default',
    uuid,
    flags: ['live'],
    sourceKeepAliveIntervalS: 0,
  }));
  return migration;
}

/** What the other machine's carrier would hear of the call. */
function farEnd(): {
  readonly carrier: Carrier;
  readonly heard: () => Buffer;
  readonly heardMore: () => Promise<unknown>;
} {
  const chunks: Buffer[] = [];
  const local: Duplex = new PassThrough({ readableHighWaterMark: 0 });
  const heardBytes = new PassThrough();
  heardBytes.on('data', (chunk: Buffer) => chunks.push(chunk));
  local.pipe(heardBytes);
  return { carrier: new Carrier(local), heard: () => Buffer.concat(chunks), heardMore: () => once(heardBytes, 'data') };
}

it('tells how its call ended, with libvirt’s own error', async () => {
  const folder = await tempFolder();
  const migration = await start(folder);
  await expect(migration.outcome()).rejects.toMatchObject({ kind: 'libvirt', code: libvirtErrorCode.NO_DOMAIN });
});

it('its call waits for a visit that is out of reach, over one engine after another', async () => {
  const folder = await tempFolder();
  const migration = await start(folder, (socket) => `qemu+unix:///session?socket=${socket}`);
  let over = false;
  migration.outcome().catch(() => {
    over = true;
  });
  const far = farEnd();
  const first = await migration.connectCall();
  void far.carrier.attach(first);
  await far.heardMore();
  expect(far.heard().readUInt32BE(4)).toBe(remoteProgram);
  first.destroy();
  await once(first, 'close');

  const adopted = await MigrationProcess.adopt(folder, name);
  if (adopted === undefined) throw new Error('The process has gone with the connection.');
  void far.carrier.attach(await adopted.connectCall());
  expect(over).toBe(false);
  // Only when the visit's libvirtd itself hangs up has the call failed.
  far.carrier.destroy();
  await expect(adopted.outcome()).rejects.toMatchObject({ kind: 'libvirt' });
});

it('ends with all it had', async () => {
  const folder = await tempFolder();
  const migration = await start(folder, (socket) => `qemu+unix:///session?socket=${socket}`);
  const outcome = migration.outcome();
  await Promise.all([expect(outcome).rejects.toMatchObject({ code: 'internal' }), migration.end()]);
  expect(await MigrationProcess.adopt(folder, name)).toBeUndefined();
  expect((await readdir(folder)).filter((file) => file !== 'migration.sock')).toEqual([]);
});

it('an engine that goes before it has asked for the call leaves nothing to go on with', async () => {
  const folder = await tempFolder();
  const program = fileURLToPath(new URL('./prepared-migration.ts', import.meta.url));
  await promisify(execFile)(process.execPath, [program, folder, name]);
  await expect.poll(() => MigrationProcess.adopt(folder, name)).toBeUndefined();
  expect(await readdir(folder)).toEqual(['migration.sock']);
});

it('an engine that goes before the process listens leaves one that the next engine is done with at once', async () => {
  const folder = await tempFolder();
  const program = fileURLToPath(new URL('./prepared-migration.ts', import.meta.url));
  await promisify(execFile)(process.execPath, [program, folder, name, 'early']);
  const adopted = await MigrationProcess.adopt(folder, name);
  if (adopted === undefined) throw new Error('The process has gone with its engine.');
  onTestFinished(() => adopted.end());
  await expect.poll(() => readdir(folder)).toContain(`${name}-o.sock`);
  await expect(adopted.outcome()).rejects.toMatchObject({ code: 'internal' });
  await adopted.end();
  expect(await readdir(folder)).toEqual(['migration.sock']);
});

it('one that was never begun has no outcome', async () => {
  const folder = await tempFolder();
  const migration = await MigrationProcess.start(folder, name, {
    qemu: 'connects',
    migrationSocket: `${folder}/migration.sock`,
  });
  onTestFinished(() => migration.end());
  await expect(migration.outcome()).rejects.toMatchObject({ code: 'internal' });
});
