import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Bed,
  buildGuest,
  createBed,
  defineGuest,
  type Guest,
  type GuestReport,
  type Libvirtd,
  Observer,
  startGuest,
  startLibvirtd,
} from '../testbed/index.ts';

let bed: Bed;
let libvirtd: Libvirtd;
let guest: Guest;
let observer: Observer;
const relays: Server[] = [];

beforeAll(async () => {
  await buildGuest();
  bed = await createBed();
  libvirtd = await startLibvirtd(bed.laptop);
  guest = await defineGuest(bed.laptop, libvirtd, { name: 'guest' });
  observer = new Observer(bed, guest);
});

afterAll(async () => {
  for (const relay of relays) relay.close();
  observer?.close();
  await bed?.close();
});

/** How the counters grew while `ms` passed. */
async function growth(ms: number): Promise<GuestReport> {
  const before = await observer.report();
  await sleep(ms);
  const after = new Map<string, number>(Object.entries(await observer.report()));
  return Object.assign(
    { ...before },
    ...Object.entries(before).map(([name, value]) => ({ [name]: (after.get(name) ?? 0) - value })),
  );
}

// In this order, on one guest: booting one for each would take most of the time.
/** All at once on one emulated vCPU: each gets its turn, and some fill their memory first. */
const workTimes = { timeout: 60_000, interval: 500 };

describe('the test guest', () => {
  test('boots from its own disk under emulation and beats every 10 ms', async () => {
    const since = performance.now();
    await startGuest(libvirtd, guest);
    await observer.nextBeat({ timeoutMs: 60_000 });
    const bootMs = performance.now() - since;
    console.log(`booted in ${(bootMs / 1000).toFixed(1)} s`);
    expect(bootMs).toBeLessThan(30_000);
    const first = observer.lastBeat;
    const from = performance.now();
    await sleep(2_000);
    const everyMs = (performance.now() - from) / (observer.lastBeat - first);
    expect(everyMs).toBeGreaterThan(9.5);
    expect(everyMs).toBeLessThan(15);
    expect(observer.longestGapMs(from)).toBeLessThan(500);
    expect(observer).toMatchObject({ host: 'laptop', lostBeats: 0, repeatedBeats: 0 });
  });

  test('runs and checks every workload at once', async () => {
    const echo = ['TCP-LISTEN:7777,reuseaddr,fork', 'EXEC:cat'];
    await bed.workstation.spawn('socat', echo);
    await observer.command('cpu 1');
    await observer.command('compress on');
    await observer.command('memory 64 200');
    await observer.command('hold 64');
    await observer.command('disk 50');
    await observer.command(`echo ${bed.workstation.address} 7777`);
    const before = await observer.report();
    for (const counter of [
      'cpu_rounds',
      'compress_rounds',
      'memory_pages_verified',
      'hold_pages_verified',
      'disk_blocks_verified',
      'echo_received',
    ] as const) {
      await expect.poll(async () => (await observer.report())[counter] - before[counter], workTimes).toBeGreaterThan(0);
    }
    const report = await observer.report();
    expect(report).toMatchObject({ compress_errors: 0, memory_errors: 0, hold_errors: 0, disk_errors: 0 });
    expect(report).toMatchObject({ echo_errors: 0, echo_connects: 1 });
  });

  test('stops every workload when told, and refuses what it does not know', async () => {
    for (const name of ['cpu', 'compress', 'memory', 'hold', 'disk', 'echo']) await observer.command(`${name} off`);
    const { beats, ...others } = await growth(500);
    expect(beats).toBeGreaterThan(0);
    expect(Object.values(others).every((grown) => grown === 0)).toBe(true);
    await expect(observer.command('dance')).rejects.toThrow(/unknown command/);
  });

  test('writes memory as fast as it can, or as fast as it is told', async () => {
    await observer.command('memory 64 flatout');
    const flatOut = (await growth(2_000)).memory_pages_written;
    await observer.command('memory 64 20');
    const paced = (await growth(2_000)).memory_pages_written;
    await observer.command('memory off');
    expect(flatOut).toBeGreaterThan(4 * paced);
    const pacedMibPerSec = paced / 256 / 2;
    expect(pacedMibPerSec).toBeGreaterThan(12);
    expect(pacedMibPerSec).toBeLessThan(28);
  });

  test('runs on when libvirt dies, which finds it again', async () => {
    const from = performance.now();
    await libvirtd.kill();
    await observer.nextBeat();
    await libvirtd.restart();
    expect((await libvirtd.virsh('domstate', guest.uuid)).stdout.trim()).toBe('running');
    expect(observer.longestGapMs(from)).toBeLessThan(500);
  });

  test('is followed by the observer into a sandbox on the other host, and counted once', async () => {
    const inside = '/tmp/homeward-testbed';
    const visit = await startSandboxedLibvirtd(inside);
    await relay(join(bed.laptop.folder, inside, 'libvirt.sock'), join(visit.folder, 'run/libvirt/libvirt-sock'));
    await relay(join(bed.laptop.folder, inside, 'm.sock'), `/proc/${visit.pid}/root${inside}/m.sock`);
    await observer.command('disk 50');
    await observer.command('hold 64');
    const destinationXml = join(bed.laptop.folder, 'destination.xml');
    const { stdout: liveXml } = await libvirtd.virsh('dumpxml', '--migratable', guest.uuid);
    // A system libvirtd labels by user (dac); a session has no such driver and refuses the label.
    await writeFile(destinationXml, liveXml.replace(/<seclabel[\s\S]*?(<\/seclabel>|\/>)/g, ''));
    const from = performance.now();
    const destination = `qemu+unix:///session?socket=${inside}/libvirt.sock`;
    // --unsafe: both sides open one file here, which libvirt cannot know to be the same machine's.
    const moving = libvirtd.virsh(
      ...['migrate', '--live', '--unsafe', guest.uuid, destination, '--migrateuri', `unix://${inside}/m.sock`],
      ...['--xml', destinationXml],
    );
    let moved = false;
    void moving.finally(() => {
      moved = true;
    });
    while (!moved) expect(await observer.runningCopies()).toBeLessThanOrEqual(1);
    expect(await moving).toMatchObject({ code: 0, stderr: '' });
    await observer.nextBeat({ host: 'workstation' });
    expect(await observer.runningCopies()).toBe(1);
    const report = await observer.report();
    expect(report).toMatchObject({ disk_errors: 0, hold_errors: 0 });
    expect(report.hold_pages_verified).toBeGreaterThan(0);
    console.log(`silent for ${observer.longestGapMs(from).toFixed(0)} ms, ${observer.lostBeats} beats lost`);
    expect(observer.repeatedBeats).toBe(0);
    expect(observer.longestGapMs(from)).toBeLessThan(3_000);
  });
});

/** A confined libvirtd on the workstation, with the guest's image lent to it. */
async function startSandboxedLibvirtd(inside: string): Promise<{ folder: string; pid: number }> {
  const folder = join(bed.workstation.folder, 'visit');
  for (const part of ['run', 'config/libvirt', 'cache', 'data']) {
    await mkdir(join(folder, part), { recursive: true, mode: 0o700 });
  }
  await mkdir(join(bed.laptop.folder, inside), { recursive: true });
  await writeFile(join(folder, 'config/libvirt/qemu.conf'), 'stdio_handler = "file"\n');
  await writeFile(join(folder, 'hosts'), '127.0.0.1 localhost visitor\n');
  const links = ['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]);
  const variables = {
    XDG_RUNTIME_DIR: 'run',
    XDG_CONFIG_HOME: 'config',
    XDG_CACHE_HOME: 'cache',
    XDG_DATA_HOME: 'data',
  };
  await bed.workstation.spawn(
    'bwrap',
    [
      // Not root in there, or libvirtd would be a system one; and it wants its user in /etc/passwd, as nobody is.
      ...['--unshare-user', '--uid', '65534', '--gid', '65534', '--unshare-uts', '--unshare-ipc', '--unshare-net'],
      ...['--unshare-pid', '--hostname', 'visitor', '--die-with-parent', '--ro-bind', '/usr', '/usr', ...links],
      ...['--ro-bind', '/etc', '/etc', '--ro-bind', join(folder, 'hosts'), '/etc/hosts', '--proc', '/proc'],
      ...['--dev', '/dev', '--ro-bind', '/sys', '/sys', '--tmpfs', '/tmp', '--dir', inside, '--tmpfs', '/run'],
      ...['--dir', '/var', '--bind', folder, '/hw', '--bind', guest.image, guest.image, '--setenv', 'HOME', '/hw'],
      ...Object.entries(variables).flatMap(([name, part]) => ['--setenv', name, `/hw/${part}`]),
      'libvirtd',
    ],
    { stdio: 'ignore' },
  );
  const daemon = () => bed.workstation.processes().find(({ args }) => args[0] === 'libvirtd');
  await expect.poll(daemon, { timeout: 10_000 }).toBeDefined();
  return { folder, pid: daemon()?.pid ?? 0 };
}

/** Joins two UNIX sockets; the second may appear later than the first is called. */
async function relay(from: string, to: string): Promise<void> {
  const server = createServer((near) => {
    const far = connect(to);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  relays.push(server);
  await new Promise<void>((resolve) => server.listen(from, resolve));
}
