import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { duplexPair, PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { probeSector, probeText } from '../../main/host/probe-sector.ts';
import { connectUnixSocket, type StreamWish } from '../../main/link/index.ts';
import {
  canConnect,
  domainXml,
  eventually,
  mib,
  processesBelow,
  sandboxPid,
  visitRequest,
  Workstation,
} from './host-fixture.ts';

describe('a visit', () => {
  let host: Workstation;
  beforeAll(async () => {
    host = await Workstation.start();
  });
  afterEach(() => host.clear());
  afterAll(() => host.close());

  it('is prepared once however often that is asked for, and ends with everything in it', async () => {
    const laptop = host.laptop();
    const request = visitRequest({ disks: ['vda', 'vdb'], nics: 1 });
    const [paths, again] = await Promise.all([
      laptop.calls['visit.prepare'](request),
      laptop.calls['visit.prepare'](request),
    ]);
    expect(paths).toEqual({
      disks: { vda: '/hw/disk-vda.sock', vdb: '/hw/disk-vdb.sock' },
      exportName: 'disk',
      nicPorts: [7_000],
    });
    expect(again).toEqual(paths);
    const inside = await processesBelow(await sandboxPid(host, request.visit));
    const commands = inside.map(({ command }) => command.split('/').at(-1));
    expect(commands.filter((command) => command === 'libvirtd')).toHaveLength(1);
    expect(commands.filter((command) => command === 'nbdkit')).toHaveLength(2);
    expect(commands.filter((command) => command === 'socat')).toHaveLength(1);

    await laptop.calls['visit.end']({ visit: request.visit });
    await laptop.calls['visit.end']({ visit: request.visit });
    expect(laptop.calls['visit.list']({})).toEqual({ visits: [] });
    expect(inside.filter(({ pid }) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(await readdir(`${host.folder}/v`)).toEqual([]);
  });

  it('is listed while it is prepared, and can be ended then', async () => {
    const laptop = host.laptop();
    const request = visitRequest();
    let prepared = false;
    const preparing = (async () => {
      await laptop.calls['visit.prepare'](request);
      prepared = true;
    })();
    const listed = async () =>
      (await laptop.calls['visit.list']({})).visits.map(({ visit, state }) => ({ visit, state }));
    await eventually(async () => ((await listed()).length > 0 ? true : undefined));
    expect(prepared).toBe(false);
    expect(await listed()).toEqual([{ visit: request.visit, state: 'empty' }]);
    await laptop.calls['visit.end']({ visit: request.visit });
    await preparing;
    expect(await listed()).toEqual([]);
    expect(await readdir(`${host.folder}/v`)).toEqual([]);
  });

  it('tells its laptop what becomes of the domain', async () => {
    const laptop = host.laptop();
    const request = await laptop.visit();
    const libvirt = await laptop.connect(request);
    await libvirt.createXml(domainXml(request));
    await eventually(() => host.notices.find(({ state }) => state === 'running'));
    await libvirt.suspend(request.vm);
    await eventually(() => host.notices.find(({ state }) => state === 'paused'));
    await libvirt.destroy(request.vm);
    await eventually(() => host.notices.find(({ state }) => state === 'gone'));
    expect(host.role.visits().map(({ state }) => state)).toEqual(['gone']);
    await expect(laptop.calls['visit.prepare'](request)).rejects.toMatchObject({ code: 'refused' });
  });

  it.each([
    ['destroyed', 'destroyed'],
    ['killed', 'crashed'],
    ['ended with its sandbox', 'died'],
  ] as const)('whose domain was %s says so, after a restart of the engine too', async (how, why) => {
    const laptop = host.laptop();
    const request = await laptop.visit();
    const libvirt = await laptop.connect(request);
    await libvirt.createXml(domainXml(request));
    await eventually(() => host.notices.find(({ state }) => state === 'running'));
    const pid = await sandboxPid(host, request.visit);
    const inside = await processesBelow(pid);
    const qemu = inside.find(({ command }) => command.endsWith('qemu-system-x86_64'))?.pid ?? -1;
    if (how === 'destroyed') await libvirt.destroy(request.vm);
    else process.kill(how === 'killed' ? qemu : pid, 'SIGKILL');
    await eventually(() => host.notices.find(({ state }) => state === 'gone'));
    await host.restartEngine();
    expect(laptop.calls['visit.list']({})).toMatchObject({ visits: [{ state: 'gone', end: { why } }] });
    await laptop.calls['visit.end']({ visit: request.visit, why });
    expect(laptop.calls['visit.list']({})).toEqual({ visits: [] });
    expect(host.role.past()).toContainEqual(expect.objectContaining({ visit: request.visit, state: 'gone' }));
  });

  it('whose laptop stays silent for the lease is ended, and the laptop is told why', async () => {
    host.settings = { ...host.settings, leaseHours: 1 };
    const laptop = host.laptop();
    const request = await laptop.visit();
    const libvirt = await laptop.connect(request);
    await libvirt.createXml(domainXml(request));
    await eventually(() => host.notices.find(({ state }) => state === 'running'));
    // A new engine has not heard of the laptop yet.
    await host.restartEngine();
    host.passedMs = 2 * 3_600_000;
    await eventually(() => host.role.visits().find(({ silence }) => silence !== undefined));
    expect(host.role.visits()).toMatchObject([{ state: 'running' }]);
    // Ten minutes are left to a laptop that could not have been heard meanwhile.
    for (let passed = 0; passed < 11; passed += 1) {
      host.passedMs += 59_000;
      host.role.sweep();
    }
    await eventually(() => (host.role.visits().length === 0 ? true : undefined));
    expect(host.news.at(-1)).toMatch(/^daily was ended: its computer had not been heard from/);
    expect(laptop.calls['visit.list']({})).toMatchObject({ visits: [{ state: 'gone', end: { why: 'lease' } }] });
    await laptop.calls['visit.end']({ visit: request.visit, why: 'lease' });
  });

  it('takes its domain in where its disk takes nothing more', async () => {
    const laptop = host.laptop();
    const request = await laptop.visit();
    const libvirt = await laptop.connect(request);
    const home = join(host.visitFolder(request.visit), 'hw');
    const folders = (await readdir(home, { recursive: true, withFileTypes: true })).filter((one) => one.isDirectory());
    const paths = [home, ...folders.map(({ parentPath, name }) => join(parentPath, name))];
    // Not even root's own: in the sandbox its number has no privileges.
    for (const path of paths) await chmod(path, 0o500);
    await libvirt.createXml(domainXml(request));
    await libvirt.suspend(request.vm);
    await libvirt.resume(request.vm);
    await eventually(() => host.role.visits().find(({ state }) => state === 'running'));
    for (const path of paths) await chmod(path, 0o700);
  });

  it('tells what becomes of its domain though it cannot be written down, and writes it down later', async () => {
    const laptop = host.laptop();
    const request = await laptop.visit();
    const libvirt = await laptop.connect(request);
    const record = join(host.visitFolder(request.visit), 'visit.json');
    // Where the new one would be written.
    await mkdir(`${record}.new`);
    await libvirt.createXml(domainXml(request));
    await eventually(() => host.notices.find(({ state }) => state === 'running'));
    expect(JSON.parse(await readFile(record, 'utf8'))).not.toMatchObject({ state: 'running' });
    expect(host.faults).toHaveLength(1);
    await rmdir(`${record}.new`);
    await eventually(async () => JSON.parse(await readFile(record, 'utf8')).state === 'running' || undefined);
    expect(host.faults).toHaveLength(1);
    await mkdir(`${record}.new`);
    await laptop.calls['visit.end']({ visit: request.visit });
    expect(laptop.calls['visit.list']({})).toEqual({ visits: [] });
  });

  it('belongs to its laptop alone', async () => {
    const request = await host.laptop().visit();
    const stranger = host.laptop();
    const { visit } = request;
    await expect(host.role.openLocal(stranger.fingerprint, { kind: 'libvirt', visit })).rejects.toMatchObject({
      code: 'refused',
    });
    await expect(stranger.calls['visit.prepare'](request)).rejects.toMatchObject({ code: 'refused' });
    await expect(stranger.calls['visit.listen']({ visit, name: 'a' })).rejects.toMatchObject({ code: 'refused' });
    await stranger.calls['visit.end']({ visit });
    expect(stranger.calls['visit.list']({})).toEqual({ visits: [] });
    expect(host.role.visits()).toHaveLength(1);
  });

  it('of a VM that is there already is refused, and takes the place of one that came to nothing', async () => {
    const laptop = host.laptop();
    const first = await laptop.visit();
    const second = await laptop.visit({ vm: first.vm });
    expect(host.role.visits().map(({ visit }) => visit)).toEqual([second.visit]);
    const libvirt = await laptop.connect(second);
    await libvirt.createXml(domainXml(second));
    await eventually(() => host.role.visits().find(({ state }) => state === 'running'));
    await expect(laptop.visit({ vm: first.vm })).rejects.toMatchObject({ code: 'vm-busy' });
  });

  it('beyond the limits of the owner is refused, also when two ask at once', async () => {
    host.settings = { ...host.settings, maxVisitors: 1 };
    const laptop = host.laptop();
    const both = await Promise.allSettled([laptop.visit(), laptop.visit()]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await expect(laptop.calls['visit.admit'](visitRequest())).rejects.toMatchObject({ code: 'host-full' });
  });

  it('outlives the engine: the next one adopts it, with its domain, and can end it', async () => {
    const laptop = host.laptop();
    const request = await laptop.visit();
    const libvirt = await laptop.connect(request);
    await libvirt.createXml(domainXml(request));
    await eventually(() => host.role.visits().find(({ state }) => state === 'running'));
    const pid = await sandboxPid(host, request.visit);

    await host.restartEngine();
    expect(host.role.visits()).toMatchObject([{ visit: request.visit, state: 'running' }]);
    expect(await sandboxPid(host, request.visit)).toBe(pid);
    expect(await libvirt.state(request.vm)).toMatchObject({ state: 'running' });

    await laptop.calls['visit.end']({ visit: request.visit });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  it('keeps its domain when its libvirtd is killed, and gets a new libvirtd', async () => {
    const laptop = host.laptop();
    const request = await laptop.visit();
    const libvirt = await laptop.connect(request);
    await libvirt.createXml(domainXml(request));
    await eventually(() => host.role.visits().find(({ state }) => state === 'running'));
    const inside = await processesBelow(await sandboxPid(host, request.visit));
    const pidOf = (name: string): number => inside.find(({ command }) => command.endsWith(name))?.pid ?? -1;
    const qemu = pidOf('qemu-system-x86_64');
    process.kill(pidOf('libvirtd'), 'SIGKILL');
    await eventually(
      async () => (await libvirt.state(request.vm).catch(() => undefined))?.state === 'running' || undefined,
    );
    expect(existsSync(`/proc/${qemu}`)).toBe(true);
    expect(host.role.visits()).toMatchObject([{ state: 'running' }]);
  });

  it('whose sandbox dies is gone', async () => {
    const laptop = host.laptop();
    const request = await laptop.visit();
    process.kill(await sandboxPid(host, request.visit), 'SIGKILL');
    await eventually(() => host.notices.find(({ state }) => state === 'gone'));
    await expect(
      host.role.openLocal(laptop.fingerprint, { kind: 'libvirt', visit: request.visit }),
    ).rejects.toMatchObject({ code: 'refused' });
  });

  it('asks its laptop for disks and frames, and waits for a laptop that is away', async () => {
    const wishes: StreamWish[] = [];
    const laptop = host.laptop((wish) => {
      wishes.push(wish);
      return Promise.resolve(new PassThrough());
    });
    const request = await laptop.visit({ disks: ['vda'], nics: 1 });
    await host.restartEngine();
    const libvirt = await laptopless(host, laptop.fingerprint, request.visit);
    await libvirt.createXml(
      domainXml(request, {
        devices: `<interface type='client'><source address='127.0.0.1' port='7000'/><mac address='52:54:00:12:34:56'/></interface>`,
      }),
    );
    expect(wishes).toEqual([]);
    laptop.arrive();
    await eventually(() => wishes.find((wish) => wish.kind === 'frames' && wish.nic === 0));
  });

  it('boots from a disk at home, through its cache and a stream it asked for', async () => {
    const image = join(host.folder, 'disk.img');
    const door = join(host.folder, 'disk.sock');
    const disk = Buffer.alloc(mib);
    probeSector().copy(disk);
    await writeFile(image, disk);
    const home = spawn('nbdkit', ['--foreground', '--unix', door, 'file', image], { stdio: 'ignore' });
    const exports: StreamWish[] = [];
    const laptop = host.laptop((wish) => {
      exports.push(wish);
      return connectUnixSocket(door);
    });
    try {
      await eventually(async () => ((await canConnect(door)) ? true : undefined));
      const request = await laptop.visit({ disks: ['vda'] });
      const libvirt = await laptop.connect(request);
      const disk = `<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>
        <source protocol='nbd' name='disk'><host transport='unix' socket='/hw/disk-vda.sock'/></source><target dev='vda' bus='virtio'/></disk>
        <serial type='file'><source path='/hw/tmp/serial'/></serial>`;
      await libvirt.createXml(domainXml(request, { devices: disk }));
      const serial = join(host.visitFolder(request.visit), 'hw/tmp/serial');
      await eventually(async () =>
        (await readFile(serial, 'utf8').catch(() => '')).includes(probeText) ? true : undefined,
      );
      expect(exports[0]).toEqual({ kind: 'disk', visit: request.visit, disk: 'vda' });
    } finally {
      home.kill();
    }
  });

  it('receives a VM that moves in and lets it move on, over sockets at the same path on both sides', async () => {
    const laptop = host.laptop(async (wish) => {
      if (wish.kind !== 'migration') throw new Error('Only migrations here.');
      const hello = { kind: 'migration', visit: there.visit, name: wish.name } as const;
      const [wire, far] = duplexPair();
      void (await host.role.openLocal(other.fingerprint, hello)).attach(far);
      return wire;
    });
    const other = host.laptop();
    const here = await laptop.visit();
    const there = await other.visit({ vm: here.vm });
    await laptop.calls['visit.listen']({ visit: here.visit, name: 'out-1' });
    const source = await laptop.connect(here);
    const destination = await other.connect(there);
    await source.createXml(domainXml(here));
    await host.libvirt.migrate({
      sourceUri: source.uri,
      destinationUri: destination.uri,
      uuid: here.vm,
      flags: ['live'],
      migrateUri: `unix://${here.migrationFolder}/out-1`,
      // Slow enough to be seen on its way.
      bandwidthMiBps: 1,
    });
    expect(await destination.state(here.vm)).toMatchObject({ state: 'running' });
    const states = () => host.notices.filter(({ visit }) => visit === there.visit).map(({ state }) => state);
    await eventually(() => states().includes('running') || undefined);
    expect(states()).toEqual(['empty', 'incoming', 'running']);
    await eventually(() => host.notices.find(({ visit, state }) => visit === here.visit && state === 'gone'));
  });

  it('that is larger than admitted is ended, with a sentence', async () => {
    const laptop = host.laptop();
    const request = await laptop.visit({ memoryBytes: 64 * mib });
    const libvirt = await laptop.connect(request);
    // The sandbox may be gone before libvirt has answered.
    await libvirt.createXml(domainXml(request, { memoryMib: 512 })).catch(() => undefined);
    await eventually(() => (host.role.visits().length === 0 ? true : undefined));
    expect(host.faults.map(String).join()).toMatch(/admitted with 64 MiB and 1 vCPUs, and defines 512 MiB/);
  });

  it('with a record that cannot be read is ended by the next engine', async () => {
    const request = await host.laptop().visit();
    const pid = await sandboxPid(host, request.visit);
    await writeFile(`${host.visitFolder(request.visit)}/visit.json`, randomBytes(20));
    await host.restartEngine();
    expect(host.role.visits()).toEqual([]);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(host.faults).toMatchObject([{ code: 'damaged-file' }]);
  });
});

/** The visit's libvirt for a laptop whose control connection is not up. */
function laptopless(host: Workstation, fingerprint: string, visit: string) {
  return host.connect(() => host.openLibvirt(fingerprint, visit));
}
