import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { EventEmitter } from 'node:events';

const mdnsPort = 5353;

/** RFC 6762 §17: more than this cannot be an mDNS packet. */
const maxPacketBytes = 9_000;
const ourLabel = Buffer.from('homeward');

/**
 * The UDP socket below multicast-dns, with what that library leaves open: whatever a packet makes a
 * handler throw is reported instead of ending the process, and packets that cannot concern us (nobody
 * names `homeward` in them) are dropped before they cost a parse.
 */
export class GuardedSocket extends EventEmitter<{
  listening: [];
  message: [Buffer, RemoteInfo];
  error: [Error];
}> {
  readonly #socket: Socket;
  readonly #onFault: (thrown: unknown) => void;

  constructor(onFault: (thrown: unknown) => void) {
    super();
    this.#onFault = onFault;
    this.#socket = createSocket({ type: 'udp4', reuseAddr: true });
    this.#socket.on('listening', () => this.emit('listening'));
    this.#socket.on('error', (error) => onFault(error));
    this.#socket.on('message', (packet, from) => {
      if (packet.length > maxPacketBytes || !packet.includes(ourLabel)) return;
      try {
        this.emit('message', packet, from);
      } catch (error) {
        onFault(error);
      }
    });
  }

  /** Bound to every address: one bound to its interface's own gets no multicast (Linux). */
  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.bind({ port: mdnsPort, address: '0.0.0.0' }, () => {
        this.#socket.off('error', reject);
        resolve();
      });
    });
  }

  address(): ReturnType<Socket['address']> {
    return this.#socket.address();
  }

  send(packet: Buffer, offset: number, bytes: number, port: number, address: string, done: () => void): void {
    this.#socket.send(packet, offset, bytes, port, address, (error) => {
      if (error) this.#onFault(error);
      done();
    });
  }

  addMembership(group: string, interfaceAddress: string): void {
    this.#socket.addMembership(group, interfaceAddress);
  }

  dropMembership(group: string, interfaceAddress: string): void {
    this.#socket.dropMembership(group, interfaceAddress);
  }

  setMulticastInterface(address: string): void {
    this.#socket.setMulticastInterface(address);
  }

  setMulticastLoopback(on: boolean): void {
    this.#socket.setMulticastLoopback(on);
  }

  setMulticastTTL(hops: number): void {
    this.#socket.setMulticastTTL(hops);
  }

  close(done?: () => void): void {
    this.#socket.close(done);
  }
}
