/**
 * A visit's ends of the streams of migrations and of its NICs, in a process of its own. libvirt takes a client that is
 * gone for one that has given up, and QEMU a lost connection for a lost machine or a card pulled out; an engine that is
 * killed, or begun anew, is none of these.
 *
 *     engine ──── sessions ─── call ────── the visit's libvirtd
 *       ├──────── sessions ─── carrier ─── the visit's QEMU, which listens (out) or connects (home)
 *       └──────── streams ──── frames ──── its NICs
 */
import { hash } from 'node:crypto';
import { rm, symlink } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { HomewardError } from '../../shared/errors.ts';
import { Carrier, type StreamEnd, serveUnixSocket, type UnixServer } from '../link/index.ts';
import { Cage } from './cage.ts';
import { carryFrames } from './frame-door.ts';
import { HeldCall } from './held-call.ts';
import { askForStream, grant, type HeldStream, refuse, wishOf } from './held-stream.ts';
import { insidePaths, nicSocketName } from './inside.ts';
import { SocketDoor } from './socket-door.ts';
import { holderFiles } from './stream-holder.ts';

/** A laptop that has only just come back may not know the visit yet. */
const askAgainMs = 200;
/** After this long it does, and has no such migration any more. */
const refusedForMs = 60_000;
const libvirtdPatienceMs = 5_000;
const qemuPatienceMs = 10_000;
/** Longer than between two steps of a move over a link that breaks. */
const idleForMs = 5 * 60_000;
const lookIdleEveryMs = 10_000;

type Held = StreamEnd & { readonly done: Promise<void> };

const folder = process.argv[2] ?? '';
const cage = new Cage(folder);
/** By kind and name; gone when what they lead to has ended. */
const held = new Map<string, Promise<Held>>();
/** By name, until QEMU has come. */
const listeners = new Map<string, Promise<UnixServer>>();
const nicDoors = new SocketDoor(cage.path('up'), (fault) => process.stderr.write(`${String(fault)}\n`));
/** NICs that are plugged in. */
let nics = 0;
let usedAtMs = performance.now();

async function inside(target: 'hw' | 'm', steps: readonly string[], patienceMs: number): Promise<Duplex> {
  // The sandbox may have been started after this process.
  await cage.adopt();
  return cage.connect(target, steps, patienceMs);
}

/** What `key` leads to: found where it lasts, opened where not. */
function hold(key: string, open: () => Promise<Held>): Promise<Held> {
  const known = held.get(key);
  if (known !== undefined) return known;
  const opening = open();
  held.set(key, opening);
  const forget = (): void => {
    held.delete(key);
    usedAtMs = performance.now();
  };
  void opening.then((end) => end.done).then(forget, forget);
  return opening;
}

const callEnd = (name: string): Promise<Held> =>
  hold(`migrate ${name}`, async () => new HeldCall(await inside('hw', insidePaths.libvirtSocket, libvirtdPatienceMs)));

const qemuEnd = (name: string): Promise<Held> =>
  hold(`migration ${name}`, async () => new Carrier(await inside('m', [name], qemuPatienceMs)));

/** QEMU's connection to `name` in the migration folder goes home. */
async function listen(name: string): Promise<void> {
  const listening = listeners.get(name) ?? openListener(name);
  listeners.set(name, listening);
  await listening.catch((error: unknown) => {
    listeners.delete(name);
    throw error;
  });
}

async function openListener(name: string): Promise<UnixServer> {
  // The socket itself stays where the visit cannot swap it; in the migration folder is but a link to it.
  // Its name is hashed because a socket's path must be short.
  const fileName = `m-${hash('sha256', name).slice(0, 8)}.sock`;
  let come = false;
  const server = await serveUnixSocket(cage.path('up', fileName), (socket) => {
    // QEMU makes no second one; the visit may.
    if (come) {
      socket.destroy();
      return;
    }
    come = true;
    void hold(`home ${name}`, async () => carryHome(socket, name));
  });
  const link = cage.path('m', name);
  await rm(link, { force: true });
  await symlink(`${insidePaths.up}/${fileName}`, link);
  return server;
}

/** Over any number of connections to the laptop. */
function carryHome(socket: Socket, name: string): Held {
  const carrier = new Carrier(socket);
  const over = new AbortController();
  void carrier.done.then(async () => {
    over.abort();
    const server = await listeners.get(name);
    listeners.delete(name);
    await server?.close();
  });
  void giveWires(carrier, name, over.signal);
  return carrier;
}

async function giveWires(carrier: Carrier, name: string, over: AbortSignal): Promise<void> {
  let refusedSinceMs: number | undefined;
  while (!over.aborted) {
    try {
      // A laptop that has nobody to take the stream dials all the same, and hangs up.
      const isTaken = await carrier.attach(await askEngine({ kind: 'migration', name }, over));
      refusedSinceMs = isTaken ? undefined : (refusedSinceMs ?? performance.now());
    } catch (thrown) {
      const isLink = thrown instanceof HomewardError && ['host-unreachable', 'timeout'].includes(thrown.code);
      refusedSinceMs = isLink ? undefined : (refusedSinceMs ?? performance.now());
    }
    if (refusedSinceMs !== undefined && performance.now() - refusedSinceMs > refusedForMs) carrier.destroy();
    await sleep(askAgainMs);
  }
}

const askEngine = (wish: HeldStream, over: AbortSignal): Promise<Socket> =>
  askForStream(join(folder, holderFiles.engine), wish, over);

async function letIn(nic: number): Promise<void> {
  await nicDoors.open(nicSocketName(nic), async (socket, over) => {
    nics += 1;
    try {
      await carryFrames(socket, () => framesHome(nic, over), over);
    } finally {
      nics -= 1;
      usedAtMs = performance.now();
    }
  });
}

/** However long it takes: meanwhile the guest's cable is out. */
async function framesHome(nic: number, over: AbortSignal): Promise<Duplex> {
  for (;;) {
    over.throwIfAborted();
    try {
      return await askEngine({ kind: 'frames', nic }, over);
    } catch {
      await sleep(askAgainMs, undefined, { signal: over });
    }
  }
}

async function serve(socket: Socket): Promise<void> {
  usedAtMs = performance.now();
  try {
    const end = await endOf(await wishOf(socket));
    grant(socket);
    if (end === undefined) socket.end();
    else await end.attach(socket);
  } catch (thrown) {
    refuse(socket, thrown);
  }
}

async function endOf(wish: HeldStream): Promise<Held | undefined> {
  switch (wish.kind) {
    case 'migrate':
      return callEnd(wish.name);
    case 'migration':
      return qemuEnd(wish.name);
    case 'listen':
      await listen(wish.name);
      return undefined;
    case 'frames':
      await letIn(wish.nic);
      return undefined;
    default:
      return wish satisfies never;
  }
}

await serveUnixSocket(join(folder, holderFiles.holder), (socket) => void serve(socket));
setInterval(() => {
  if (held.size === 0 && nics === 0 && performance.now() - usedAtMs > idleForMs) process.exit(0);
}, lookIdleEveryMs);
