/** The laptops that are connected now, and the streams wanted from them. */
import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import type { HostNotice, HostNotices, WantedStream } from '../../shared/wire.ts';

type WithoutToken<T> = T extends unknown ? Omit<T, 'stream'> : never;
/** A stream to ask for; the link adds the token that tells its answer from others. */
export type StreamWish = WithoutToken<WantedStream>;

/** One laptop's control connection, as the link shows it. */
export interface PeerConnection {
  readonly fingerprint: string;
  readonly name: string;
  /** Rejects where the laptop refuses, or the link is gone. */
  requestStream(wish: StreamWish): Promise<Duplex>;
  notify<K extends HostNotice>(name: K, payload: z.input<HostNotices[K]>): void;
}

export class ConnectedPeers {
  readonly #connections = new Map<string, PeerConnection>();
  readonly #waiting = new Set<() => void>();

  /** The newest connection of a laptop replaces an older one. */
  add(connection: PeerConnection): void {
    this.#connections.set(connection.fingerprint, connection);
    for (const wake of this.#waiting) wake();
  }

  get(fingerprint: string): PeerConnection | undefined {
    return this.#connections.get(fingerprint);
  }

  /**
   * A stream from that laptop. While it is not connected this waits, so that a disk or a NIC stalls over a lost link
   * and goes on as soon as it is back. A refusal by the laptop itself rejects.
   */
  async requestStream(fingerprint: string, wish: StreamWish, signal: AbortSignal): Promise<Duplex> {
    for (;;) {
      const connection = await this.#connected(fingerprint, signal);
      try {
        const stream = await connection.requestStream(wish);
        if (!signal.aborted) return stream;
        stream.destroy();
      } catch (error) {
        if (!(error instanceof HomewardError && error.code === 'host-unreachable')) throw error;
        if (this.#connections.get(fingerprint) === connection) this.#connections.delete(fingerprint);
      }
    }
  }

  async #connected(fingerprint: string, signal: AbortSignal): Promise<PeerConnection> {
    for (;;) {
      signal.throwIfAborted();
      const connection = this.#connections.get(fingerprint);
      if (connection) return connection;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener('abort', wake);
      });
    }
  }
}
