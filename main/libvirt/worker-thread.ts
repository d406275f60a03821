/** The main thread's hold on one worker, stuck or not. */
import { Worker } from 'node:worker_threads';
import type { SocketNotice } from './messages.ts';
import { cut, socketsTo } from './sockets.ts';

const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 1, codeRangeSizeMb: 2, stackSizeMb: 1 };
const cutEveryMs = 200;
/** A thread that has not come back after this is waiting for something other than its socket. */
const cutForMs = 10_000;

const living = new Set<WorkerThread<never, never>>();

export interface WorkerHandlers<From> {
  readonly message: (message: From) => void;
  /** Once, also after a crash, which `error` then tells. */
  readonly exit: (error: Error | undefined) => void;
}

export class WorkerThread<To, From extends { readonly kind: string }> {
  readonly #worker: Worker;
  readonly #uris: readonly string[];
  readonly #exited = Promise.withResolvers<void>();
  readonly #owned = new Set<string>();
  /** While it opens a connection: sockets that are older than that. */
  #before: ReadonlySet<string> | undefined;
  #error: Error | undefined;

  constructor(entry: URL, data: unknown, uris: readonly string[], handlers: WorkerHandlers<From>) {
    this.#uris = uris;
    this.#worker = new Worker(entry, { workerData: data, resourceLimits, execArgv: [] });
    living.add(this);
    this.#worker.on('message', (message: From | SocketNotice) => {
      if (isSocketNotice(message)) {
        this.#onSockets(message);
      } else {
        handlers.message(message);
      }
    });
    this.#worker.on('error', (error: Error) => {
      this.#error = error;
    });
    this.#worker.on('exit', () => {
      living.delete(this);
      this.#exited.resolve();
      handlers.exit(this.#error);
    });
  }

  post(message: To): void {
    this.#worker.postMessage(message);
  }

  /** Settles when the thread has ended. */
  get exited(): Promise<void> {
    return this.#exited.promise;
  }

  /** Ends what the thread waits for, until it has gone or nothing more can be done. */
  async interrupt(): Promise<void> {
    const deadline = performance.now() + cutForMs;
    while (living.has(this) && performance.now() < deadline) {
      this.#cut();
      await Promise.race([this.exited, new Promise((resolve) => setTimeout(resolve, cutEveryMs))]);
    }
    // A thread that is still there must not keep the process from ending.
    this.#worker.unref();
  }

  #onSockets(notice: SocketNotice): void {
    if (notice.kind === 'opening') {
      this.#before = new Set(notice.before);
      return;
    }
    this.#before = undefined;
    for (const inode of notice.owned) {
      this.#owned.add(inode);
    }
  }

  #cut(): void {
    const sockets = socketsTo(this.#uris);
    const before = this.#before;
    const opening = before === undefined ? [] : [...sockets.keys()].filter((inode) => !before.has(inode));
    const others = new Set([...living].filter((worker) => worker !== this).flatMap((worker) => [...worker.#owned]));
    cut(sockets, [...this.#owned, ...opening.filter((inode) => !others.has(inode))]);
  }
}

function isSocketNotice(message: { readonly kind: string }): message is SocketNotice {
  return message.kind === 'opening' || message.kind === 'opened';
}
