/**
 * QMP (QEMU Machine Protocol) as the storage daemon speaks it: one connection per conversation, since
 * its monitor serves one client at a time and an idle engine should hold nothing open.
 */
import { connect, type Socket } from 'node:net';
import split2 from 'split2';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';

const Greeting = z.object({ QMP: z.object({ version: z.object({ qemu: z.object({ major: z.int() }) }) }) });
const Reply = z.union([
  z.object({ return: z.unknown() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }) }),
  z.object({ event: z.string() }),
]);

/** The daemon understood and said no; `reason` is its class and sentence. */
export class QmpError extends Error {
  readonly errorClass: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.name = 'QmpError';
    this.errorClass = errorClass;
  }
}

export type Execute = (command: string, args?: Readonly<Record<string, unknown>>) => Promise<unknown>;

/**
 * Runs `conversation` on a fresh connection to the monitor at `path`, all of it within `deadlineMs`.
 * Throws QmpError for a refused command, `timeout` at the deadline, and the socket's own error where
 * nobody listens.
 */
export async function converse<T>(
  path: string,
  deadlineMs: number,
  conversation: (execute: Execute) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(deadlineMs);
  const socket = connect(path);
  const late = () => {
    socket.destroy(
      new HomewardError('timeout', `The disk's storage daemon did not answer within ${deadlineMs / 1_000} s.`),
    );
  };
  deadline.addEventListener('abort', late);
  try {
    const messages = messagesOf(socket);
    Greeting.parse(await next(messages));
    const execute: Execute = async (command, args = {}) => {
      socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
      for (;;) {
        const reply = Reply.parse(await next(messages));
        if ('return' in reply) return reply.return;
        if ('error' in reply) throw new QmpError(command, reply.error.class, reply.error.desc);
      }
    };
    await execute('qmp_capabilities');
    return await conversation(execute);
  } finally {
    deadline.removeEventListener('abort', late);
    socket.destroy();
  }
}

function messagesOf(socket: Socket): AsyncIterator<unknown> {
  const lines = split2((line: string): unknown => JSON.parse(line), { maxLength: 4 * 1024 * 1024 });
  socket.once('error', (error) => lines.destroy(error));
  return socket.pipe(lines)[Symbol.asyncIterator]();
}

async function next(messages: AsyncIterator<unknown>): Promise<unknown> {
  const message = await messages.next();
  if (message.done) throw new HomewardError('internal', "The disk's storage daemon closed its monitor.");
  return message.value;
}
