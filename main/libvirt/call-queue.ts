/** Calls of one connection: one at a time in its worker, each with a deadline. */
import { LibvirtError, ownError } from './error.ts';
import { type EventCallbacks, listen } from './event-loop.ts';
import type { LibvirtEvent } from './events.ts';
import type { ConnectionWorkerData, FromConnectionWorker, ToConnectionWorker } from './messages.ts';
import type { OperationArguments, OperationName, OperationResult } from './operations.ts';
import { WorkerThread } from './worker-thread.ts';

const entry = new URL('./connection-worker.ts', import.meta.url);
const closeGraceMs = 2_000;
let nextToken = 1;

interface Call {
  readonly id: number;
  readonly operation: OperationName | 'open' | 'isAlive';
  readonly args: readonly unknown[];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: LibvirtError) => void;
  readonly timer: NodeJS.Timeout;
}

type ConnectionThread = WorkerThread<ToConnectionWorker, FromConnectionWorker>;

interface Thread {
  readonly worker: ConnectionThread;
  readonly stopListening: () => void;
}

export type CallQueueOptions = Omit<ConnectionWorkerData, 'token' | 'callbacks'> & {
  readonly callbacks: EventCallbacks;
  readonly onEvent: (event: LibvirtEvent) => void;
};

export class CallQueue {
  readonly #options: CallQueueOptions;
  readonly #waiting: Call[] = [];
  #running: Call | undefined;
  #thread: Thread | undefined;
  #nextId = 1;
  #isClosed = false;
  /** Whether the daemon was last seen gone; `restored` follows once a call reached it again. */
  #isLost = false;

  constructor(options: CallQueueOptions) {
    this.#options = options;
  }

  call<K extends OperationName>(operation: K, args: OperationArguments<K>, deadlineMs: number) {
    return this.#enqueue(operation, args, deadlineMs) as Promise<OperationResult<K>>;
  }

  async open(deadlineMs: number): Promise<void> {
    await this.#enqueue('open', [], deadlineMs);
  }

  async isAlive(deadlineMs: number): Promise<boolean> {
    return (await this.#enqueue('isAlive', [], deadlineMs)) === true;
  }

  async close(): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    const reason = ownError('closed', `the connection to ${this.#options.uri} was closed`);
    for (const call of this.#waiting.splice(0)) {
      this.#settle(call, () => call.reject(reason));
    }
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) {
      this.#settle(running, () => running.reject(reason));
    }
    const thread = this.#thread;
    this.#thread = undefined;
    if (thread === undefined) {
      return;
    }
    thread.stopListening();
    thread.worker.post({ kind: 'close' });
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(grace.resolve, running === undefined ? closeGraceMs : 0);
    await Promise.race([thread.worker.exited, grace.promise]);
    clearTimeout(timer);
    await thread.worker.interrupt();
  }

  #enqueue(operation: Call['operation'], args: readonly unknown[], deadlineMs: number): Promise<unknown> {
    if (this.#isClosed) {
      return Promise.reject(ownError('closed', `the connection to ${this.#options.uri} is closed`));
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => this.#onDeadline(id, deadlineMs), deadlineMs);
      this.#waiting.push({ id, operation, args, resolve, reject, timer });
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#running !== undefined || this.#isClosed) {
      return;
    }
    const call = this.#waiting.shift();
    if (call === undefined) {
      return;
    }
    this.#running = call;
    this.#thread ??= this.#start();
    this.#thread.worker.post({ kind: 'call', id: call.id, operation: call.operation, args: call.args });
  }

  #start(): Thread {
    const { uri, readOnly, keepAliveIntervalS, callbacks } = this.#options;
    const token = nextToken++;
    const data: ConnectionWorkerData = { uri, readOnly, keepAliveIntervalS, token, callbacks };
    const stopListening = listen(token, (event) => this.#onEvent(event));
    const worker: ConnectionThread = new WorkerThread(entry, data, [uri], {
      message: (message) => this.#onMessage(worker, message),
      exit: (error) => this.#onExit(worker, error),
    });
    return { worker, stopListening };
  }

  #onEvent(event: LibvirtEvent): void {
    if (event.kind === 'connection') {
      this.#setLost(event.state === 'lost');
    } else {
      this.#options.onEvent(event);
    }
  }

  #setLost(isLost: boolean): void {
    if (this.#isLost !== isLost) {
      this.#isLost = isLost;
      this.#options.onEvent({ kind: 'connection', state: isLost ? 'lost' : 'restored' });
    }
  }

  #onMessage(worker: ConnectionThread, message: FromConnectionWorker): void {
    if (worker !== this.#thread?.worker) {
      return;
    }
    if (message.kind === 'lost' || message.kind === 'connected') {
      this.#setLost(message.kind === 'lost');
      return;
    }
    const call = this.#running;
    if (call === undefined || (message.kind !== 'answer' && message.kind !== 'failure') || message.id !== call.id) {
      return;
    }
    this.#running = undefined;
    this.#settle(call, () =>
      message.kind === 'answer' ? call.resolve(message.value) : call.reject(new LibvirtError(message.error)),
    );
    this.#pump();
  }

  #onExit(worker: ConnectionThread, error: Error | undefined): void {
    if (worker !== this.#thread?.worker) {
      return;
    }
    this.#thread.stopListening();
    this.#thread = undefined;
    this.#setLost(true);
    const call = this.#running;
    this.#running = undefined;
    if (call !== undefined) {
      const why = error === undefined ? 'ended' : `failed: ${error.message}`;
      this.#settle(call, () => call.reject(ownError('unavailable', `the worker of ${this.#options.uri} ${why}`)));
    }
    this.#pump();
  }

  #onDeadline(id: number, deadlineMs: number): void {
    const running = this.#running;
    const call = running?.id === id ? running : this.#waiting.find((waiting) => waiting.id === id);
    if (call === undefined) {
      return;
    }
    if (call === running) {
      this.#running = undefined;
      this.#abandon();
    } else {
      this.#waiting.splice(this.#waiting.indexOf(call), 1);
    }
    const message = `${this.#options.uri} did not answer ${call.operation} within ${deadlineMs} ms`;
    this.#settle(call, () => call.reject(ownError('timeout', message)));
    this.#pump();
  }

  /** Leaves a stuck worker behind; the next call gets a fresh one. */
  #abandon(): void {
    const thread = this.#thread;
    this.#thread = undefined;
    if (thread !== undefined) {
      thread.stopListening();
      thread.worker.post({ kind: 'close' });
      void thread.worker.interrupt();
      this.#setLost(true);
    }
  }

  #settle(call: Call, settle: () => void): void {
    clearTimeout(call.timer);
    settle();
  }
}
