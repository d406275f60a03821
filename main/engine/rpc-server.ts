import { chmod, lstat, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { z } from 'zod';
import { type Endpoint, endpointOver, type Handlers } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import { type Calls, calls, type Events, events, type Status } from '../../shared/rpc.ts';
import { checkSocketPath } from '../process/index.ts';

export interface RpcServerOptions {
  /** Bound with mode 0600; a socket at which nobody answers is replaced. */
  readonly socketFile: string;
  readonly handlers: Handlers<Calls>;
  /** Asked for `status` events: at most four times a second, and only while a client is connected. */
  readonly status: () => Status;
  /** What a client did wrong, and what failed unexpectedly in a handler. */
  readonly onFault: (fault: HomewardError) => void;
}

export interface RpcServer {
  /** Connected now. */
  readonly clients: number;
  /** Whether somebody looks on: a client has been there for longer than a command takes. */
  readonly watched: boolean;
  /** Tells every client. One that has left `maxUnreadBytes` unread is dropped instead. */
  publish<K extends 'move' | 'decision' | 'pairing'>(event: K, payload: z.input<Events[K]>): void;
  /** Something in the status has changed: a `status` event is sent within 250 ms. */
  statusChanged(): void;
  /** Ends every connection and removes the socket. */
  close(): Promise<void>;
}

const statusEveryMs = 250;
export const maxUnreadBytes = 4 * 1024 * 1024;
/** A desktop has a handful of shells; more is a program gone wild. */
const maxClients = 64;
const probeTimeoutMs = 1_000;
/** A command asks and goes; a window, a tray or `status --watch` stays. */
const onlookerFromMs = 5_000;

/**
 * Serves `shared/rpc.ts` on a UNIX socket.
 * @throws HomewardError `engine-running` where somebody answers at the socket, `bad-input` where its path is too
 *   long, `permission` where it cannot be bound.
 */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  checkSocketPath(options.socketFile);
  await removeDeadSocket(options.socketFile);
  const clients = new Clients(options);
  const server = createServer((socket) => clients.add(socket));
  server.maxConnections = maxClients;
  await listen(server, options.socketFile);
  return {
    get clients() {
      return clients.size;
    },
    get watched() {
      return clients.watched;
    },
    publish: (event, payload) => clients.publish(event, payload),
    statusChanged: () => clients.statusChanged(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // The call that asks for the end is answered a few microtasks after its handler has set the end going.
        setImmediate(() => clients.close());
      }),
  };
}

class Clients {
  readonly #options: RpcServerOptions;
  readonly #endpoints = new Map<Socket, Endpoint<Record<string, never>, Events>>();
  /** When each connected, oldest first. */
  readonly #since = new Map<Socket, number>();
  /** Clients that had not read what they were sent when a status was due: they get the newest once they have. */
  readonly #behind = new Set<Socket>();
  #statusTimer: NodeJS.Timeout | undefined;
  #lastStatusMs = 0;

  constructor(options: RpcServerOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  get watched(): boolean {
    const [oldestMs] = this.#since.values();
    return oldestMs !== undefined && performance.now() - oldestMs >= onlookerFromMs;
  }

  add(socket: Socket): void {
    const endpoint = endpointOver(socket, {
      serves: calls,
      handlers: this.#options.handlers,
      uses: {},
      hears: {},
      listeners: {},
      sends: events,
      timeoutMs: Number.POSITIVE_INFINITY,
      onFault: this.#options.onFault,
      whenClosed: () => new HomewardError('cancelled', 'The client has gone.'),
    });
    this.#endpoints.set(socket, endpoint);
    this.#since.set(socket, performance.now());
    socket.on('drain', () => {
      if (this.#behind.delete(socket)) this.statusChanged();
    });
    socket.on('close', () => {
      this.#endpoints.delete(socket);
      this.#since.delete(socket);
      this.#behind.delete(socket);
      if (this.#endpoints.size === 0) this.#stopTimer();
    });
  }

  publish<K extends 'move' | 'decision' | 'pairing'>(event: K, payload: z.input<Events[K]>): void {
    for (const [socket, endpoint] of this.#endpoints) {
      endpoint.notify(event, payload);
      if (socket.writableLength > maxUnreadBytes) this.#drop(socket);
    }
  }

  statusChanged(): void {
    if (this.#statusTimer !== undefined || this.#endpoints.size === 0) return;
    const dueInMs = Math.max(0, this.#lastStatusMs + statusEveryMs - performance.now());
    this.#statusTimer = setTimeout(() => {
      this.#statusTimer = undefined;
      this.#lastStatusMs = performance.now();
      this.#sendStatus();
    }, dueInMs);
  }

  close(): void {
    this.#stopTimer();
    // What was answered just before, such as engine.stop, still goes out; one that does not read is not waited for.
    for (const socket of this.#endpoints.keys()) {
      socket.end();
      setTimeout(() => socket.destroy(), probeTimeoutMs).unref();
    }
  }

  #sendStatus(): void {
    const ready = [...this.#endpoints].filter(([socket]) => {
      if (socket.writableNeedDrain) this.#behind.add(socket);
      return !socket.writableNeedDrain;
    });
    if (ready.length === 0) return;
    let status: Status;
    try {
      status = this.#options.status();
    } catch (cause) {
      this.#options.onFault(new HomewardError('internal', 'The status could not be put together.', { cause }));
      return;
    }
    for (const [, endpoint] of ready) endpoint.notify('status', status);
  }

  #drop(socket: Socket): void {
    this.#options.onFault(
      new HomewardError('refused', `A client left ${maxUnreadBytes} bytes unread and was dropped.`),
    );
    socket.destroy();
  }

  #stopTimer(): void {
    clearTimeout(this.#statusTimer);
    this.#statusTimer = undefined;
  }
}

async function listen(server: Server, socketFile: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketFile, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
    await chmod(socketFile, 0o600);
  } catch (cause) {
    server.close();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HomewardError('permission', `The socket ${socketFile} cannot be used: ${why}`, {
      hint: 'Check that its folder is yours and writable.',
      cause,
    });
  }
}

/** A crash leaves its socket behind. The engine lock keeps two engines from doing this at once. */
async function removeDeadSocket(socketFile: string): Promise<void> {
  const seen = await lstat(socketFile).catch(() => undefined);
  if (seen === undefined) return;
  if (!seen.isSocket()) {
    throw new HomewardError('permission', `${socketFile} is in the way: it is not a socket.`, {
      hint: 'Look at it, then remove it.',
    });
  }
  if (await isAnswered(socketFile)) {
    throw new HomewardError('engine-running', `An engine already answers at ${socketFile}.`, {
      hint: 'Use it, or stop it first: homeward engine stop',
    });
  }
  await rm(socketFile, { force: true });
}

function isAnswered(socketFile: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(socketFile);
    const settle = (answered: boolean): void => {
      clearTimeout(timer);
      probe.destroy();
      resolve(answered);
    };
    // A full backlog makes connect wait: somebody is there, only busy.
    const timer = setTimeout(() => settle(true), probeTimeoutMs);
    probe.once('connect', () => settle(true));
    probe.once('error', () => settle(false));
  });
}
