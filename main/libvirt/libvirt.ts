/** The entry: connections, migrations, and the event loop they share. */
import { type CallOptions, Connection, defaultDeadlineMs } from './connection.ts';
import { LibvirtError, ownError } from './error.ts';
import { type EventCallbacks, startEventLoop, stopEventLoop } from './event-loop.ts';
import type { FromMigrationWorker } from './messages.ts';
import type { MigrateRequest } from './migrate.ts';
import { WorkerThread } from './worker-thread.ts';

const migrationEntry = new URL('./migration-worker.ts', import.meta.url);
const defaultKeepAliveIntervalS = 5;

export interface ConnectOptions extends CallOptions {
  /** Between probes of the daemon, of which five may go unanswered; 0 for none. Default 5. */
  readonly keepAliveIntervalS?: number;
  readonly readOnly?: boolean;
}

type MigrationThread = WorkerThread<never, FromMigrationWorker>;

export class Libvirt {
  readonly #callbacks: EventCallbacks;
  readonly #connections = new Set<Connection>();
  readonly #migrations = new Set<MigrationThread>();
  #isStopped = false;

  private constructor(callbacks: EventCallbacks) {
    this.#callbacks = callbacks;
  }

  /** Rejects with kind `unavailable` where libvirt's libraries are missing. */
  static async start(): Promise<Libvirt> {
    return new Libvirt(startEventLoop());
  }

  /** Rejects with libvirt's error where the daemon cannot be reached. */
  async connect(uri: string, options: ConnectOptions = {}): Promise<Connection> {
    this.#assertRunning();
    const { keepAliveIntervalS = defaultKeepAliveIntervalS, readOnly = false } = options;
    const connection = new Connection({ uri, readOnly, keepAliveIntervalS, callbacks: this.#callbacks });
    this.#connections.add(connection);
    try {
      await connection.open({ deadlineMs: options.deadlineMs ?? defaultDeadlineMs });
      return connection;
    } catch (error) {
      this.#connections.delete(connection);
      await connection.close();
      throw error;
    }
  }

  /**
   * Resolves when the move is done, rejects with libvirt's error otherwise (OPERATION_ABORTED after
   * Connection.abortJob). It has no deadline and needs this process until its end.
   */
  async migrate(request: MigrateRequest): Promise<void> {
    this.#assertRunning();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const uris = [request.sourceUri, request.destinationUri];
    const worker: MigrationThread = new WorkerThread(migrationEntry, { request }, uris, {
      message: (message) => {
        if (message.kind === 'done') {
          resolve();
        } else if (message.kind === 'failed') {
          reject(new LibvirtError(message.error));
        }
      },
      exit: (error) => {
        this.#migrations.delete(worker);
        reject(ownError('unavailable', `the migration's worker ended: ${error?.message ?? 'without a word'}`));
      },
    });
    this.#migrations.add(worker);
    await promise;
  }

  /** Closes everything; a migration under way fails as if this process had died. */
  async stop(): Promise<void> {
    if (this.#isStopped) {
      return;
    }
    this.#isStopped = true;
    await Promise.all([
      ...[...this.#connections].map((connection) => connection.close()),
      ...[...this.#migrations].map((worker) => worker.interrupt()),
    ]);
    stopEventLoop();
  }

  #assertRunning(): void {
    if (this.#isStopped) {
      throw ownError('closed', 'libvirt was stopped');
    }
  }
}
