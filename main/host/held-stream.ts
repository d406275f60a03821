/** Streams asked for between a visit's stream holder and the engine: a line of JSON, a line back, then its own bytes. */
import type { Socket } from 'node:net';
import { z } from 'zod';
import { type ErrorReport, errorFrom, HomewardError, reportOf } from '../../shared/errors.ts';
import { SocketName } from '../../shared/wire.ts';
import { connectUnixSocket } from '../link/index.ts';

/**
 * `migrate`: to the visit's libvirtd, for one migrate call. `migration`: where QEMU's stream crosses, to the holder for
 * one that comes in, to the engine for one that goes home. `listen`: the holder awaits QEMU's stream home from here on.
 * `frames`: the holder lets QEMU's NIC in from here on; to the engine, home's end of that NIC.
 */
export const HeldStream = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.enum(['migrate', 'migration', 'listen']), name: SocketName }),
  z.strictObject({ kind: z.literal('frames'), nic: z.int().min(0).max(7) }),
]);
export type HeldStream = z.infer<typeof HeldStream>;

const maxLineBytes = 4_096;

/**
 * Asks at the socket `path`, and resolves with the stream.
 * @throws HomewardError `host-unreachable` where nobody is there to answer, or as whoever is there gave it
 */
export async function askForStream(path: string, wish: HeldStream, signal?: AbortSignal): Promise<Socket> {
  const socket = await connectUnixSocket(path);
  const give = (): void => void socket.destroy();
  signal?.addEventListener('abort', give);
  try {
    if (signal?.aborted === true) give();
    socket.write(`${JSON.stringify(wish)}\n`);
    const answer: ErrorReport | null = JSON.parse(await readLine(socket));
    if (answer !== null) throw errorFrom(answer);
    return socket;
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    signal?.removeEventListener('abort', give);
  }
}

/** What whoever connected asks for. @throws HomewardError `host-unreachable` where it went without, ZodError for anything else */
export async function wishOf(socket: Socket): Promise<HeldStream> {
  return HeldStream.parse(JSON.parse(await readLine(socket)));
}

/** From here on the stream's own bytes follow. */
export function grant(socket: Socket): void {
  socket.write('null\n');
}

export function refuse(socket: Socket, why: unknown): void {
  socket.end(`${JSON.stringify(reportOf(why))}\n`);
}

/** Leaves what comes after the line to whoever reads next. */
async function readLine(socket: Socket): Promise<string> {
  let line = Buffer.alloc(0);
  while (line.length < maxLineBytes) {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed) break;
      await moreOf(socket);
      continue;
    }
    const end = chunk.indexOf('\n');
    if (end < 0) {
      line = Buffer.concat([line, chunk]);
      continue;
    }
    if (end + 1 < chunk.length) socket.unshift(chunk.subarray(end + 1));
    return Buffer.concat([line, chunk.subarray(0, end)]).toString();
  }
  throw new HomewardError('host-unreachable', 'The other end closed without a word.');
}

function moreOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const events = ['readable', 'end', 'close'] as const;
    const told = (): void => {
      for (const event of events) socket.off(event, told);
      resolve();
    };
    for (const event of events) socket.on(event, told);
  });
}
