import { lstat } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { homedir } from 'node:os';
import { type Endpoint, endpointOver, type Listeners } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import { socketPathOf } from '../../shared/folders.ts';
import { type Calls, calls, type Events, events } from '../../shared/rpc.ts';

/** A shell's connection to the engine. */
export interface EngineClient {
  readonly call: Endpoint<Calls, Record<string, never>>['call'];
  /** Resolves when the connection has ended, by either side. */
  readonly closed: Promise<void>;
  close(): void;
}

export interface ClientOptions {
  readonly socketFile?: string;
  /** Events nobody asked for are dropped. */
  readonly listeners?: Partial<Listeners<Events>>;
}

/** Longest call that does not wait for a person: pairing's first half, a preflight over a slow network. */
const callTimeoutMs = 120_000;
const connectTimeoutMs = 5_000;

function engineSocketFile(): string {
  return socketPathOf({ env: process.env, homeFolder: homedir(), uid: process.getuid?.() ?? 0 });
}

/**
 * Connects to the user's engine.
 * @throws HomewardError `engine-not-running`, or `permission` where the socket is not the user's own.
 */
export async function connectEngine(options: ClientOptions = {}): Promise<EngineClient> {
  const socket = await connect(options.socketFile ?? engineSocketFile());
  const nothing = (): void => undefined;
  const endpoint = endpointOver(socket, {
    serves: {},
    handlers: {},
    uses: calls,
    hears: events,
    listeners: { status: nothing, move: nothing, decision: nothing, pairing: nothing, ...options.listeners },
    sends: {},
    timeoutMs: callTimeoutMs,
    onFault: nothing,
    whenClosed: () =>
      new HomewardError('engine-not-running', 'The engine ended while it was being asked.', {
        hint: 'A move under way is completed or undone by the next engine. Start it with: homeward engine --detach',
      }),
  });
  return {
    call: (method, params, callOptions) => endpoint.call(method, params, callOptions),
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
    close: () => socket.destroy(),
  };
}

/**
 * Stays connected until `signal` fires: `listen` hears what the engine tells, `lost` once per gap.
 * The first connection must succeed, later ones are tried every second.
 */
export async function stayConnected(
  options: ClientOptions & {
    readonly signal: AbortSignal;
    /** After each connection, to ask for what no event has told yet. */
    readonly connected: (client: EngineClient) => Promise<void>;
    readonly lost: () => void;
  },
): Promise<void> {
  const { signal } = options;
  let client: EngineClient | undefined = await connectEngine(options);
  while (!signal.aborted) {
    if (client !== undefined) {
      const open = client;
      const close = (): void => open.close();
      signal.addEventListener('abort', close);
      await options.connected(open).catch((error: unknown) => {
        if (!isNoEngine(error)) throw error;
      });
      await open.closed;
      signal.removeEventListener('abort', close);
      if (!signal.aborted) options.lost();
    }
    await pause(1_000, signal);
    client = signal.aborted
      ? undefined
      : await connectEngine(options).catch((error: unknown) => {
          if (!isNoEngine(error)) throw error;
          return undefined;
        });
  }
  client?.close();
}

export function isNoEngine(error: unknown): boolean {
  return error instanceof HomewardError && error.code === 'engine-not-running';
}

/** Resolves early, without throwing, when `signal` fires. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}

async function connect(socketFile: string): Promise<Socket> {
  const seen = await lstat(socketFile).catch(() => undefined);
  if (seen === undefined) throw notRunning();
  // Where there is no private runtime folder somebody else could have put a socket at our place.
  if (!seen.isSocket() || seen.uid !== process.getuid?.()) {
    throw new HomewardError('permission', `${socketFile} is not a socket of yours.`, {
      hint: 'Look at it, then remove it.',
    });
  }
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketFile);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new HomewardError('timeout', `The engine does not take connections at ${socketFile}.`));
    }, connectTimeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const dead = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED';
      reject(dead ? notRunning() : new HomewardError('permission', `${socketFile}: ${cause.message}`, { cause }));
    });
  });
}

function notRunning(): HomewardError {
  return new HomewardError('engine-not-running', 'The engine is not running.', {
    hint: 'Start it with: homeward engine --detach',
  });
}
