/** What the main thread and a worker say to each other. */
import type { LibvirtErrorReport } from './error.ts';
import type { EventCallbacks } from './event-loop.ts';
import type { MigrateRequest } from './migrate.ts';
import type { OperationName } from './operations.ts';

export interface ConnectionWorkerData {
  readonly uri: string;
  readonly readOnly: boolean;
  /** Seconds between keepalive probes of a remote daemon; 0 for none. */
  readonly keepAliveIntervalS: number;
  /** Opaque value of this worker's event registrations. */
  readonly token: number;
  readonly callbacks: EventCallbacks;
}

export interface MigrationWorkerData {
  readonly request: MigrateRequest;
}

export type ToConnectionWorker =
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly operation: OperationName | 'open' | 'isAlive';
      readonly args: readonly unknown[];
    }
  | { readonly kind: 'close' };

/** Sent by both workers, so that a stuck one's sockets are known. */
export type SocketNotice =
  | { readonly kind: 'opening'; readonly before: readonly string[] }
  | { readonly kind: 'opened'; readonly owned: readonly string[] };

export type FromConnectionWorker =
  | SocketNotice
  /** The daemon is found gone; a new connection stands, events included. */
  | { readonly kind: 'lost' | 'connected' }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: LibvirtErrorReport };

export type FromMigrationWorker =
  | SocketNotice
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly error: LibvirtErrorReport };
