import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Connection,
  type JobStats,
  Libvirt,
  LibvirtError,
  type LibvirtEvent,
  libvirtErrorCode,
  type MigrateFlag,
  type MigrateRequest,
  parseCapabilities,
  parseDomainCapabilities,
  placeDomain,
  readDomain,
} from '../../main/libvirt/index.ts';
import { type Bed, createBed, type Libvirtd, startLibvirtd } from '../testbed/index.ts';

const emulated = { arch: 'x86_64', machine: 'pc-q35-7.2', virtType: 'qemu' } as const;

/** No disk, no system: its firmware finds nothing to boot. A quarter of its memory is filled, to give a move work. */
const guestXml = (uuid: string) => `<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>diskless</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>
  <devices>
    <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
    <memballoon model='virtio' freePageReporting='on'><stats period='2'/></memballoon>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-device'/>
    <qemu:arg value='loader,file=${join(bed.folder, 'memory')},addr=0x1000000,force-raw=on'/>
  </qemu:commandline>
</domain>`;

let bed: Bed;
let libvirt: Libvirt;
let daemons: { readonly home: Libvirtd; readonly away: Libvirtd };
let home: Connection;
let away: Connection;
let uuid: string;
const events: { readonly at: 'home' | 'away'; readonly event: LibvirtEvent }[] = [];

beforeAll(async () => {
  bed = await createBed();
  await writeFile(join(bed.folder, 'memory'), randomBytes(16 * 1024 ** 2));
  daemons = { home: await startLibvirtd(bed.laptop), away: await startLibvirtd(bed.workstation) };
  libvirt = await Libvirt.start();
  home = await libvirt.connect(daemons.home.uriFromOutside);
  away = await libvirt.connect(daemons.away.uriFromOutside);
  home.onEvent((event) => events.push({ at: 'home', event }));
  away.onEvent((event) => events.push({ at: 'away', event }));
});

afterAll(async () => {
  await libvirt?.stop();
  await bed?.close();
});

beforeEach(async () => {
  uuid = randomUUID();
  await home.createXml(guestXml(uuid));
  events.length = 0;
});

afterEach(async () => {
  for (const connection of [home, away]) {
    for (const domain of await connection.listDomains()) {
      await connection.destroy(domain.uuid);
    }
  }
});

const move = (direction: 'out' | 'home', request: Partial<MigrateRequest> = {}) => {
  const uris = [daemons.home.uriFromOutside, daemons.away.uriFromOutside] as const;
  const [sourceUri, destinationUri] = direction === 'out' ? uris : ([uris[1], uris[0]] as const);
  const flags: readonly MigrateFlag[] = ['live', 'abortOnError'];
  const migrateUri = `unix://${join(bed.folder, `${direction}.sock`)}`;
  return libvirt.migrate({ sourceUri, destinationUri, uuid, flags, migrateUri, ...request });
};

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** The stream is slow enough to be seen; waits until memory flows. */
async function underWay(): Promise<JobStats> {
  for (;;) {
    const stats = await home.jobStats(uuid);
    if ((stats.memory?.processedBytes ?? 0) > 0) return stats;
    await sleep(20);
  }
}

const lifecycles = (at: 'home' | 'away') =>
  events.flatMap(({ at: where, event }) =>
    where === at && event.kind === 'lifecycle' ? [`${event.event} ${event.detail}`] : [],
  );

describe('a real guest', () => {
  test('is described, measured and asked', async () => {
    expect(readDomain(await home.domainXml(uuid, { migratable: true }))).toMatchObject({
      name: 'diskless',
      virtType: 'qemu',
      machine: 'pc-q35-7.2',
      memoryBytes: 64 * 1024 ** 2,
      cpuMode: 'custom',
      balloon: { model: 'virtio', statsPeriodS: 2, freePageReporting: true },
      interfaces: [{ index: 0, type: 'user', mac: '52:54:00:11:22:33', model: 'virtio' }],
    });
    expect(await home.state(uuid)).toEqual({ state: 'running', reason: 'running-booted' });
    const [record] = await home.allStats(['state', 'cpu', 'balloon', 'vcpu', 'interface', 'block'], { nowait: true });
    expect(record?.stats).toMatchObject({
      cpuTimeNs: expect.any(Number),
      balloon: { currentBytes: 64 * 1024 ** 2, maximumBytes: 64 * 1024 ** 2, rssBytes: expect.any(Number) },
      vcpus: [{ state: 1, timeNs: expect.any(Number), waitNs: expect.any(Number), delayNs: expect.any(Number) }],
      blocks: [],
    });
    expect(await home.qemuMonitorCommand(uuid, { execute: 'query-status' })).toMatchObject({ status: 'running' });
    expect(await failure(home.qemuMonitorCommand(uuid, { execute: 'nonsense' }))).toMatchObject({
      message: expect.stringContaining('CommandNotFound'),
    });
    expect(await failure(home.guestAgentCommand(uuid, { execute: 'guest-ping' }, 1))).toMatchObject({
      code: libvirtErrorCode.ARGUMENT_UNSUPPORTED,
    });
    expect(await home.jobStats(uuid)).toEqual({ type: 'none' });
    await home.setMemoryStatsPeriod(uuid, 1);
    await home.setMigrateMaxDowntime(uuid, 100);
  });

  test('has its dirty rate measured', async () => {
    await home.startDirtyRateCalc(uuid, 1);
    await expect
      .poll(async () => (await home.allStats(['dirtyrate']))[0]?.stats.dirtyRate, { timeout: 5_000, interval: 200 })
      .toMatchObject({ status: 'measured', periodS: 1, mebibytesPerSec: expect.any(Number) });
  });

  test('has a CPU that can be compared and a baseline made of', async () => {
    const capabilities = parseDomainCapabilities(await away.domainCapabilitiesXml(emulated));
    expect(capabilities).toMatchObject({ machine: 'pc-q35-7.2', virtType: 'qemu' });
    const [guest] = parseCapabilities(await away.capabilitiesXml()).guests.filter(({ arch }) => arch === 'x86_64');
    expect(guest?.machines).toContain('pc-q35-7.2');
    const simple = "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>";
    expect(await away.compareHypervisorCpu(simple, emulated)).toBe('superset');
    const alien = "<cpu mode='custom' match='exact'><model>qemu64</model><feature policy='require' name='vmx'/></cpu>";
    expect(await away.compareHypervisorCpu(alien, emulated)).toBe('incompatible');
    const baseline = await home.baselineHypervisorCpu([simple, capabilities.hostModelCpuXml ?? ''], emulated);
    expect(await away.compareHypervisorCpu(baseline, emulated)).not.toBe('incompatible');
  });
});

describe('a move over UNIX sockets', () => {
  test('goes out and home again, told by events', async () => {
    const destinationXml = placeDomain(await home.domainXml(uuid, { migratable: true }), { disks: {}, emulator: null });
    await move('out', { destinationXml });
    expect(await away.domainByUuid(uuid)).toMatchObject({
      state: 'running',
      reason: 'running-migrated',
      persistent: false,
    });
    expect(await failure(home.domainByUuid(uuid))).toMatchObject({ code: libvirtErrorCode.NO_DOMAIN });
    const stats = await away.jobStats(uuid, { completed: true });
    expect(stats).toMatchObject({ type: 'completed', operation: 'migration-in', downtimeMs: expect.any(Number) });
    expect(stats.memory).toMatchObject({ remainingBytes: 0, pageSizeBytes: 4096 });

    await move('home');
    expect(await home.state(uuid)).toEqual({ state: 'running', reason: 'running-migrated' });
    expect(await away.listDomains()).toEqual([]);
    await expect.poll(() => lifecycles('away')).toContain('stopped migrated');
    expect(lifecycles('home')).toEqual(
      expect.arrayContaining(['suspended migrated', 'stopped migrated', 'started migrated', 'resumed migrated']),
    );
    const kinds = new Set(events.map(({ event }) => event.kind));
    expect(kinds).toContain('migrationIteration');
    expect(events.find(({ event }) => event.kind === 'jobCompleted')?.event).toMatchObject({
      uuid,
      stats: { type: 'completed', operation: 'migration-out', elapsedMs: expect.any(Number) },
    });
  });

  test('is aborted by its own error, and the guest runs on', async () => {
    const outcome = failure(move('out', { bandwidthMiBps: 1 }));
    const stats = await underWay();
    expect(stats).toMatchObject({ type: 'unbounded', operation: 'migration-out', elapsedMs: expect.any(Number) });
    expect(stats.memory?.totalBytes).toBeGreaterThanOrEqual(64 * 1024 ** 2);
    await home.abortJob(uuid);
    expect(await outcome).toBeInstanceOf(LibvirtError);
    expect(await outcome).toMatchObject({ kind: 'libvirt', code: libvirtErrorCode.OPERATION_ABORTED });
    expect((await home.state(uuid)).state).toBe('running');
    expect(await away.listDomains()).toEqual([]);
  });

  test('switches to post-copy when told to', async () => {
    const flags: readonly MigrateFlag[] = ['live', 'postcopy', 'changeProtection'];
    const outcome = move('out', { flags, bandwidthMiBps: 1, postcopyBandwidthMiBps: 200 });
    await underWay();
    await home.setMigrateMaxSpeed(uuid, 2);
    await home.startPostCopy(uuid);
    await outcome;
    expect((await away.state(uuid)).state).toBe('running');
    await expect.poll(() => lifecycles('home')).toContain('suspended postcopy');
    expect(lifecycles('away')).toContain('resumed postcopy');
  });

  test('may be left to the daemons alone', async () => {
    // Without a transport the source's daemon would take it for its own driver.
    const destinationUri = daemons.away.uriFromOutside.replace('qemu:', 'qemu+unix:');
    await move('out', { flags: ['live', 'peer2peer'], destinationUri });
    expect((await away.state(uuid)).state).toBe('running');
    expect(await home.listDomains()).toEqual([]);
  });

  test('fails with libvirt’s reason where the destination refuses', async () => {
    const other = guestXml(uuid).replace('qemu64', 'kvm32');
    expect(await failure(move('out', { destinationXml: other }))).toMatchObject({
      kind: 'libvirt',
      code: libvirtErrorCode.CONFIG_UNSUPPORTED,
    });
    expect((await home.state(uuid)).state).toBe('running');
  });
});

describe('a daemon', () => {
  const connectionStates = () =>
    events.flatMap(({ at, event }) => (at === 'home' && event.kind === 'connection' ? [event.state] : []));

  test('that was restarted is found again, its events too', async () => {
    await daemons.home.kill();
    await expect.poll(connectionStates).toEqual(['lost']);
    expect(await failure(home.hostname())).toMatchObject({ kind: 'libvirt' });
    await daemons.home.restart();
    expect(await home.state(uuid)).toMatchObject({ state: 'running' });
    expect(connectionStates()).toEqual(['lost', 'restored']);
    await home.suspend(uuid);
    await expect.poll(() => lifecycles('home')).toContain('suspended paused');
    await home.resume(uuid);
  });

  test('that hangs means a timeout, and works again once it answers', async () => {
    const daemon = bed.laptop.processes().find(({ args }) => args[0]?.endsWith('libvirtd') === true);
    if (daemon === undefined) throw new Error('the daemon is not to be found');
    process.kill(daemon.pid, 'SIGSTOP');
    const started = performance.now();
    try {
      expect(await failure(home.hostname({ deadlineMs: 500 }))).toMatchObject({ kind: 'timeout' });
      expect(performance.now() - started).toBeLessThan(1_500);
      expect(await away.hostname()).not.toBe('');
    } finally {
      process.kill(daemon.pid, 'SIGCONT');
      // nsenter stops with what it runs.
      process.kill(daemon.parentPid, 'SIGCONT');
    }
    expect(await home.state(uuid)).toMatchObject({ state: 'running' });
    expect(connectionStates()).toEqual(['lost', 'restored']);
  });
});
