import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectUnixSocket, serveUnixSocket, type UnixServer } from '../../../main/link/index.ts';
import { splice } from '../../../main/link/splice.ts';
import { readAll, until } from './bed.ts';

let folder: string;
let servers: UnixServer[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'splice-'));
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server.close();
  await rm(folder, { recursive: true });
});

/** Both ends of a connection over a UNIX socket of this name. */
async function ends(name: string): Promise<[Socket, Socket]> {
  const accepted = Promise.withResolvers<Socket>();
  servers.push(await serveUnixSocket(join(folder, name), accepted.resolve));
  return [await connectUnixSocket(join(folder, name)), await accepted.promise];
}

describe('a splice', () => {
  it('carries both ways, unchanged, and closes all when both have ended', async () => {
    const [left, a] = await ends('a');
    const [right, b] = await ends('b');
    const done = splice(a, b);
    const [out, home] = [randomBytes(2_000_000), randomBytes(1_000_000)];
    left.end(out);
    right.end(home);
    const [atRight, atLeft] = await Promise.all([readAll(right), readAll(left)]);
    expect(atRight.equals(out) && atLeft.equals(home)).toBe(true);
    await done;
    expect([a.destroyed, b.destroyed]).toEqual([true, true]);
  });

  it('delivers everything to a slow reader though the sender is long gone', async () => {
    const [left, a] = await ends('a');
    const [right, b] = await ends('b');
    const done = splice(a, b);
    right.pause();
    right.end();
    const sent = randomBytes(3_000_000);
    left.end(sent);
    left.resume();
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 200))]);
    expect((await readAll(right)).equals(sent)).toBe(true);
    await done;
  });

  it.each([0, 1])('destroys the other side when side %i fails', async (side) => {
    const [left, a] = await ends('a');
    const [right, b] = await ends('b');
    const done = splice(a, b);
    [a, b][side]?.destroy(new Error('cable cut'));
    await done;
    expect([a.destroyed, b.destroyed]).toEqual([true, true]);
    expect(await Promise.all([readAll(left), readAll(right)])).toEqual([Buffer.alloc(0), Buffer.alloc(0)]);
    left.destroy();
    right.destroy();
  });

  it('ends at once with a side that had ended before it began', async () => {
    const [left, a] = await ends('a');
    const [right, b] = await ends('b');
    left.on('error', () => undefined);
    right.resume();
    a.destroy();
    await once(a, 'close');
    await splice(a, b);
    expect(b.destroyed).toBe(true);
  });
});

describe('a UNIX socket', () => {
  const path = () => join(folder, 's');

  it('is for this user only', async () => {
    servers.push(await serveUnixSocket(path(), () => undefined));
    expect((await stat(path())).mode & 0o777).toBe(0o600);
  });

  it('takes the place of one nobody listens at any more', async () => {
    // A listener whose file outlives it, as after SIGKILL.
    const dead = createServer().listen(path());
    await once(dead, 'listening');
    const moved = join(folder, 'moved');
    const { rename } = await import('node:fs/promises');
    await rename(path(), moved);
    dead.close();
    await once(dead, 'close');
    await rename(moved, path());
    servers.push(await serveUnixSocket(path(), (socket) => socket.end('here')));
    expect(String(await readAll(await connectUnixSocket(path())))).toBe('here');
  });

  it('does not take the place of a live one, or of a file', async () => {
    servers.push(await serveUnixSocket(path(), () => undefined));
    await expect(serveUnixSocket(path(), () => undefined)).rejects.toMatchObject({ code: 'refused' });
    await writeFile(join(folder, 'file'), 'mine');
    await expect(serveUnixSocket(join(folder, 'file'), () => undefined)).rejects.toMatchObject({ code: 'bad-input' });
  });

  it('refuses a path Linux could not take, and one nobody listens at', async () => {
    const long = join(folder, 'x'.repeat(108));
    await expect(serveUnixSocket(long, () => undefined)).rejects.toMatchObject({ code: 'bad-input' });
    await expect(connectUnixSocket(long)).rejects.toMatchObject({ code: 'bad-input' });
    await expect(connectUnixSocket(path())).rejects.toMatchObject({ code: 'host-unreachable' });
  });

  it('takes its connections and its file with it', async () => {
    const server = await serveUnixSocket(path(), (socket) => socket.resume());
    const socket = await connectUnixSocket(path());
    await server.close();
    await until(() => socket.resume().destroyed || socket.readableEnded);
    expect(existsSync(path())).toBe(false);
    socket.destroy();
  });
});
