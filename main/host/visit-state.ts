/** What is seen in a visit, as the state its laptop is told. Pure. */
import type { VisitEndReason } from '../../shared/model/visit-end.ts';
import type { VisitInfo } from '../../shared/wire.ts';

export type VisitState = VisitInfo['state'];

/** The visitor's domain as its libvirtd shows it: virDomainState and its reason. */
export interface DomainSight {
  readonly running: boolean;
  /** Paused because memory is still coming in, or because it is only being prepared. */
  readonly incoming: boolean;
}

/**
 * `empty` and `incoming` come and go with attempts to move in; a domain that was really there and is not any more is
 * `gone`, whether it moved home or was shut down.
 */
export function nextVisitState(before: VisitState, seen: DomainSight | undefined): VisitState {
  if (before === 'gone') return 'gone';
  const wasThere = before === 'running' || before === 'paused';
  if (seen === undefined) return wasThere ? 'gone' : 'empty';
  if (seen.running) return 'running';
  return seen.incoming && !wasThere ? 'incoming' : 'paused';
}

/** virDomainEventStoppedDetailType as the reason a laptop is told; undefined for a VM that moved on. */
export function whyStopped(detail: string): VisitEndReason | undefined {
  switch (detail) {
    case 'migrated':
      return undefined;
    case 'shutdown':
      return 'shutdown';
    case 'destroyed':
      return 'destroyed';
    // A QEMU that went without a word counts as failed.
    case 'crashed':
    case 'failed':
      return 'crashed';
    default:
      return 'unknown';
  }
}
