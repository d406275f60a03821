/**
 * One migration, as a process of its own: the migrate call, and home's end of all that crosses for it. libvirt takes a
 * client that is gone for one that has given up, and QEMU a lost connection for a lost machine; an engine that is killed,
 * or begun anew, is neither.
 *
 *     QEMU ─── migration socket ─── carrier ─── stream sessions ─┐
 *     libvirt's client ── a socket ─ carrier ──── call sessions ─┴─ engine ── link
 *         └── home's libvirtd
 *
 * It is started while the move is prepared, since a process takes its time to start, and makes the call when asked.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Libvirt, type MigrateRequest, reportFailure } from '../libvirt/index.ts';
import { Carrier, connectUnixSocket, serveUnixSocket } from '../link/index.ts';
import type { MigrationConfig, MigrationOutcome } from './migration-process.ts';

const { qemu, migrationSocket, sockets }: MigrationConfig = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
/** QEMU's listening socket appears a moment after libvirt has prepared the destination. */
const connectRetryMs = 50;
/** For QEMU's connection after a resume that libvirt calls failed: it may merely have looked before that was there. */
const resumePatienceMs = 10_000;

/** A carrier to be, and where the connections that it is to cross come in. */
class Door {
  #carrier: Carrier | undefined;
  #newest: Socket | undefined;

  static async open(path: string): Promise<Door> {
    const door = new Door();
    await serveUnixSocket(path, (session) => door.#take(session));
    return door;
  }

  /** Resolves when what `local` leads to has ended. */
  async carry(local: Socket): Promise<void> {
    this.#carrier = new Carrier(local);
    if (this.#newest !== undefined) void this.#carrier.attach(this.#newest);
    await this.#carrier.done;
  }

  /** Nothing is said before the carrier is there: that is how the engine knows when the other end is wanted. */
  #take(session: Socket): void {
    if (this.#carrier !== undefined) {
      void this.#carrier.attach(session);
      return;
    }
    this.#newest?.destroy();
    this.#newest = session;
  }
}

/** Listens at `path` for one connection: neither QEMU nor libvirt makes a second. */
async function expectOne(path: string): Promise<{ readonly socket: Promise<Socket> }> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  let come = false;
  await serveUnixSocket(path, (socket) => {
    if (come) socket.destroy();
    come = true;
    resolve(socket);
  });
  return { socket: promise };
}

/** Where QEMU listens, as soon as it does. */
async function connectQemu(callOver: AbortSignal): Promise<Socket> {
  for (;;) {
    const socket = await connectUnixSocket(migrationSocket).catch(() => undefined);
    if (socket !== undefined) return socket;
    await sleep(connectRetryMs, undefined, { signal: callOver });
  }
}

async function migrate(libvirt: Promise<Libvirt>, request: MigrateRequest): Promise<MigrationOutcome> {
  try {
    await (await libvirt).migrate(request);
    return { ok: true };
  } catch (thrown) {
    return { ok: false, error: reportFailure(thrown) };
  }
}

/** Undefined where whoever `socket` leads to has gone without a request. */
function requestFrom(socket: Socket): Promise<MigrateRequest | undefined> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: socket });
    lines.once('line', (line) => resolve(JSON.parse(line)));
    lines.once('close', () => resolve(undefined));
  });
}

const libvirt = Libvirt.start();
// Told as the call's outcome.
libvirt.catch(() => undefined);
const callOver = new AbortController();
const asking = Promise.withResolvers<Socket>();
const outcome = Promise.withResolvers<MigrationOutcome>();
const telling: Promise<unknown>[] = [];

const [streamDoor, callDoor, libvirtEnd, qemuEnd] = await Promise.all([
  Door.open(sockets.stream),
  Door.open(sockets.call),
  expectOne(sockets.libvirt),
  qemu === 'connects' ? expectOne(migrationSocket) : undefined,
]);
// Last: whoever waits for this process takes it for ready when it is told the outcome there.
await serveUnixSocket(sockets.outcome, (socket) => {
  asking.resolve(socket);
  void outcome.promise.then((ended) => {
    telling.push(once(socket, 'close'));
    socket.end(`${JSON.stringify(ended)}\n`);
  });
});

let streaming = false;
const connected = (qemuEnd?.socket ?? connectQemu(callOver.signal)).then((socket) => {
  streaming = true;
  return socket;
});
const streamEnded = connected.then((socket) => streamDoor.carry(socket));
streamEnded.catch(() => undefined);
const callEnded = libvirtEnd.socket.then((socket) => callDoor.carry(socket));

const request = await requestFrom(await asking.promise);
if (request === undefined) process.exit(0);
const ended = await migrate(libvirt, request);
outcome.resolve(ended);
// A source that has begun to resume never comes back from it without its stream (QEMU before 8.2).
if (!ended.ok && request.flags.includes('postcopyResume')) await Promise.race([connected, sleep(resumePatienceMs)]);
callOver.abort();
// A call that failed proves nothing of the stream: in post-copy QEMU goes on by itself.
if (streaming) await Promise.all([streamEnded, callEnded]);
await Promise.race([Promise.all(telling), sleep(1_000)]);
process.exit(0);
