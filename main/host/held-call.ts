import type { Duplex } from 'node:stream';
import { Carrier, type StreamEnd } from '../link/index.ts';

/** A laptop that has been away for this long in the middle of a migrate call has given it up. */
const holdMs = 60 * 60 * 1_000;

/**
 * The end of a migrate call's connection to a visit's libvirtd. libvirt ends a VM that it prepares for a client as soon as
 * that client is gone; a client that is only out of reach for a while must not take its VM along.
 */
export class HeldCall implements StreamEnd {
  readonly done: Promise<void>;
  readonly #carrier: Carrier;
  #wires = 0;
  #giveUp: NodeJS.Timeout | undefined;

  constructor(libvirtd: Duplex) {
    this.#carrier = new Carrier(libvirtd);
    this.done = this.#carrier.done;
  }

  async attach(wire: Duplex): Promise<void> {
    clearTimeout(this.#giveUp);
    this.#wires += 1;
    await this.#carrier.attach(wire);
    this.#wires -= 1;
    if (this.#wires === 0) this.#giveUp = setTimeout(() => this.#carrier.destroy(), holdMs).unref();
  }
}
