/** As much of an NBD client as the tests need, to be exact about what was acknowledged and when (NBD protocol, fixed newstyle). */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const requestMagic = 0x25609513;
const replyMagic = 0x67446698;
const optExportName = 1;
const flagFixedNewstyle = 1;
const flagNoZeroes = 2;
export const flagFua = 1;

interface Waiting {
  readonly readBytes: number;
  readonly settle: (error: Error | undefined, data: Buffer) => void;
}

export class NbdClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<bigint, Waiting>();
  #buffer = Buffer.alloc(0);
  #next = 1n;
  sizeBytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(path: string, exportName: string): Promise<NbdClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    const client = new NbdClient(socket);
    const greeting = await read(socket, 18);
    if (greeting.toString('latin1', 0, 16) !== 'NBDMAGICIHAVEOPT') throw new Error('not an NBD server');
    const name = Buffer.from(exportName);
    const hello = Buffer.alloc(4 + 16);
    hello.writeUInt32BE(flagFixedNewstyle | flagNoZeroes, 0);
    hello.write('IHAVEOPT', 4, 'latin1');
    hello.writeUInt32BE(optExportName, 12);
    hello.writeUInt32BE(name.length, 16);
    socket.write(Buffer.concat([hello, name]));
    client.sizeBytes = Number((await read(socket, 10)).readBigUInt64BE(0));
    socket.on('data', (data: Buffer) => client.#take(data));
    const end = () => client.#fail(new Error('connection closed'));
    socket.on('error', end);
    socket.on('close', end);
    return client;
  }

  read(offset: number, bytes: number): Promise<Buffer> {
    return this.#request(0, 0, offset, bytes, Buffer.alloc(0), bytes);
  }

  async write(offset: number, data: Buffer, flags = 0): Promise<void> {
    await this.#request(1, flags, offset, data.length, data, 0);
  }

  async flush(): Promise<void> {
    await this.#request(3, 0, 0, 0, Buffer.alloc(0), 0);
  }

  close(): void {
    this.#socket.destroy();
  }

  #request(
    type: number,
    flags: number,
    offset: number,
    bytes: number,
    payload: Buffer,
    readBytes: number,
  ): Promise<Buffer> {
    if (this.#socket.destroyed) return Promise.reject(new Error('connection closed'));
    const handle = this.#next++;
    const header = Buffer.alloc(28);
    header.writeUInt32BE(requestMagic, 0);
    header.writeUInt16BE(flags, 4);
    header.writeUInt16BE(type, 6);
    header.writeBigUInt64BE(handle, 8);
    header.writeBigUInt64BE(BigInt(offset), 16);
    header.writeUInt32BE(bytes, 24);
    this.#socket.write(Buffer.concat([header, payload]));
    return new Promise((resolve, reject) => {
      const settle = (error: Error | undefined, data: Buffer) => (error ? reject(error) : resolve(data));
      this.#waiting.set(handle, { readBytes, settle });
    });
  }

  #take(data: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    while (this.#buffer.length >= 16) {
      if (this.#buffer.readUInt32BE(0) !== replyMagic) throw new Error('not a simple reply');
      const errno = this.#buffer.readUInt32BE(4);
      const handle = this.#buffer.readBigUInt64BE(8);
      const waiting = this.#waiting.get(handle);
      if (!waiting) throw new Error('a reply to no request');
      const bytes = errno === 0 ? waiting.readBytes : 0;
      if (this.#buffer.length < 16 + bytes) return;
      const payload = this.#buffer.subarray(16, 16 + bytes);
      this.#buffer = this.#buffer.subarray(16 + bytes);
      this.#waiting.delete(handle);
      waiting.settle(errno === 0 ? undefined : new Error(`NBD error ${errno}`), payload);
    }
  }

  #fail(error: Error): void {
    for (const { settle } of this.#waiting.values()) settle(error, Buffer.alloc(0));
    this.#waiting.clear();
  }
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const data: unknown = socket.read(bytes);
    if (Buffer.isBuffer(data)) return data;
    if (socket.destroyed || socket.readableEnded) throw new Error('refused');
    await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')]);
  }
}
