/** UNIX sockets on which the engine listens; each connection is joined to another stream, opened for it. */
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { HomewardError } from '../../shared/errors.ts';
import { splice } from './splice.ts';

/** A visit has few disks and NICs; more connections than this at once are not an accident. */
const maxConnections = 64;

/** Opens the other end; `signal` says that nobody waits for it any more. */
export type OpenOtherEnd = (signal: AbortSignal) => Promise<Duplex>;

export class SocketDoor {
  readonly #folder: string;
  readonly #onFault: (error: unknown) => void;
  readonly #servers = new Map<string, Promise<Server>>();
  readonly #sockets = new Set<Socket>();

  /** `folder` must be one that no visit may write to, or it could put something else in a socket's place. */
  constructor(folder: string, onFault: (error: unknown) => void) {
    this.#folder = folder;
    this.#onFault = onFault;
  }

  /** Listens at `fileName`; listening there already is fine. */
  async open(fileName: string, openOther: OpenOtherEnd): Promise<void> {
    const listening = this.#servers.get(fileName) ?? this.#start(fileName, openOther);
    this.#servers.set(fileName, listening);
    try {
      await listening;
    } catch (error) {
      this.#servers.delete(fileName);
      throw error;
    }
  }

  async close(): Promise<void> {
    const servers = await Promise.allSettled(this.#servers.values());
    this.#servers.clear();
    for (const socket of this.#sockets) socket.destroy();
    for (const server of servers) {
      if (server.status === 'fulfilled') await new Promise((resolve) => server.value.close(resolve));
    }
  }

  async #start(fileName: string, openOther: OpenOtherEnd): Promise<Server> {
    const path = join(this.#folder, fileName);
    // What an engine that died has left behind.
    await rm(path, { force: true });
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#serve(socket, openOther),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    return server;
  }

  #serve(socket: Socket, openOther: OpenOtherEnd): void {
    socket.on('error', () => undefined);
    if (this.#sockets.size >= maxConnections) {
      socket.destroy();
      this.#onFault(new HomewardError('refused', `A visit wants more than ${maxConnections} streams at once.`));
      return;
    }
    this.#sockets.add(socket);
    const gone = new AbortController();
    socket.once('close', () => {
      this.#sockets.delete(socket);
      gone.abort();
    });
    openOther(gone.signal).then(
      (stream) => splice(socket, stream),
      (error: unknown) => {
        if (!gone.signal.aborted) this.#onFault(error);
        socket.destroy();
      },
    );
  }
}
