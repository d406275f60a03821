import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exportName, HomeDisk, type HomeDiskOptions, nbdkitCommand, type Writer } from '../../main/disk/index.ts';
import { readRecord, stop } from '../../main/process/index.ts';
import { flagFua, NbdClient } from '../unit/disk/nbd-client.ts';

const run = promisify(execFile);
const visit: Writer = `visit-${'0123456789abcdef'.repeat(2)}`;
const blockBytes = 4096;
const asRoot = process.getuid?.() === 0;

let folder: string;
let image: string;
let cleanups: (() => Promise<unknown> | unknown)[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'homeward-disk-'));
  image = join(folder, 'image, with comma.qcow2');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, '64M']);
  cleanups = [];
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  for (const name of ['run', 'other', 'visit']) {
    const record = await readRecord(join(folder, name, 'storage-daemon.json')).catch(() => undefined);
    if (record) await stop(record, { graceMs: 5_000 });
  }
  await rm(folder, { recursive: true });
});

function options(change: Partial<HomeDiskOptions> = {}): HomeDiskOptions {
  return {
    vm: '11111111-2222-3333-4444-555555555555',
    folder: join(folder, 'run'),
    disks: [{ target: 'vda', file: image, format: 'qcow2' }],
    ...change,
  };
}

function block(fill: number): Buffer {
  return Buffer.alloc(blockBytes, fill);
}

async function client(socket: string, name: string): Promise<NbdClient> {
  const opened = await NbdClient.open(socket, name);
  cleanups.push(() => opened.close());
  return opened;
}

describe('the storage daemon', () => {
  test('serves nobody until a writer is allowed, then each disk under that writer and its target', async () => {
    const second = join(folder, 'second.raw');
    await writeFile(second, '');
    await truncate(second, 1024 * 1024);
    const disks = [...options().disks, { target: 'vdb', file: second, format: 'raw' as const }];
    const disk = await HomeDisk.start(options({ disks }));
    expect(await disk.writers()).toEqual([]);
    await expect(NbdClient.open(disk.socket, 'home-vda')).rejects.toThrow();
    await disk.allow('home');
    await disk.allow('home');
    expect(await disk.writers()).toEqual(['home']);
    expect((await client(disk.socket, 'home-vda')).sizeBytes).toBe(64 * 1024 * 1024);
    expect((await client(disk.socket, 'home-vdb')).sizeBytes).toBe(1024 * 1024);
    await expect(NbdClient.open(disk.socket, exportName(visit, 'vda'))).rejects.toThrow();
    await disk.stop();
    expect(await disk.alive()).toBe(false);
  });

  test('keeps its sockets and its log to its owner', async () => {
    const disk = await HomeDisk.start(options());
    expect((await stat(join(folder, 'run'))).mode & 0o777).toBe(0o700);
    for (const name of ['nbd.sock', 'qmp.sock', 'storage-daemon.log', 'storage-daemon.json']) {
      expect((await stat(join(folder, 'run', name))).mode & 0o077, name).toBe(0);
    }
    await disk.stop();
  });

  test('lets two writers in during a move, and both see one disk', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow('home');
    await disk.allow(visit);
    const home = await client(disk.socket, 'home-vda');
    const away = await client(disk.socket, exportName(visit, 'vda'));
    await home.write(0, block(1));
    expect(await away.read(0, blockBytes)).toEqual(block(1));
    await away.write(blockBytes, block(2));
    expect(await home.read(blockBytes, blockBytes)).toEqual(block(2));
    expect(new Set(await disk.writers())).toEqual(new Set(['home', visit]));
    await disk.stop();
  });

  test('fences a writer with writes in flight: none lands after revoke returned, and the other never notices', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow('home');
    await disk.allow(visit);
    const home = await client(disk.socket, 'home-vda');
    const away = await client(disk.socket, exportName(visit, 'vda'));
    let acknowledged = 0;
    let cutOff = false;
    const flood = Array.from({ length: 16 }, async (_, lane) => {
      for (let round = 1; ; round += 1) {
        await away.write(lane * blockBytes, block(round % 256));
        acknowledged += 1;
      }
    }).map((lane) => lane.catch(() => (cutOff = true)));
    await expect.poll(() => acknowledged).toBeGreaterThan(500);
    await disk.revoke(visit);
    const before = await home.read(0, 16 * blockBytes);
    await Promise.all(flood);
    expect(cutOff).toBe(true);
    await delay(200);
    expect(await home.read(0, 16 * blockBytes)).toEqual(before);
    await expect(NbdClient.open(disk.socket, exportName(visit, 'vda'))).rejects.toThrow();
    expect(await disk.writers()).toEqual(['home']);
    await disk.revoke(visit);
    await disk.stop();
  });

  test('outlives the engine, and the next engine adopts it with its writers and their connections', async () => {
    const script = `import { HomeDisk } from '${join(import.meta.dirname, '../../main/disk/index.ts')}';
      const disk = await HomeDisk.start(${JSON.stringify(options())});
      await disk.allow('home');
      process.stdout.write('ready');
      process.stdin.resume();`;
    const engine = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(engine.stdout, 'data');
    const home = await client(join(folder, 'run/nbd.sock'), 'home-vda');
    await home.write(0, block(7));
    engine.kill('SIGKILL');
    await once(engine, 'exit');
    const disk = await HomeDisk.ensure(options());
    expect(await disk.writers()).toEqual(['home']);
    expect(disk.targets).toEqual(['vda']);
    expect(await home.read(0, blockBytes)).toEqual(block(7));
    await disk.stop();
    await run('qemu-img', ['check', '-q', image]);
  });

  test('is started anew after it died, and nothing is adopted where none ran', async () => {
    expect(await HomeDisk.adopt(options())).toBeUndefined();
    const first = await HomeDisk.ensure(options());
    const record = await readRecord(join(folder, 'run/storage-daemon.json'));
    if (!record) throw new Error('no record');
    process.kill(record.pid, 'SIGKILL');
    await expect.poll(() => first.alive()).toBe(false);
    await expect(first.allow('home')).rejects.toMatchObject({ code: 'not-ready' });
    expect(await HomeDisk.adopt(options())).toBeUndefined();
    const second = await HomeDisk.ensure(options());
    await second.allow('home');
    await second.stop();
  });

  test('keeps what a visitor was told is written, though it never flushed, when it is killed', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow(visit);
    const away = await client(disk.socket, exportName(visit, 'vda'));
    const blocks = 200;
    // Far apart: each in a cluster of its own, which the image's tables have to name.
    for (let at = 0; at < blocks; at += 1) await away.write(at * 256 * 1024, block(at));
    process.kill((await readRecord(join(folder, 'run', 'storage-daemon.json')))?.pid ?? 0, 'SIGKILL');
    await away.close();
    await expect.poll(() => disk.alive()).toBe(false);
    await (await HomeDisk.ensure(options())).allow(visit);
    const again = await client(disk.socket, exportName(visit, 'vda'));
    for (let at = 0; at < blocks; at += 1) expect(await again.read(at * 256 * 1024, blockBytes)).toEqual(block(at));
  });

  test('that was killed and started anew is found by who still knows the earlier one', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow('home');
    process.kill((await readRecord(join(folder, 'run', 'storage-daemon.json')))?.pid ?? 0, 'SIGKILL');
    await expect.poll(() => disk.alive()).toBe(false);
    await expect(disk.revoke(visit)).rejects.toMatchObject({ code: 'not-ready' });
    const next = await HomeDisk.ensure(options());
    await next.allow(visit);
    expect(await disk.alive()).toBe(true);
    await disk.revoke(visit);
    expect(await next.writers()).toEqual([]);
  });

  test('is replaced when the VM got other disks, but not under a writer', async () => {
    const other = join(folder, 'other.raw');
    await writeFile(other, Buffer.alloc(1024 * 1024));
    const changed = options({ disks: [{ target: 'vda', file: other, format: 'raw' }] });
    const first = await HomeDisk.start(options());
    await first.allow('home');
    await expect(HomeDisk.ensure(changed)).rejects.toMatchObject({ code: 'vm-busy' });
    await first.revoke('home');
    const second = await HomeDisk.ensure(changed);
    await second.allow('home');
    expect((await client(second.socket, 'home-vda')).sizeBytes).toBe(1024 * 1024);
    await second.stop();
  });

  test.runIf(asRoot)('lets libvirt’s user, and no other, through to the socket', async () => {
    await chmod(folder, 0o711);
    const disk = await HomeDisk.start(options({ grantUid: 64_123 }));
    await disk.allow('home');
    const info = (uid: number) =>
      run('setpriv', [
        `--reuid=${uid}`,
        '--clear-groups',
        'qemu-io',
        '-f',
        'raw',
        '-c',
        'length',
        `nbd+unix:///home-vda?socket=${disk.socket}`,
      ]);
    expect((await info(64_123)).stdout).toContain('64 MiB');
    await expect(info(64_124)).rejects.toThrow(/Permission denied/);
    await disk.stop();
  });
});

describe('a storage daemon that cannot start says why', () => {
  test('the image is not there', async () => {
    await rm(image);
    await expect(HomeDisk.start(options())).rejects.toMatchObject({
      code: 'not-ready',
      message: `The disk image ${image} is not there.`,
    });
  });

  test('a running QEMU has the image', async () => {
    const holder = spawn('qemu-io', ['-f', 'qcow2', image], { stdio: ['pipe', 'pipe', 'inherit'] });
    cleanups.push(() => holder.kill());
    holder.stdin.write('length\n');
    await once(holder.stdout, 'data');
    await expect(HomeDisk.start(options())).rejects.toMatchObject({
      code: 'vm-busy',
      message: `The disk image ${image} is in use by another program.`,
      hint: expect.stringContaining('Shut the VM down first'),
    });
    expect(await readRecord(join(folder, 'run/storage-daemon.json'))).toBeUndefined();
  });

  test('another VM’s daemon has the image', async () => {
    const first = await HomeDisk.start(options());
    await expect(HomeDisk.start(options({ folder: join(folder, 'other') }))).rejects.toMatchObject({ code: 'vm-busy' });
    await first.stop();
  });

  test('the image is no qcow2', async () => {
    await writeFile(image, Buffer.alloc(65_536));
    await expect(HomeDisk.start(options())).rejects.toMatchObject({ code: 'damaged-file' });
  });

  test('qemu-storage-daemon is not installed', async () => {
    const path = process.env['PATH'];
    cleanups.push(() => (process.env['PATH'] = path));
    process.env['PATH'] = folder;
    await expect(HomeDisk.start(options())).rejects.toMatchObject({ code: 'missing-tool' });
  });

  test.runIf(asRoot)('no room is left for its sockets and records', async () => {
    const full = join(folder, 'full');
    await mkdir(full);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', full]);
    cleanups.push(() => run('umount', [full]));
    await writeFile(join(full, 'fill'), Buffer.alloc(256 * 1024)).catch(() => undefined);
    await expect(HomeDisk.start(options({ folder: join(full, 'run') }))).rejects.toMatchObject({ code: 'disk-full' });
  });

  test('the folder’s name is too long for a socket', async () => {
    await expect(HomeDisk.start(options({ folder: join(folder, 'x'.repeat(100)) }))).rejects.toMatchObject({
      code: 'bad-input',
    });
  });
});

/** Whether an NBD request for a flush, or a write with FUA, begins in `data`. */
function asksForDurability(data: Buffer): boolean {
  return ['2560951300000003', '2560951300010001'].some((header) => data.includes(Buffer.from(header, 'hex')));
}

/** A stand-in for the link: carries bytes both ways until it is cut. */
async function link(path: string, upstream: string) {
  const open = new Set<Socket>();
  let flushes = 0;
  const carry = (socket: Socket) => {
    const other = connect(upstream);
    for (const [from, to] of [
      [socket, other],
      [other, socket],
    ] as const) {
      open.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
    }
    socket.on('data', (data) => {
      if (asksForDurability(data)) flushes += 1;
    });
    socket.pipe(other);
    other.pipe(socket);
  };
  let server = createServer(carry);
  const listen = async () => {
    server = createServer(carry);
    server.listen(path);
    await once(server, 'listening');
  };
  const cut = async () => {
    for (const socket of open) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  cleanups.push(cut);
  return { restore: listen, cut, flushes: () => flushes };
}

describe('the disk cache at the host', () => {
  async function visitor(disk: HomeDisk) {
    const cacheFolder = join(folder, 'cache');
    await mkdir(cacheFolder);
    const upstreamSocket = join(folder, 'up.sock');
    const listenSocket = join(folder, 'vda.sock');
    const wire = await link(upstreamSocket, disk.socket);
    const cache = nbdkitCommand({
      listenSocket,
      upstreamSocket,
      exportName: exportName(visit, 'vda'),
      cacheFolder,
      cacheMaxBytes: 32 * 1024 * 1024,
    });
    const nbdkit = spawn(cache.command, cache.args, { env: { ...process.env, ...cache.env }, stdio: 'ignore' });
    cleanups.push(async () => {
      if (nbdkit.exitCode !== null) return;
      nbdkit.kill('SIGKILL');
      await once(nbdkit, 'exit');
    });
    await expect.poll(() => stat(listenSocket).then(() => true)).toBe(true);
    return { wire, listenSocket, readCacheSwitch: cache.readCacheSwitch };
  }

  test('waits for a link that is not there yet', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow(visit);
    const { wire, listenSocket } = await visitor(disk);
    const opening = client(listenSocket, '');
    await delay(1_500);
    await wire.restore();
    const away = await opening;
    await away.write(0, block(3));
    expect(await away.read(0, blockBytes)).toEqual(block(3));
    away.close();
    await disk.stop();
  });

  test('rides out 15 s without a link: requests wait, nothing acknowledged is lost, cached blocks are still served', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow('home');
    await disk.allow(visit);
    const { wire, listenSocket, readCacheSwitch } = await visitor(disk);
    await wire.restore();
    const home = await client(disk.socket, 'home-vda');
    const away = await client(listenSocket, '');
    await writeFile(readCacheSwitch, '');
    const known = 8 * 1024 * 1024;
    await home.write(known, block(9));
    expect(await away.read(known, blockBytes)).toEqual(block(9));

    const acknowledged: number[] = [];
    let stopped = false;
    const writing = (async () => {
      for (let number = 1; !stopped; number += 1) {
        await away.write(number * blockBytes, block(number % 251), number % 10 === 0 ? flagFua : 0);
        acknowledged.push(number);
        if (number % 7 === 0) await away.flush();
        await delay(2);
      }
    })();
    await expect.poll(() => acknowledged.length).toBeGreaterThan(30);
    await wire.cut();
    await delay(300);
    const atCut = acknowledged.length;
    await delay(15_000);
    expect(acknowledged.length).toBe(atCut);
    await wire.restore();
    await expect.poll(() => acknowledged.length, { timeout: 5_000 }).toBeGreaterThan(atCut + 20);
    stopped = true;
    await writing;
    for (const number of acknowledged) {
      expect(await home.read(number * blockBytes, blockBytes), `block ${number}`).toEqual(block(number % 251));
    }
    away.close();
    await disk.stop();
  }, 40_000);

  test('serves what it remembers while the link is down', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow(visit);
    const { wire, listenSocket, readCacheSwitch } = await visitor(disk);
    await wire.restore();
    const away = await client(listenSocket, '');
    await writeFile(readCacheSwitch, '');
    await away.write(0, block(5));
    await away.read(1024 * 1024, blockBytes);
    await wire.cut();
    expect(await away.read(0, blockBytes)).toEqual(block(5));
    expect(await away.read(1024 * 1024, blockBytes)).toEqual(block(0));
    await wire.restore();
    await away.write(0, block(6));
    away.close();
    await disk.stop();
  });

  test('remembers nothing it read before the VM runs there, for home still writes', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow('home');
    await disk.allow(visit);
    const { wire, listenSocket, readCacheSwitch } = await visitor(disk);
    await wire.restore();
    const home = await client(disk.socket, 'home-vda');
    const away = await client(listenSocket, '');
    await home.write(0, block(1));
    expect(await away.read(0, 512)).toEqual(block(1).subarray(0, 512));
    await home.write(0, block(2));
    await writeFile(readCacheSwitch, '');
    expect(await away.read(0, blockBytes)).toEqual(block(2));
    away.close();
    await disk.stop();
  });

  test('passes a flush, and a write with FUA, on to the home disk before it is acknowledged', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow(visit);
    const { wire, listenSocket } = await visitor(disk);
    await wire.restore();
    const away = await client(listenSocket, '');
    await away.write(0, block(1));
    expect(wire.flushes()).toBe(0);
    await away.flush();
    expect(wire.flushes()).toBe(1);
    await away.write(0, block(2), flagFua);
    expect(wire.flushes()).toBe(2);
    away.close();
    await disk.stop();
  });

  test('cannot write any more once fenced, and says nothing was written', async () => {
    const disk = await HomeDisk.start(options());
    await disk.allow('home');
    await disk.allow(visit);
    const { wire, listenSocket } = await visitor(disk);
    await wire.restore();
    const away = await client(listenSocket, '');
    await away.write(0, block(1));
    await disk.revoke(visit);
    let acknowledged = false;
    const late = away.write(0, block(2)).then(
      () => (acknowledged = true),
      () => undefined,
    );
    await delay(2_500);
    expect(acknowledged).toBe(false);
    const home = await client(disk.socket, 'home-vda');
    expect(await home.read(0, blockBytes)).toEqual(block(1));
    away.close();
    await late;
    await disk.stop();
  });
});
