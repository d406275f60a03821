/** UNIX sockets on which the engine listens; each connection is joined to another stream, opened for it. */
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { HomewardError } from '../../shared/errors.ts';
import { serveUnixSocket, type UnixServer } from '../link/index.ts';

/** A visit has few disks and NICs; more connections than this at once are not an accident. */
const maxConnections = 64;

/** Carries a connection for as long as it lasts; `signal` says that it has closed. */
export type Carry = (socket: Socket, signal: AbortSignal) => Promise<void>;

export class SocketDoor {
  readonly #folder: string;
  readonly #onFault: (error: unknown) => void;
  readonly #servers = new Map<string, Promise<UnixServer>>();
  #connections = 0;

  /** `folder` must be one that no visit may write to, or it could put something else in a socket's place. */
  constructor(folder: string, onFault: (error: unknown) => void) {
    this.#folder = folder;
    this.#onFault = onFault;
  }

  /** Listens at `fileName`; listening there already is fine. */
  async open(fileName: string, carry: Carry): Promise<void> {
    const listening =
      this.#servers.get(fileName) ??
      serveUnixSocket(join(this.#folder, fileName), (socket) => this.#serve(socket, carry));
    this.#servers.set(fileName, listening);
    try {
      await listening;
    } catch (error) {
      this.#servers.delete(fileName);
      throw error;
    }
  }

  /** Stops listening and cuts every connection. */
  async close(): Promise<void> {
    const servers = await Promise.allSettled(this.#servers.values());
    this.#servers.clear();
    await Promise.all(servers.map((server) => (server.status === 'fulfilled' ? server.value.close() : undefined)));
  }

  #serve(socket: Socket, carry: Carry): void {
    if (this.#connections >= maxConnections) {
      socket.destroy();
      this.#onFault(new HomewardError('refused', `A visit wants more than ${maxConnections} streams at once.`));
      return;
    }
    this.#connections += 1;
    const gone = new AbortController();
    socket.once('close', () => {
      this.#connections -= 1;
      gone.abort();
    });
    carry(socket, gone.signal).catch((error: unknown) => {
      if (!gone.signal.aborted) this.#onFault(error);
      socket.destroy();
    });
  }
}
