/** What is seen of a VM from outside and what its engine says, as an end, or as none yet. Pure. */
import type { Phase } from '../../../shared/model/move.ts';
import type { GoodEnd } from './ends.ts';

export interface Sight {
  /** Undefined where the engine does not answer or does not list the VM. */
  readonly engine:
    | {
        readonly place: 'home' | 'away';
        readonly state: string;
        readonly moves: readonly { readonly phase: Phase; readonly linkDown: boolean }[];
        readonly hostReachable: boolean;
      }
    | undefined;
  /** Where libvirt says that it runs: each host once for each copy. */
  readonly running: readonly ('home' | 'away')[];
  /** Its visits, as the host's engine calls their state; undefined where that does not answer. */
  readonly visits: readonly string[] | undefined;
  /** Where the last beat came from, unless that was too long ago. */
  readonly heard: 'home' | 'away' | undefined;
}

export function endOf({ engine, running, heard }: Sight): GoodEnd | undefined {
  if (engine === undefined || running.length > 1) return undefined;
  if (engine.moves.length > 0) return engine.moves.every(({ linkDown }) => linkDown) ? 'waiting' : undefined;
  const [where] = running;
  if (engine.place === 'away' && !engine.hostReachable) return 'waiting';
  if (where !== undefined) {
    const agreed = engine.place === where && engine.state === 'running' && heard === where;
    return agreed ? `${where}-running` : undefined;
  }
  if (heard !== undefined) return undefined;
  if (engine.state === 'paused') return 'halted';
  const over = engine.state === 'shutoff' || engine.state === 'crashed';
  return over && engine.place === 'home' ? 'ended' : undefined;
}
