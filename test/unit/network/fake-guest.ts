/** A guest's network card and just enough of its stack: DHCP, and TCP that loses nothing and never resends. */

import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { FrameReader, payload } from '../../../main/network/frames.ts';

const guestMac = Buffer.from('525400000001', 'hex');
const broadcast = Buffer.alloc(6, 255);
const flags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 };

/** One QEMU end: frames in and out. */
export class FakePort {
  readonly frames: Buffer[] = [];
  closed = false;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const reader = new FrameReader();
    socket.on('data', (chunk: Buffer) => this.frames.push(...reader.read(chunk).map(payload)));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async plug(target: NetConnectOpts): Promise<FakePort> {
    const socket = connect(target);
    await once(socket, 'connect');
    return new FakePort(socket);
  }

  send(frame: Buffer): void {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(frame.length);
    this.#socket.write(Buffer.concat([header, frame]));
  }

  sendRaw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  unplug(): void {
    this.#socket.destroy();
  }

  async next(wanted: (frame: Buffer) => boolean, timeoutMs = 5_000): Promise<Buffer> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const at = this.frames.findIndex(wanted);
      const [frame] = at < 0 ? [] : this.frames.splice(at, 1);
      if (frame) return frame;
      if (performance.now() > deadline) throw new Error('no such frame came');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function checksum(data: Buffer): number {
  let sum = 0;
  for (let at = 0; at + 1 < data.length; at += 2) sum += data.readUInt16BE(at);
  if (data.length % 2) sum += (data[data.length - 1] ?? 0) << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

function ipv4(protocol: number, from: Buffer, to: Buffer, data: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + data.length, 2);
  header[8] = 64;
  header[9] = protocol;
  from.copy(header, 12);
  to.copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, data]);
}

function ethernet(to: Buffer, data: Buffer): Buffer {
  return Buffer.concat([to, guestMac, Buffer.from('0800', 'hex'), data]);
}

function addressBytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

export interface Lease {
  readonly address: string;
  readonly router: string;
  readonly resolvers: string[];
  readonly gatewayMac: Buffer;
}

export function dhcpDiscover(): Buffer {
  const bootp = Buffer.alloc(236);
  bootp.set([1, 1, 6, 0, 0x11, 0x22, 0x33, 0x44]);
  guestMac.copy(bootp, 28);
  const data = Buffer.concat([
    bootp,
    Buffer.from('638253633501013702 0306ff'.replace(' ', ''), 'hex'),
    Buffer.alloc(64),
  ]);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(68, 0);
  udp.writeUInt16BE(67, 2);
  udp.writeUInt16BE(8 + data.length, 4);
  return ethernet(broadcast, ipv4(17, Buffer.alloc(4), Buffer.alloc(4, 255), Buffer.concat([udp, data])));
}

export function isDhcpAnswer(frame: Buffer): boolean {
  return frame.length > 282 && frame.readUInt16BE(12) === 0x0800 && frame[23] === 17 && frame.readUInt16BE(36) === 68;
}

export function leaseOf(frame: Buffer): Lease {
  const options = new Map<number, Buffer>();
  for (let at = 282; at < frame.length && frame[at] !== 255; ) {
    const bytes = frame[at + 1] ?? 0;
    options.set(frame[at] ?? 0, frame.subarray(at + 2, at + 2 + bytes));
    at += 2 + bytes;
  }
  const resolvers = options.get(6) ?? Buffer.alloc(0);
  return {
    address: frame.subarray(58, 62).join('.'),
    router: (options.get(3) ?? Buffer.alloc(0)).join('.'),
    resolvers: Array.from({ length: resolvers.length / 4 }, (_, at) =>
      resolvers.subarray(at * 4, at * 4 + 4).join('.'),
    ),
    gatewayMac: frame.subarray(6, 12),
  };
}

/** A TCP connection of the guest's, over whichever port its card is plugged into. */
export class GuestTcp {
  port: FakePort;
  readonly #lease: Lease;
  readonly #to: { address: Buffer; port: number };
  readonly #localPort = 40_000 + Math.floor(Math.random() * 20_000);
  #sequence = 1_000;
  #acknowledged = 0;

  constructor(port: FakePort, lease: Lease, to: { address: string; port: number }) {
    this.port = port;
    this.#lease = lease;
    this.#to = { address: addressBytes(to.address), port: to.port };
  }

  async open(): Promise<void> {
    this.#send(flags.syn);
    this.#sequence += 1;
    const answer = await this.port.next((frame) => this.#isOurs(frame) && (frame[47] ?? 0) === (flags.syn | flags.ack));
    this.#acknowledged = (answer.readUInt32BE(38) + 1) >>> 0;
    this.#send(flags.ack);
  }

  /** Sends `text` and returns the next data that comes back. */
  async exchange(text: string): Promise<string> {
    this.#send(flags.ack | flags.psh, Buffer.from(text));
    this.#sequence += text.length;
    const expected = this.#acknowledged;
    const answer = await this.port.next(
      (frame) => this.#isOurs(frame) && frame.readUInt32BE(38) === expected && dataOf(frame).length > 0,
    );
    const data = dataOf(answer);
    this.#acknowledged = (this.#acknowledged + data.length) >>> 0;
    this.#send(flags.ack);
    return data.toString();
  }

  #isOurs(frame: Buffer): boolean {
    return (
      frame.length >= 54 &&
      frame.readUInt16BE(12) === 0x0800 &&
      frame[23] === 6 &&
      frame.readUInt16BE(34) === this.#to.port &&
      frame.readUInt16BE(36) === this.#localPort
    );
  }

  #send(control: number, data = Buffer.alloc(0)): void {
    const from = addressBytes(this.#lease.address);
    const header = Buffer.alloc(20);
    header.writeUInt16BE(this.#localPort, 0);
    header.writeUInt16BE(this.#to.port, 2);
    header.writeUInt32BE(this.#sequence, 4);
    header.writeUInt32BE(this.#acknowledged, 8);
    header[12] = 5 << 4;
    header[13] = control;
    header.writeUInt16BE(64_000, 14);
    const pseudo = Buffer.alloc(12);
    from.copy(pseudo, 0);
    this.#to.address.copy(pseudo, 4);
    pseudo[9] = 6;
    pseudo.writeUInt16BE(20 + data.length, 10);
    header.writeUInt16BE(checksum(Buffer.concat([pseudo, header, data])), 16);
    this.port.send(ethernet(this.#lease.gatewayMac, ipv4(6, from, this.#to.address, Buffer.concat([header, data]))));
  }
}

function dataOf(frame: Buffer): Buffer {
  const ipEnd = 14 + frame.readUInt16BE(16);
  const tcpHeader = ((frame[46] ?? 0) >> 4) * 4;
  return frame.subarray(34 + tcpHeader, ipEnd);
}
