import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { z } from 'zod';
import { type Endpoint, endpointOver, type Handlers } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import {
  type HostCalls,
  type HostNotice,
  type HostNotices,
  heartbeatEveryMs,
  heartbeatMisses,
  hostCalls,
  hostNotices,
  type StreamHello,
  type WantedStream,
} from '../../shared/wire.ts';
import { startHeartbeat } from './heartbeat.ts';
import { serveMeasure } from './measure.ts';
import { keepQueueShort } from './send-buffer.ts';
import { accept, handshakeTimeoutMs, keepHalfOpen, refuse } from './tls.ts';
import { Traffic, type TrafficCount } from './traffic.ts';

/** `ping` is the link's own affair. */
export type HostHandlers = Handlers<Omit<HostCalls, 'ping'>>;
/** A stream into the host's own machine. */
export type LocalHello = StreamHello & { kind: 'libvirt' | 'migrate' | 'migration' };
type WithoutToken<W> = W extends unknown ? Omit<W, 'stream'> : never;
/** What a stream into the host's own machine leads to. */
export interface StreamEnd {
  /** Carries over `wire` and resolves when it is over with that. A wire that has closed already is fine. */
  attach(wire: Duplex): Promise<unknown>;
}
/** A stream to be asked for; the token is the link's own affair. */
export type StreamWish = WithoutToken<WantedStream>;

export interface PeerLinkOptions {
  readonly fingerprint: string;
  /** As the person calls it, now. */
  readonly name: () => string;
  readonly handlers: (peer: PeerLink) => HostHandlers;
  readonly openLocal: (peer: PeerLink, hello: LocalHello) => Promise<StreamEnd>;
  readonly onFault: (fault: HomewardError) => void;
  readonly heartbeatEveryMs?: number | undefined;
  /** For the laptop to dial a stream it was asked for. */
  readonly wantedTimeoutMs?: number | undefined;
}

const maxStreams = 256;

interface Session {
  readonly socket: TLSSocket;
  readonly endpoint: Endpoint<Record<never, never>, HostNotices>;
  readonly stopHeartbeat: () => void;
  readonly streams: Set<TLSSocket>;
}

interface Wanted {
  readonly wish: StreamWish;
  readonly take: (stream: TLSSocket) => void;
  readonly giveUp: (why: HomewardError) => void;
}

/**
 * A paired laptop as the host sees it, connected or not. One control connection is its session; streams live no
 * longer than the session they were opened in, so that a laptop which went silent, or came back from another
 * network, leaves nothing half open.
 */
export class PeerLink {
  readonly fingerprint: string;
  readonly #options: PeerLinkOptions;
  readonly #handlers: HostHandlers;
  readonly #traffic = new Traffic();
  readonly #wanted = new Map<string, Wanted>();
  #session: Session | undefined;

  constructor(options: PeerLinkOptions) {
    this.fingerprint = options.fingerprint;
    this.#options = options;
    this.#handlers = options.handlers(this);
  }

  get name(): string {
    return this.#options.name();
  }

  get connected(): boolean {
    return this.#session !== undefined;
  }

  traffic(): readonly TrafficCount[] {
    return this.#traffic.counts();
  }

  /** Lost where the laptop is not connected: it asks for the state of things when it comes back. */
  notify<K extends HostNotice>(name: K, payload: z.input<HostNotices[K]>): void {
    this.#session?.endpoint.notify(name, payload);
  }

  /**
   * Has the laptop dial a stream. What is answered belongs to the caller, who ends it.
   * @throws HomewardError `host-unreachable`: the laptop is not connected, or goes; `timeout`: it does not dial
   */
  async requestStream(wish: StreamWish): Promise<Duplex> {
    if (this.#session === undefined) throw this.#gone();
    const timeoutMs = this.#options.wantedTimeoutMs ?? handshakeTimeoutMs;
    const token = randomBytes(16).toString('hex');
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const deadline = setTimeout(
      () => reject(new HomewardError('timeout', `${this.name} did not open the ${wish.kind} stream in time.`)),
      timeoutMs,
    );
    this.#wanted.set(token, { wish, take: resolve, giveUp: reject });
    this.notify('stream.wanted', withToken(wish, token));
    try {
      return await promise;
    } finally {
      clearTimeout(deadline);
      this.#wanted.delete(token);
    }
  }

  /** Makes `socket`, just accepted, the session in place of any before it. */
  attachControl(socket: TLSSocket): void {
    this.drop(new HomewardError('host-unreachable', `${this.name} connected anew.`));
    const everyMs = this.#options.heartbeatEveryMs ?? heartbeatEveryMs;
    this.#traffic.add(socket, 'control');
    const endpoint = endpointOver(socket, {
      serves: hostCalls,
      handlers: { ...this.#handlers, ping: () => ({}) },
      uses: {},
      hears: {},
      listeners: {},
      sends: hostNotices,
      timeoutMs: handshakeTimeoutMs,
      onFault: this.#options.onFault,
      whenClosed: () => this.#gone(),
    });
    const session: Session = {
      socket,
      endpoint,
      streams: new Set(),
      stopHeartbeat: startHeartbeat({
        everyMs,
        // Twice the laptop's own patience: it should be the first to call the link lost.
        misses: 2 * heartbeatMisses,
        received: () => this.#traffic.receivedBytes(),
        onLost: () => this.#end(session, new HomewardError('timeout', `${this.name} has gone silent.`)),
      }),
    };
    this.#session = session;
    // The laptop has nothing more to say: half a control connection is none.
    socket.once('end', () => this.#end(session, this.#gone()));
    socket.once('close', () => this.#end(session, this.#gone()));
  }

  /** Serves a stream connection whose hello has been read; the connection is this link's from here. */
  async serveStream(socket: TLSSocket, hello: StreamHello): Promise<void> {
    const session = this.#session;
    if (session === undefined) {
      refuse(socket, new HomewardError('refused', 'A stream needs a control connection beside it.'));
      return;
    }
    if (session.streams.size >= maxStreams) {
      refuse(socket, new HomewardError('refused', `More than ${maxStreams} streams at once.`));
      return;
    }
    keepHalfOpen(socket);
    session.streams.add(socket);
    socket.once('close', () => session.streams.delete(socket));
    try {
      await this.#connectStream(socket, hello);
    } catch (why) {
      refuse(socket, why);
    }
  }

  /** Ends the session and everything in it, if there is one. */
  drop(why: HomewardError): void {
    if (this.#session !== undefined) this.#end(this.#session, why);
  }

  async #connectStream(socket: TLSSocket, hello: StreamHello): Promise<void> {
    switch (hello.kind) {
      case 'answer': {
        const wanted = this.#wanted.get(hello.stream);
        if (wanted === undefined) throw new HomewardError('refused', 'Nobody waits for this stream (any more).');
        // One dial per token: a second answer must not find it.
        this.#wanted.delete(hello.stream);
        this.#traffic.add(socket, wanted.wish.kind, wanted.wish.visit);
        if (wanted.wish.kind === 'migration') keepQueueShort(socket);
        accept(socket);
        wanted.take(socket);
        return;
      }
      case 'measure':
        this.#traffic.add(socket, 'measure');
        accept(socket);
        await serveMeasure(socket, hello).catch(() => socket.destroy());
        return;
      case 'libvirt':
      case 'migrate':
      case 'migration': {
        const end = await this.#options.openLocal(this, hello);
        if (!socket.destroyed) {
          this.#traffic.add(socket, hello.kind, hello.visit);
          if (hello.kind === 'migration') keepQueueShort(socket);
          accept(socket);
        }
        await end.attach(socket);
      }
    }
  }

  #end(session: Session, why: HomewardError): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    session.stopHeartbeat();
    session.endpoint.close(why);
    session.socket.destroy();
    for (const stream of session.streams) stream.destroy();
    for (const { giveUp } of this.#wanted.values()) giveUp(why);
  }

  #gone(): HomewardError {
    return new HomewardError('host-unreachable', `${this.name} is not connected.`);
  }
}

function withToken(wish: StreamWish, stream: string): WantedStream {
  return { ...wish, stream };
}
