import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectInside, isNotThereYet, openSocketInside } from '../../../main/host/open-inside.ts';

describe('reaching into a folder of a visitor', () => {
  let folder: string;
  let server: Server;
  beforeEach(async () => {
    folder = await mkdtemp('/tmp/hw-open-');
    await mkdir(join(folder, 'real/deep'), { recursive: true });
    server = createServer((socket) => socket.end('hello'));
    await new Promise<void>((resolve) => server.listen(join(folder, 'real/deep/sock'), resolve));
  });
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });

  it('connects to a real socket in real folders', async () => {
    const socket = await connectInside(folder, ['real', 'deep', 'sock']);
    const [said] = await socket.setEncoding('utf8').toArray();
    socket.end();
    expect(said).toBe('hello');
  });

  it('follows no link, neither in the place of the socket nor of a folder', async () => {
    await symlink('real/deep/sock', join(folder, 'link'));
    await symlink('real', join(folder, 'detour'));
    await expect(connectInside(folder, ['link'])).rejects.toMatchObject({ code: 'refused' });
    await expect(connectInside(folder, ['detour', 'deep', 'sock'])).rejects.toThrow();
  });

  it('takes nothing else for a socket, and tells what is not there yet from what is wrong', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(connectInside(folder, ['file'])).rejects.toMatchObject({ code: 'refused' });
    expect(isNotThereYet(await connectInside(folder, ['none']).catch((error: unknown) => error))).toBe(true);
    expect(isNotThereYet(await connectInside(folder, ['file']).catch((error: unknown) => error))).toBe(false);
  });

  it('leaves no descriptor open', async () => {
    await symlink('real', join(folder, 'detour'));
    const before = (await readdir('/proc/self/fd')).length;
    for (let round = 0; round < 20; round += 1) {
      await (await openSocketInside(folder, ['real', 'deep', 'sock'])).close();
      await connectInside(folder, ['detour', 'deep', 'sock']).catch(() => undefined);
      await connectInside(folder, ['real', 'none', 'sock']).catch(() => undefined);
    }
    expect((await readdir('/proc/self/fd')).length).toBeLessThanOrEqual(before);
  });
});
