/** virDomainState and its reasons by name. */

const reasons = {
  nostate: ['nostate-unknown'],
  running: [
    'running-unknown',
    'running-booted',
    'running-migrated',
    'running-restored',
    'running-from-snapshot',
    'running-unpaused',
    'running-migration-canceled',
    'running-save-canceled',
    'running-wakeup',
    'running-crashed',
    'running-postcopy',
    'running-postcopy-failed',
  ],
  blocked: ['blocked-unknown'],
  paused: [
    'paused-unknown',
    'paused-user',
    'paused-migration',
    'paused-save',
    'paused-dump',
    'paused-ioerror',
    'paused-watchdog',
    'paused-from-snapshot',
    'paused-shutting-down',
    'paused-snapshot',
    'paused-crashed',
    'paused-starting-up',
    'paused-postcopy',
    'paused-postcopy-failed',
  ],
  shutdown: ['shutdown-unknown', 'shutdown-user'],
  shutoff: [
    'shutoff-unknown',
    'shutoff-shutdown',
    'shutoff-destroyed',
    'shutoff-crashed',
    'shutoff-migrated',
    'shutoff-saved',
    'shutoff-failed',
    'shutoff-from-snapshot',
    'shutoff-daemon',
  ],
  crashed: ['crashed-unknown', 'crashed-panicked'],
  pmsuspended: ['pmsuspended-unknown'],
} as const;

/** virDomainState. */
export type DomainStateName = keyof typeof reasons;
/** virDomain*Reason, prefixed with the state it belongs to. */
export type DomainReason = (typeof reasons)[DomainStateName][number];

export interface DomainState {
  readonly state: DomainStateName;
  readonly reason: DomainReason;
}

const stateNames = Object.keys(reasons) as readonly DomainStateName[];

/** Numbers a newer libvirt invented read as `nostate`, or as the state's `unknown` reason. */
export function domainState(state: number, reason: number): DomainState {
  const name = stateNames[state] ?? 'nostate';
  return { state: name, reason: reasons[name][reason] ?? reasons[name][0] };
}
