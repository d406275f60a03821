import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Connection,
  Libvirt,
  LibvirtError,
  type LibvirtEvent,
  libvirtErrorCode,
  readDomain,
} from '../../../main/libvirt/index.ts';

const uri = 'test:///default';
const nobody = '00000000-0000-4000-8000-000000000000';

async function failure(promise: Promise<unknown>): Promise<LibvirtError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof LibvirtError)) {
    throw new Error(`expected a LibvirtError, got ${String(error)}`);
  }
  return error;
}

describe('a connection to libvirt’s test driver', () => {
  let libvirt: Libvirt;
  let connection: Connection;
  let uuid: string;

  beforeAll(async () => {
    libvirt = await Libvirt.start();
    connection = await libvirt.connect(uri);
    const [domain] = await connection.listDomains({ active: true });
    uuid = domain?.uuid ?? '';
  });

  afterAll(() => libvirt.stop());

  test('lists the domain with its name, id and state', async () => {
    expect(await connection.listDomains()).toEqual([
      expect.objectContaining({ name: 'test', uuid, id: 1, state: 'running', persistent: true }),
    ]);
    expect(await connection.listDomains({ active: false })).toEqual([]);
    expect(await connection.domainByName('test')).toEqual(await connection.domainByUuid(uuid));
  });

  test('tells versions, host name and node', async () => {
    const versions = await connection.versions();
    expect(versions.library).toBeGreaterThanOrEqual(9_000_000);
    expect(versions.daemon).toBe(versions.library);
    expect(await connection.hostname()).not.toBe('');
    expect(await connection.nodeInfo()).toMatchObject({ cpus: 16, memoryBytes: 3 * 1024 ** 3, mhz: 1400 });
  });

  test('carries libvirt’s code, domain and message in an error', async () => {
    const error = await failure(connection.domainByName('nobody'));
    expect(error).toMatchObject({
      kind: 'libvirt',
      code: libvirtErrorCode.NO_DOMAIN,
      domain: 12,
      level: 2,
      message: 'Domain not found',
    });
    expect(await failure(connection.resume(uuid))).toMatchObject({ kind: 'libvirt', code: 1 });
    expect(await failure(connection.state(nobody))).toMatchObject({ code: libvirtErrorCode.NO_DOMAIN });
    expect(await failure(connection.domainByUuid('no uuid'))).toMatchObject({ code: libvirtErrorCode.INVALID_ARG });
  });

  test('does not mix one call’s error with the next one’s result', async () => {
    const [error, summary] = await Promise.all([failure(connection.domainByName('x')), connection.domainByUuid(uuid)]);
    expect(error.code).toBe(libvirtErrorCode.NO_DOMAIN);
    expect(summary.name).toBe('test');
  });

  test('suspends and resumes, and tells it as events in order', async () => {
    const events: LibvirtEvent[] = [];
    const dispose = connection.onEvent((event) => events.push(event));
    await connection.suspend(uuid);
    expect(await connection.state(uuid)).toEqual({ state: 'paused', reason: 'paused-user' });
    await connection.resume(uuid);
    expect(await connection.state(uuid)).toEqual({ state: 'running', reason: 'running-unpaused' });
    await expect.poll(() => events.length).toBe(2);
    dispose();
    await connection.suspend(uuid);
    await connection.resume(uuid);
    expect(events).toEqual([
      { kind: 'lifecycle', uuid, name: 'test', event: 'suspended', detail: 'paused' },
      { kind: 'lifecycle', uuid, name: 'test', event: 'resumed', detail: 'unpaused' },
    ]);
  });

  test('defines, starts, destroys and undefines a domain', async () => {
    const xml = await connection.domainXml(uuid, { inactive: true });
    const copy = xml.replace(/<uuid>.*<\/uuid>/, `<uuid>${nobody}</uuid>`).replace('>test<', '>second<');
    expect(await connection.defineXml(copy)).toMatchObject({ name: 'second', state: 'shutoff', persistent: true });
    await connection.start(nobody);
    expect(await connection.domainByUuid(nobody)).toMatchObject({ state: 'running', reason: 'running-booted' });
    await connection.destroy(nobody);
    expect(await connection.state(nobody)).toEqual({ state: 'shutoff', reason: 'shutoff-destroyed' });
    await connection.undefine(nobody);
    expect(await failure(connection.domainByUuid(nobody))).toMatchObject({ code: libvirtErrorCode.NO_DOMAIN });
  });

  test('starts a transient domain, which is gone once destroyed', async () => {
    const xml = await connection.domainXml(uuid, { inactive: true });
    const copy = xml.replace(/<uuid>.*<\/uuid>/, `<uuid>${nobody}</uuid>`).replace('>test<', '>guest<');
    expect(await connection.createXml(copy)).toMatchObject({ state: 'running', persistent: false });
    await connection.destroy(nobody);
    expect((await connection.listDomains()).map(({ name }) => name)).toEqual(['test']);
  });

  test('refuses bad XML with libvirt’s own words', async () => {
    expect(await failure(connection.defineXml('<domain type="test"><name>x</name>'))).toMatchObject({
      kind: 'libvirt',
      code: libvirtErrorCode.XML_DETAIL,
    });
  });

  test('gives XML that readDomain understands', async () => {
    expect(readDomain(await connection.domainXml(uuid))).toMatchObject({
      uuid,
      name: 'test',
      virtType: 'test',
      vcpus: 2,
      memoryBytes: 8 * 1024 ** 3,
      currentMemoryBytes: 2 * 1024 ** 3,
    });
  });

  test('sets and reports memory in bytes', async () => {
    await connection.setMemory(uuid, 1024 ** 3);
    expect(await connection.memoryStats(uuid)).toMatchObject({ actualBytes: 1024 ** 3 });
    expect(await connection.snapshotCount(uuid)).toBe(0);
  });

  test('gives typed statistics next to the raw ones', async () => {
    const [record] = await connection.allStats(['state']);
    expect(record).toMatchObject({
      uuid,
      name: 'test',
      params: { 'state.state': 1 },
      stats: { stateNumber: 1, vcpus: [], blocks: [], nets: [] },
    });
  });

  test('says which calls a driver does not have', async () => {
    expect(await failure(connection.startPostCopy(uuid))).toMatchObject({ code: libvirtErrorCode.NO_SUPPORT });
    expect(await failure(connection.qemuMonitorCommand(uuid, { execute: 'query-status' }))).toMatchObject({
      kind: 'libvirt',
    });
  });

  test('may be read only', async () => {
    const readOnly = await libvirt.connect(uri, { readOnly: true });
    expect(await failure(readOnly.suspend(uuid))).toMatchObject({ code: libvirtErrorCode.OPERATION_DENIED });
    await readOnly.close();
  });

  test('rejects what comes after its end, and what was under way', async () => {
    const other = await libvirt.connect(uri);
    const pending = failure(other.versions());
    await other.close();
    expect(await pending).toMatchObject({ kind: 'closed' });
    expect(await failure(other.versions())).toMatchObject({ kind: 'closed' });
    await other.close();
  });

  test('fails to open with libvirt’s reason', async () => {
    expect(await failure(libvirt.connect('nonsense://'))).toMatchObject({ kind: 'libvirt' });
    const nowhere = libvirt.connect('qemu+unix:///session?socket=/nonexistent/sock');
    expect(await failure(nowhere)).toMatchObject({ kind: 'libvirt', code: libvirtErrorCode.SYSTEM_ERROR });
  });

  test('a migration that cannot start fails with libvirt’s reason', async () => {
    const move = libvirt.migrate({ sourceUri: uri, destinationUri: uri, uuid: nobody, flags: ['live'] });
    expect(await failure(move)).toMatchObject({ code: libvirtErrorCode.NO_DOMAIN });
    const unsupported = libvirt.migrate({ sourceUri: uri, destinationUri: uri, uuid, flags: ['live'] });
    expect(await failure(unsupported)).toMatchObject({ kind: 'libvirt', code: libvirtErrorCode.NO_SUPPORT });
  });
});

test('libvirt can be started again after it was stopped', async () => {
  for (let round = 0; round < 3; round += 1) {
    const libvirt = await Libvirt.start();
    const connection = await libvirt.connect(uri);
    const events: LibvirtEvent[] = [];
    connection.onEvent((event) => events.push(event));
    const { uuid } = await connection.domainByName('test');
    await connection.suspend(uuid);
    await expect.poll(() => events.length).toBe(1);
    await libvirt.stop();
    expect(await failure(libvirt.connect(uri))).toMatchObject({ kind: 'closed' });
  }
});
