/** The laptops that have been here since the engine started, and the streams wanted from them. */
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { HomewardError } from '../../shared/errors.ts';
import type { PeerLink, StreamWish } from '../link/index.ts';

/** As much of a laptop's link as this room needs. */
export type Peer = Pick<PeerLink, 'fingerprint' | 'name' | 'connected' | 'requestStream' | 'notify'>;

const lookAgainMs = 200;

export class Peers {
  readonly #links = new Map<string, Peer>();

  /** The newest of one laptop replaces an older one: it was revoked and paired anew. */
  add(link: Peer): void {
    this.#links.set(link.fingerprint, link);
  }

  get(fingerprint: string): Peer | undefined {
    return this.#links.get(fingerprint);
  }

  /**
   * A stream from that laptop. While it is not connected this waits, so that a disk or a NIC stalls over a lost link
   * and goes on as soon as it is back. A refusal by the laptop itself rejects.
   */
  async requestStream(fingerprint: string, wish: StreamWish, signal: AbortSignal): Promise<Duplex> {
    for (;;) {
      signal.throwIfAborted();
      const link = this.#links.get(fingerprint);
      if (link?.connected === true) {
        try {
          const stream = await link.requestStream(wish);
          if (!signal.aborted) return stream;
          stream.destroy();
        } catch (error) {
          if (!(error instanceof HomewardError && error.code === 'host-unreachable')) throw error;
        }
      } else {
        await sleep(lookAgainMs, undefined, { signal });
      }
    }
  }
}
