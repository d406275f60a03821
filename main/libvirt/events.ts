/** What a connection tells without being asked: virConnectDomainEventID and the fate of the connection itself. */
import type { JobStats } from './job.ts';

const lifecycle = {
  defined: ['added', 'updated', 'renamed', 'from-snapshot'],
  undefined: ['removed', 'renamed'],
  started: ['booted', 'migrated', 'restored', 'from-snapshot', 'wakeup'],
  suspended: [
    'paused',
    'migrated',
    'ioerror',
    'watchdog',
    'restored',
    'from-snapshot',
    'api-error',
    'postcopy',
    'postcopy-failed',
  ],
  resumed: ['unpaused', 'migrated', 'from-snapshot', 'postcopy', 'postcopy-failed'],
  stopped: ['shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from-snapshot'],
  shutdown: ['finished', 'guest', 'host'],
  pmsuspended: ['memory', 'disk'],
  crashed: ['panicked', 'crashloaded'],
} as const;

/** virDomainEventType. */
export type LifecycleEventName = keyof typeof lifecycle;
/** virDomainEvent*DetailType. */
export type LifecycleDetail = (typeof lifecycle)[LifecycleEventName][number] | 'unknown';

/** virDomainEventIOErrorAction. */
export type IoErrorAction = 'none' | 'pause' | 'report';

export type LibvirtEvent =
  | {
      readonly kind: 'lifecycle';
      readonly uuid: string;
      readonly name: string;
      readonly event: LifecycleEventName;
      readonly detail: LifecycleDetail;
    }
  /** Not sent for an aborted job: there the call that ran it fails with OPERATION_ABORTED. */
  | { readonly kind: 'jobCompleted'; readonly uuid: string; readonly stats: JobStats }
  | { readonly kind: 'migrationIteration'; readonly uuid: string; readonly iteration: number }
  | { readonly kind: 'balloonChange'; readonly uuid: string; readonly actualBytes: number }
  | {
      readonly kind: 'ioError';
      readonly uuid: string;
      readonly path: string;
      readonly deviceAlias: string;
      readonly action: IoErrorAction;
      /** E.g. `enospc`; empty where QEMU gives none. */
      readonly reason: string;
    }
  /** Between `lost` and `restored` events may have been missed: ask for the state again. */
  | { readonly kind: 'connection'; readonly state: 'lost' | 'restored' };

export type LibvirtEventListener = (event: LibvirtEvent) => void;

const lifecycleNames = Object.keys(lifecycle) as readonly LifecycleEventName[];

/** Undefined for an event type that a newer libvirt invented. */
export function lifecycleEvent(
  event: number,
  detail: number,
): { readonly event: LifecycleEventName; readonly detail: LifecycleDetail } | undefined {
  const name = lifecycleNames[event];
  return name === undefined ? undefined : { event: name, detail: lifecycle[name][detail] ?? 'unknown' };
}

export function ioErrorAction(action: number): IoErrorAction {
  return (['none', 'pause', 'report'] as const)[action] ?? 'none';
}
