import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { HomewardError } from '../../shared/errors.ts';
import { alpn, StreamHello } from '../../shared/wire.ts';
import type { Identity, PeerStore } from '../trust/index.ts';
import { PeerLink, type PeerLinkOptions } from './peer-link.ts';
import { accept, handshakeTimeoutMs, peerFingerprint, readLine, refuse, serverOptions } from './tls.ts';

/** Connections that have not yet shown who they are or what they want. */
const maxUndecided = 64;

export interface LinkServerOptions extends Omit<PeerLinkOptions, 'fingerprint' | 'name'> {
  /** 0 lets the system choose. */
  readonly port: number;
  /** All addresses where absent. */
  readonly address?: string;
  readonly identity: Identity;
  /** Who may come in: those with the role `laptop`. */
  readonly peers: PeerStore;
  /** A connection to pair over, of anybody: whoever takes it ends it. */
  readonly onPairing: (connection: Duplex, fingerprint: string, remoteAddress: string) => void;
  /** To shake hands, and to say what for: each. */
  readonly helloTimeoutMs?: number;
}

/**
 * The host's one port. Who dials is compared with the paired laptops right after the handshake; of anybody else
 * not one byte is read, except to pair.
 */
export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #server: Server;
  readonly #links = new Map<string, PeerLink>();
  readonly #open = new Set<Socket>();
  /** By remote end, oldest first. */
  readonly #undecided = new Map<string, Socket>();
  readonly #stopHearingOfRevocations: () => void;

  private constructor(options: LinkServerOptions) {
    this.#options = options;
    this.#server = createServer({
      ...serverOptions(options.identity),
      handshakeTimeout: options.helloTimeoutMs ?? handshakeTimeoutMs,
    });
    this.#server.on('connection', (socket: Socket) => this.#onRaw(socket));
    this.#server.on('secureConnection', (socket) => {
      this.#onSecure(socket).catch((thrown: unknown) => {
        socket.destroy();
        options.onFault(new HomewardError('internal', 'A connection could not be served.', { cause: thrown }));
      });
    });
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#stopHearingOfRevocations = options.peers.onRevoked((fingerprint) => {
      const link = this.#links.get(fingerprint);
      this.#links.delete(fingerprint);
      link?.drop(new HomewardError('not-paired', `${link.fingerprint.slice(0, 16)} is not paired any more.`));
    });
  }

  /** @throws HomewardError `refused`: the port cannot be had */
  static async listen(options: LinkServerOptions): Promise<LinkServer> {
    const link = new LinkServer(options);
    try {
      await once(link.#server.listen(options.port, options.address), 'listening');
    } catch (cause) {
      await link.close();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HomewardError('refused', `Port ${options.port} cannot be listened at: ${why}`, { cause });
    }
    link.#server.on('error', (cause) =>
      options.onFault(new HomewardError('internal', `The link’s port: ${cause.message}`, { cause })),
    );
    return link;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** A paired laptop, connected or not; the same object until it is revoked. */
  peer(fingerprint: string): PeerLink | undefined {
    const { peers } = this.#options;
    if (peers.get(fingerprint, 'laptop') === undefined) return undefined;
    let link = this.#links.get(fingerprint);
    if (link === undefined) {
      link = new PeerLink({
        ...this.#options,
        fingerprint,
        name: () => peers.get(fingerprint, 'laptop')?.name ?? fingerprint.slice(0, 16),
      });
      this.#links.set(fingerprint, link);
    }
    return link;
  }

  /** Stops listening and cuts every connection. */
  async close(): Promise<void> {
    this.#stopHearingOfRevocations();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const link of this.#links.values()) {
      link.drop(new HomewardError('cancelled', 'Homeward is shutting down.'));
    }
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #onRaw(socket: Socket): void {
    this.#open.add(socket);
    const remote = remoteOf(socket);
    this.#undecided.set(remote, socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#open.delete(socket);
      if (this.#undecided.get(remote) === socket) this.#undecided.delete(remote);
    });
    if (this.#undecided.size <= maxUndecided) return;
    // The oldest goes, not the newest: who means it is done within milliseconds, who blocks the door is not.
    const [oldest] = this.#undecided.values();
    oldest?.destroy();
  }

  async #onSecure(socket: TLSSocket): Promise<void> {
    socket.on('error', () => undefined);
    const fingerprint = peerFingerprint(socket);
    if (fingerprint === undefined) {
      socket.destroy();
      return;
    }
    if (socket.alpnProtocol === alpn.pair) {
      this.#undecided.delete(remoteOf(socket));
      this.#options.onPairing(socket, fingerprint, socket.remoteAddress ?? 'unknown');
      return;
    }
    const link = this.peer(fingerprint);
    if (link === undefined) {
      refuse(
        socket,
        new HomewardError('not-paired', 'The workstation does not know this laptop (any more).', {
          hint: 'Pair the two again.',
        }),
      );
      return;
    }
    if (socket.alpnProtocol === alpn.control) await this.#onControl(socket, link);
    else if (socket.alpnProtocol === alpn.stream) await this.#onStream(socket, link);
    else socket.destroy();
  }

  async #onControl(socket: TLSSocket, link: PeerLink): Promise<void> {
    accept(socket);
    // A laptop dials all addresses of the host at once and speaks on one: the others must not take its place.
    if (!(await this.#hasSpoken(socket)) || !this.#current(link)) {
      socket.destroy();
      return;
    }
    this.#undecided.delete(remoteOf(socket));
    link.attachControl(socket);
  }

  async #onStream(socket: TLSSocket, link: PeerLink): Promise<void> {
    let hello: StreamHello;
    try {
      const line = await readLine(socket, this.#options.helloTimeoutMs ?? handshakeTimeoutMs);
      hello = StreamHello.parse(JSON.parse(line));
    } catch {
      refuse(socket, new HomewardError('bad-input', 'A stream begins with a hello line.'));
      return;
    }
    if (!this.#current(link)) {
      socket.destroy();
      return;
    }
    this.#undecided.delete(remoteOf(socket));
    await link.serveStream(socket, hello);
  }

  /** Whether the laptop was not revoked while it hesitated. */
  #current(link: PeerLink): boolean {
    return this.#links.get(link.fingerprint) === link;
  }

  async #hasSpoken(socket: TLSSocket): Promise<boolean> {
    const signal = AbortSignal.timeout(this.#options.helloTimeoutMs ?? handshakeTimeoutMs);
    await once(socket, 'readable', { signal }).catch(() => undefined);
    return socket.readableLength > 0;
  }
}

/** The same for a TCP connection and the TLS one that grew out of it. */
function remoteOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
