import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { daemonArgs, pathsIn, refusal } from '../../../main/disk/daemon.ts';
import { exportName, nbdkitCommand, type Writer } from '../../../main/disk/index.ts';
import { converse, QmpError } from '../../../main/disk/qmp.ts';

const token = '0123456789abcdef'.repeat(2);

describe('export names', () => {
  test('say who writes which disk', () => {
    expect(exportName('home', 'vda')).toBe('home-vda');
    expect(exportName(`visit-${token}`, 'sdb')).toBe(`visit-${token}-sdb`);
  });

  test.each([
    ['visit-x', 'vda'],
    [`visit-${token}-vda`, 'vda'],
    ['home', '../vda'],
    ['home', 'a-b'],
    ['home', ''],
  ])('%s and %s make none', (writer, target) => {
    expect(() => exportName(writer as Writer, target)).toThrow();
  });
});

test('a folder with a comma stays one option of the daemon', () => {
  const args = daemonArgs(pathsIn('/run/a,b'), []);
  expect(args).toContain('addr.type=unix,addr.path=/run/a,,b/nbd.sock');
  expect(args).toContain('socket,id=qmp,path=/run/a,,b/qmp.sock,server=on,wait=off');
});

test('images are named by JSON, whatever characters they hold', () => {
  const file = '/home/me/a,b="c".qcow2';
  const [, protocol = '', , top = ''] = daemonArgs(pathsIn('/run/x'), [{ target: 'vda', file, format: 'qcow2' }]);
  expect(JSON.parse(protocol)).toMatchObject({ driver: 'file', filename: file });
  expect(JSON.parse(top)).toMatchObject({ driver: 'qcow2', 'node-name': 'disk-vda', file: 'file-vda' });
});

describe('the daemon’s words become a sentence', () => {
  const disks = [{ target: 'vda', file: '/img/a.qcow2', format: 'qcow2' as const }];
  test.each([
    ['Failed to get "write" lock\nIs another process using the image [/img/a.qcow2]?', 'vm-busy'],
    ['Image is not in qcow2 format', 'damaged-file'],
    ['Could not open: No space left on device', 'disk-full'],
    ["Could not open '/img/a.qcow2': Permission denied", 'permission'],
    ['something else', 'internal'],
    ['', 'internal'],
  ])('%s', (words, code) => {
    expect(refusal(words, disks)).toMatchObject({ code });
  });
});

describe('the disk cache’s command', () => {
  const options = {
    listenSocket: '/v/vda.sock',
    upstreamSocket: '/v/up.sock',
    exportName: `visit-${token}-vda`,
    cacheFolder: '/v/cache',
    cacheMaxBytes: 64 * 1024 * 1024,
  };

  test('caches over retrying over the home disk, and writes through', () => {
    const { args, env, readCacheSwitch } = nbdkitCommand(options);
    const filters = args.filter((arg) => arg.startsWith('--filter='));
    expect(filters).toEqual(['--filter=cache', '--filter=retry']);
    expect(args).toContain('cache=writethrough');
    expect(args).toContain(`cache-on-read=${readCacheSwitch}`);
    expect(env).toEqual({ TMPDIR: '/v/cache' });
  });

  test('refuses a cache nbdkit could not keep within bounds', () => {
    expect(() => nbdkitCommand({ ...options, cacheMaxBytes: 1024 })).toThrow('too small');
  });
});

describe('a monitor that misbehaves', () => {
  let folder: string;
  let close: () => Promise<unknown>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'homeward-qmp-'));
  });
  afterEach(async () => {
    await close();
    await rm(folder, { recursive: true });
  });

  async function monitor(serve: (socket: Socket) => void): Promise<string> {
    const path = join(folder, 'qmp.sock');
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      serve(socket);
    });
    server.listen(path);
    await once(server, 'listening');
    close = async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    };
    return path;
  }

  const greeting = `${JSON.stringify({ QMP: { version: { qemu: { major: 7 } }, capabilities: [] } })}\r\n`;
  const ask = (path: string, deadlineMs = 2_000) => converse(path, deadlineMs, (execute) => execute('query-version'));

  test('and never answers: the deadline ends it', async () => {
    const path = await monitor(() => undefined);
    await expect(ask(path, 100)).rejects.toMatchObject({ code: 'timeout' });
  });

  test('and greets but never answers: the deadline ends it', async () => {
    const path = await monitor((socket) => socket.write(greeting));
    await expect(ask(path, 100)).rejects.toMatchObject({ code: 'timeout' });
  });

  test('and hangs up', async () => {
    const path = await monitor((socket) => socket.end(greeting));
    await expect(ask(path)).rejects.toThrow(/closed its monitor|EPIPE|ECONNRESET/);
  });

  test('and speaks no JSON', async () => {
    const path = await monitor((socket) => socket.write('hello\n'));
    await expect(ask(path)).rejects.toThrow(/JSON/);
  });

  test('and greets as something else', async () => {
    const path = await monitor((socket) => socket.write('{"hello":1}\n'));
    await expect(ask(path)).rejects.toThrow();
  });

  test('and refuses: its class and words are kept, events in between are not taken for answers', async () => {
    const path = await monitor((socket) => {
      socket.write(greeting);
      socket.once('data', () => {
        socket.write('{"event":"BLOCK_EXPORT_DELETED","data":{}}\n{"return":{}}\n');
        socket.once('data', () => {
          socket.write('{"event":"X"}\n{"error":{"class":"GenericError","desc":"no such thing"}}\n');
        });
      });
    });
    await expect(ask(path)).rejects.toThrow(new QmpError('query-version', 'GenericError', 'no such thing'));
  });
});
