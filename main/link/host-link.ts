import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { z } from 'zod';
import { type CallOptions, type Endpoint, endpointOver } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import type { HostAddress } from '../../shared/model/host.ts';
import {
  alpn,
  type HostCall,
  type HostCalls,
  heartbeatEveryMs,
  heartbeatMisses,
  hostCalls,
  hostNotices,
  type StreamHello,
  type VisitInfo,
  type WantedStream,
} from '../../shared/wire.ts';
import type { Identity } from '../trust/index.ts';
import { dialAny } from './dial-any.ts';
import { startHeartbeat } from './heartbeat.ts';
import { Retry } from './retry.ts';
import { keepQueueShort } from './send-buffer.ts';
import { Slots } from './slots.ts';
import { splice } from './splice.ts';
import { awaitAcceptance, dialPinned, handshakeTimeoutMs, keepHalfOpen, sendLine } from './tls.ts';
import { Traffic, type TrafficCount, type TrafficKind } from './traffic.ts';

/** `connecting` until the first attempt has ended; while `down` it goes on trying. */
export type LinkState = 'connecting' | 'up' | 'down';
/** A stream the laptop may open by itself. */
export type OpenableHello = Exclude<StreamHello, { kind: 'answer' }>;

export interface HostLinkOptions {
  readonly identity: Identity;
  /** Of the host: nobody else is spoken to. */
  readonly fingerprint: string;
  /** Where the host may be now, best first; asked before each attempt. */
  readonly addresses: () => readonly HostAddress[];
  /** What the host's stream is to be joined to. */
  readonly onWanted: (wanted: WantedStream) => Promise<Duplex>;
  readonly onVisitChanged: (visit: VisitInfo) => void;
  /** The owner of the host asks for this visitor to be brought home. */
  readonly onHomeWanted: (visit: string) => void;
  readonly onFault: (fault: HomewardError) => void;
  readonly heartbeatEveryMs?: number;
}

/** Deadline of a call that names none. */
const callTimeoutMs = 10_000;
/** To reach one address: less than a person's patience, more than a bad network's round trips. */
const dialTimeoutMs = 5_000;
/** For an attempt under way before a nudge ends it: some round trips of a slow network. */
const patienceMs = 1_000;
/** Handshakes at once, well below what the host takes of strangers. */
const dialsAtOnce = 16;

/** One round of dialling, up to the host's first answer to a ping. */
interface Attempt {
  readonly abort: AbortController;
  readonly beganMs: number;
}

interface Session {
  readonly socket: TLSSocket;
  readonly endpoint: Endpoint<HostCalls, Record<never, never>>;
  readonly address: HostAddress;
  readonly streams: Set<TLSSocket>;
  /** Ends what is being dialled when the session does. */
  readonly over: AbortController;
}

/**
 * The laptop's connection to one paired host: kept up by itself, watched by heartbeat, and when it is lost every
 * stream over it is destroyed at once, so that whoever stands behind one (QEMU, nbdkit, libvirt) notices too.
 */
export class HostLink {
  readonly fingerprint: string;
  readonly #options: HostLinkOptions;
  readonly #traffic = new Traffic();
  readonly #dials = new Slots(dialsAtOnce);
  readonly #retry = new Retry();
  readonly #listeners = new Set<(state: LinkState) => void>();
  #closed = false;
  readonly #running: Promise<void>;
  #state: LinkState = 'connecting';
  #session: Session | undefined;
  #attempt: Attempt | undefined;
  #obstacle: HomewardError | undefined;
  #roundTripMs: number | undefined;

  /** Begins to connect at once. */
  constructor(options: HostLinkOptions) {
    this.fingerprint = options.fingerprint;
    this.#options = options;
    this.#running = this.#run();
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Why it is not up, once that is known. */
  get obstacle(): HomewardError | undefined {
    return this.#obstacle;
  }

  /** Of the last heartbeat; undefined while not up. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** Where it is reached now; undefined while not up. */
  get address(): HostAddress | undefined {
    return this.#session?.address;
  }

  /** Told of every change of `state`, until the function it returns is called. */
  onState(listener: (state: LinkState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  traffic(): readonly TrafficCount[] {
    return this.#traffic.counts();
  }

  /**
   * The network or the host's addresses changed: try now rather than at the end of the pause. An attempt that has
   * been waiting for a while waits at an old address and is begun anew.
   */
  nudge(): void {
    this.#retry.nudge();
    const attempt = this.#attempt;
    if (attempt !== undefined && performance.now() - attempt.beganMs > patienceMs) attempt.abort.abort();
  }

  /** @throws HomewardError what the host reports; `host-unreachable` while or as soon as the link is not up; `timeout` */
  async call<K extends HostCall>(
    method: K,
    params: z.input<HostCalls[K]['params']>,
    options?: CallOptions,
  ): Promise<z.output<HostCalls[K]['result']>> {
    if (this.#session === undefined) throw this.#unreachable();
    return this.#session.endpoint.call(method, params, options);
  }

  /** A stream of the caller's, who ends it. @throws HomewardError as `call` */
  async openStream(hello: OpenableHello): Promise<Duplex> {
    return this.#dialStream(hello, hello.kind, 'visit' in hello ? hello.visit : undefined);
  }

  /** Ends the connection and every stream; nothing is dialled any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retry.nudge();
    this.#attempt?.abort.abort();
    if (this.#session !== undefined) {
      this.#lose(this.#session, new HomewardError('cancelled', 'The link was closed.'));
    }
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        const session = await this.#connect();
        this.#retry.reset();
        await new Promise<void>((resolve) => {
          if (session.over.signal.aborted) resolve();
          else session.over.signal.addEventListener('abort', () => resolve());
        });
      } catch (thrown) {
        this.#obstacle =
          thrown instanceof HomewardError
            ? thrown
            : new HomewardError('internal', 'Connecting failed.', { cause: thrown });
        this.#become('down');
      }
      if (!this.#closed) await this.#retry.pause();
    }
  }

  async #connect(): Promise<Session> {
    const { identity, fingerprint, addresses } = this.#options;
    const abort = new AbortController();
    this.#attempt = { abort, beganMs: performance.now() };
    let socket: TLSSocket | undefined;
    abort.signal.addEventListener('abort', () => socket?.destroy());
    try {
      const dialled = await dialAny(addresses(), abort.signal, (address, signal) =>
        dialPinned(identity, fingerprint, address, alpn.control, { signal, timeoutMs: dialTimeoutMs }),
      );
      socket = dialled.socket;
      await awaitAcceptance(socket, handshakeTimeoutMs);
      const session = this.#begin(socket, dialled.address);
      await this.#ping(session);
      if (session.over.signal.aborted) throw this.#unreachable();
      this.#session = session;
      this.#obstacle = undefined;
      this.#become('up');
      return session;
    } catch (why) {
      socket?.destroy();
      throw why;
    } finally {
      this.#attempt = undefined;
    }
  }

  #begin(socket: TLSSocket, address: HostAddress): Session {
    const { onVisitChanged, onHomeWanted, onFault } = this.#options;
    this.#traffic.add(socket, 'control');
    const endpoint = endpointOver(socket, {
      serves: {},
      handlers: {},
      uses: hostCalls,
      hears: hostNotices,
      listeners: {
        'stream.wanted': (wanted) => void this.#answer(wanted),
        'visit.changed': onVisitChanged,
        'home.wanted': ({ visit }) => onHomeWanted(visit),
      },
      sends: {},
      timeoutMs: callTimeoutMs,
      onFault,
      whenClosed: () => this.#unreachable(),
    });
    const session: Session = { socket, endpoint, address, streams: new Set(), over: new AbortController() };
    const hungUp = (): void => this.#lose(session, new HomewardError('host-unreachable', 'The workstation hung up.'));
    socket.once('end', hungUp);
    socket.once('close', hungUp);
    const stopHeartbeat = startHeartbeat({
      everyMs: this.#options.heartbeatEveryMs ?? heartbeatEveryMs,
      misses: heartbeatMisses,
      received: () => this.#traffic.receivedBytes(),
      onBeat: () => void this.#ping(session).catch(() => undefined),
      onLost: () => this.#lose(session, new HomewardError('host-unreachable', 'The workstation has gone silent.')),
    });
    session.over.signal.addEventListener('abort', stopHeartbeat);
    return session;
  }

  async #ping(session: Session): Promise<void> {
    const sentMs = performance.now();
    await session.endpoint.call('ping', {});
    if (!session.over.signal.aborted) this.#roundTripMs = performance.now() - sentMs;
  }

  #lose(session: Session, why: HomewardError): void {
    if (session.over.signal.aborted) return;
    session.over.abort();
    session.endpoint.close(why);
    session.socket.destroy();
    for (const stream of session.streams) stream.destroy();
    if (this.#session !== session) return;
    this.#session = undefined;
    this.#roundTripMs = undefined;
    this.#obstacle = why;
    this.#become('down');
  }

  async #dialStream(hello: StreamHello, kind: TrafficKind, visit: string | undefined): Promise<TLSSocket> {
    const session = this.#session;
    if (session === undefined) throw this.#unreachable();
    const { identity, fingerprint } = this.#options;
    return this.#dials.run(async () => {
      if (session.over.signal.aborted) throw this.#unreachable();
      const { signal } = session.over;
      const socket = await dialPinned(identity, fingerprint, session.address, alpn.stream, { signal });
      keepHalfOpen(socket);
      if (kind === 'migration') keepQueueShort(socket);
      this.#traffic.add(socket, kind, visit);
      session.streams.add(socket);
      socket.once('close', () => session.streams.delete(socket));
      try {
        sendLine(socket, hello);
        await awaitAcceptance(socket, handshakeTimeoutMs);
        return socket;
      } catch (why) {
        socket.destroy();
        throw signal.aborted ? this.#unreachable() : why;
      }
    });
  }

  /** Dials what the host wants and joins it to what belongs there; if either fails, the host sees the stream end. */
  async #answer(wanted: WantedStream): Promise<void> {
    const hello = { kind: 'answer', stream: wanted.stream } as const;
    const [stream, local] = await Promise.allSettled([
      this.#dialStream(hello, wanted.kind, wanted.visit),
      // Heard from here on: an error while the stream is still being dialled would take the whole engine down.
      this.#options.onWanted(wanted).then((duplex) => duplex.on('error', () => undefined)),
    ]);
    if (stream.status === 'fulfilled' && local.status === 'fulfilled') {
      await splice(local.value, stream.value);
      return;
    }
    if (stream.status === 'fulfilled') stream.value.destroy();
    if (local.status === 'fulfilled') local.value.destroy();
    const cause: unknown = stream.status === 'rejected' ? stream.reason : undefined;
    this.#options.onFault(
      new HomewardError('host-unreachable', `The ${wanted.kind} stream of visit ${wanted.visit} could not be joined.`, {
        cause: local.status === 'rejected' ? local.reason : cause,
      }),
    );
  }

  #become(state: LinkState): void {
    if (this.#state === state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }

  #unreachable(): HomewardError {
    return this.#obstacle ?? new HomewardError('host-unreachable', 'The workstation is not connected.');
  }
}
