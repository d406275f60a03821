/** One connection: takes calls one after the other, each of which may block this thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ConnectPtr, vir } from './ffi.ts';
import type { ConnectionWorkerData, FromConnectionWorker, ToConnectionWorker } from './messages.ts';
import { open, reportFailure } from './open.ts';
import { operations } from './operations.ts';

const data: ConnectionWorkerData = workerData;
/** The sender's types hold: see CallQueue.call(). */
type AnyOperation = (conn: ConnectPtr, ...args: readonly unknown[]) => unknown;
const byName = operations as unknown as Readonly<Record<string, AnyOperation>>;

let conn: ConnectPtr | undefined;
let registrations: readonly number[] = [];

function send(message: FromConnectionWorker): void {
  parentPort?.postMessage(message);
}

function close(): void {
  if (conn === undefined) {
    return;
  }
  // Each registration holds a reference that would keep the connection open.
  for (const id of registrations) {
    vir.deregisterEvent(conn, id);
  }
  vir.unregisterClose(conn, data.callbacks.closed);
  vir.close(conn);
  conn = undefined;
  registrations = [];
}

function connection(): ConnectPtr {
  if (conn !== undefined && vir.isAlive(conn) === 1) {
    return conn;
  }
  if (conn !== undefined) {
    send({ kind: 'lost' });
    close();
  }
  const opened = open(data, send);
  conn = opened;
  const token = BigInt(data.token);
  // Drivers without one kind of event or without a close callback refuse it: they just never send any.
  vir.registerClose(opened, data.callbacks.closed, token, null);
  registrations = data.callbacks.domain
    .map(([eventId, callback]) => vir.registerEvent(opened, null, eventId, callback, token, null))
    .filter((id) => id >= 0);
  send({ kind: 'connected' });
  return opened;
}

function run(operation: string, args: readonly unknown[]): unknown {
  switch (operation) {
    case 'open':
      connection();
      return undefined;
    case 'isAlive':
      return conn !== undefined && vir.isAlive(conn) === 1;
    default: {
      const call = byName[operation];
      if (call === undefined) {
        throw new TypeError(`no operation ${operation}`);
      }
      return call(connection(), ...args);
    }
  }
}

parentPort?.on('message', (message: ToConnectionWorker) => {
  if (message.kind === 'close') {
    close();
    parentPort?.close();
    return;
  }
  try {
    send({ kind: 'answer', id: message.id, value: run(message.operation, message.args) });
  } catch (error) {
    send({ kind: 'failure', id: message.id, error: reportFailure(error) });
  }
});
