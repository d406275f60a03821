import { once } from 'node:events';
import { mkdir, readdir, readlink } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { askForStream, grant, refuse, wishOf } from '../../../main/host/held-stream.ts';
import { holderFiles, StreamHolder } from '../../../main/host/stream-holder.ts';
import { Carrier, connectUnixSocket, serveUnixSocket } from '../../../main/link/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { tempFolder } from '../engine/temp-folder.ts';

const name = 'm-00000001';

/** A visit's folder without a sandbox in it, and its holder. */
async function visitFolder(): Promise<{ readonly folder: string; readonly holder: StreamHolder }> {
  const folder = await tempFolder();
  for (const part of ['up', 'm', 'hw']) await mkdir(join(folder, part));
  const holder = new StreamHolder(folder);
  onTestFinished(() => holder.end());
  return { folder, holder };
}

/** The laptop's end of a stream, and what its QEMU or libvirt would say and hear. */
function laptopEnd(): { readonly carrier: Carrier; readonly program: Duplex } {
  const [program, local] = duplexPair({ allowHalfOpen: true });
  return { carrier: new Carrier(local), program };
}

/** Where the link in the migration folder leads, as it looks from outside the sandbox. */
async function listenerIn(folder: string): Promise<string> {
  return join(folder, await readlink(join(folder, 'm', name)));
}

async function serve(path: string, onConnection: (socket: Socket) => void): Promise<void> {
  const server = await serveUnixSocket(path, onConnection);
  onTestFinished(() => server.close());
}

it('what a stream holds goes on over the next session, as after an engine that was killed', async () => {
  const { folder, holder } = await visitFolder();
  const { promise, resolve } = Promise.withResolvers<Socket>();
  await serve(join(folder, 'm', name), resolve);
  const laptop = laptopEnd();
  const first = await holder.ask({ kind: 'migration', name });
  void laptop.carrier.attach(first);
  const qemu = await promise;
  laptop.program.write('one ');
  expect(String((await once(qemu, 'data'))[0])).toBe('one ');
  first.destroy();
  await once(first, 'close');
  laptop.program.write('two');
  const next = new StreamHolder(folder);
  void laptop.carrier.attach(await next.ask({ kind: 'migration', name }));
  expect(String((await once(qemu, 'data'))[0])).toBe('two');
  expect(qemu.destroyed).toBe(false);
});

it('a stream home waits for an engine, and survives one', async () => {
  const { folder, holder } = await visitFolder();
  (await holder.ask({ kind: 'listen', name })).destroy();
  const visitor = await connectUnixSocket(await listenerIn(folder));
  visitor.write('memory ');
  const laptop = laptopEnd();
  const heard = once(laptop.program, 'data');
  const wires: Socket[] = [];
  const engine = await serveUnixSocket(join(folder, holderFiles.engine), async (socket) => {
    expect(await wishOf(socket)).toEqual({ kind: 'migration', name });
    grant(socket);
    wires.push(socket);
    void laptop.carrier.attach(socket);
  });
  expect(String((await heard)[0])).toBe('memory ');
  await engine.close();
  visitor.write('of a guest');
  const more = once(laptop.program, 'data');
  await serve(join(folder, holderFiles.engine), async (socket) => {
    await wishOf(socket);
    grant(socket);
    void laptop.carrier.attach(socket);
  });
  expect(String((await more)[0])).toBe('of a guest');
  expect(wires).toHaveLength(1);
});

it('a NIC stays plugged in while engines come and go', async () => {
  const { folder, holder } = await visitFolder();
  const frame = Buffer.alloc(64, 7);
  frame.writeUInt32BE(60);
  (await holder.ask({ kind: 'frames', nic: 0 })).destroy();
  const qemu = await connectUnixSocket(join(folder, 'up', 'n0.sock'));
  const engine = async (): Promise<{ readonly wire: Promise<Socket>; readonly stop: () => Promise<void> }> => {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    const server = await serveUnixSocket(join(folder, holderFiles.engine), async (socket) => {
      expect(await wishOf(socket)).toEqual({ kind: 'frames', nic: 0 });
      grant(socket);
      resolve(socket);
    });
    return { wire: promise, stop: () => server.close() };
  };
  const first = await engine();
  const firstWire = await first.wire;
  firstWire.write(frame);
  expect((await once(qemu, 'data'))[0]).toEqual(frame);
  await first.stop();
  firstWire.destroy();
  const second = await engine();
  onTestFinished(second.stop);
  const heard = once(await second.wire, 'data');
  qemu.write(frame);
  expect((await heard)[0]).toEqual(frame);
  expect(qemu.destroyed).toBe(false);
});

it('QEMU is let in once: whoever comes beside it in the visit is not', async () => {
  const { folder, holder } = await visitFolder();
  (await holder.ask({ kind: 'listen', name })).destroy();
  const path = await listenerIn(folder);
  await connectUnixSocket(path);
  const second = await connectUnixSocket(path);
  await once(second.resume(), 'end');
});

it('says why there is no stream, and holds nothing after its end', async () => {
  const { folder, holder } = await visitFolder();
  await expect(holder.ask({ kind: 'migrate', name })).rejects.toBeInstanceOf(HomewardError);
  await holder.end();
  await expect(askForStream(join(folder, holderFiles.holder), { kind: 'migrate', name })).rejects.toMatchObject({
    code: 'host-unreachable',
  });
  // Not started again either, by whoever still waits for it.
  await expect(holder.ask({ kind: 'migrate', name })).rejects.toMatchObject({ code: 'refused' });
  expect(await readdir(folder)).not.toContain(holderFiles.record);
});

it('the line before a stream leaves every byte behind it to the stream', async () => {
  const path = join(await tempFolder(), 'asked.sock');
  await serve(path, async (socket) => {
    const asked = await wishOf(socket);
    if (asked.kind === 'migration' && asked.name === name) {
      grant(socket);
      socket.end('at once');
    } else refuse(socket, new HomewardError('refused', 'There is no such migration.'));
  });
  const stream = await askForStream(path, { kind: 'migration', name });
  expect(String((await once(stream, 'data'))[0])).toBe('at once');
  await expect(askForStream(path, { kind: 'migration', name: 'm-00000002' })).rejects.toMatchObject({
    code: 'refused',
    message: 'There is no such migration.',
  });
});
