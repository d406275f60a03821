import type { Host } from '../model/host.ts';
import type { Fingerprint } from '../model/identifiers.ts';
import type { Move } from '../model/move.ts';
import type { Vm } from '../model/vm.ts';
import type { Status } from '../rpc.ts';
import { canRestartHere, isOutOfReach } from './away.ts';

/** What one click does with a VM now. `none`: nothing can be done, and `why` says so. */
export type PrimaryAction =
  | { readonly kind: 'offload'; readonly label: string; readonly host: Fingerprint; readonly hostName: string }
  | {
      readonly kind: 'home' | 'want-home' | 'unwant-home' | 'start-here' | 'cancel' | 'make-ready' | 'find-host';
      readonly label: string;
    }
  | { readonly kind: 'none'; readonly why: string };

/** A host that a VM could be sent to now. */
export interface Target {
  readonly fingerprint: Fingerprint;
  readonly name: string;
}

export function targets(hosts: readonly Host[]): Target[] {
  return hosts.flatMap(({ fingerprint, name, paired, reachable, obstacle }) =>
    fingerprint !== undefined && paired && reachable && obstacle === undefined ? [{ fingerprint, name }] : [],
  );
}

export function primaryAction(vm: Vm, status: Pick<Status, 'moves' | 'hosts' | 'suggestions'>): PrimaryAction {
  const move = status.moves.find((candidate) => candidate.vm === vm.uuid);
  if (move !== undefined) {
    return move.cancellable ? { kind: 'cancel', label: 'Cancel' } : { kind: 'none', why: tooLateWords(move) };
  }
  if (vm.place.kind === 'away') return awayAction(vm, status.hosts);
  if (canRestartHere(vm, status.hosts)) return { kind: 'start-here', label: 'Start here' };
  if (!vm.adopted) return { kind: 'make-ready', label: 'Make ready' };
  if (vm.state !== 'running') return { kind: 'none', why: 'Start the VM to move it.' };
  const target = bestTarget(vm, status);
  if (target !== undefined) {
    return { kind: 'offload', label: `Offload to ${target.name}`, host: target.fingerprint, hostName: target.name };
  }
  return status.hosts.some((host) => host.paired)
    ? { kind: 'none', why: 'No paired host can take it now.' }
    : { kind: 'find-host', label: 'Find a host' };
}

function awayAction(vm: Vm, hosts: readonly Host[]): PrimaryAction {
  if (vm.place.kind === 'away' && vm.place.restarting !== undefined) {
    return { kind: 'none', why: 'It goes on here from its disk as soon as its visitor is cut off.' };
  }
  if (vm.homeWanted !== undefined) return { kind: 'unwant-home', label: 'Let it stay there' };
  if (isOutOfReach(vm, hosts)) return { kind: 'want-home', label: 'Bring home when it can be reached' };
  return { kind: 'home', label: 'Bring home' };
}

/** The suggested host, otherwise the one with most cores to spare. */
function bestTarget(vm: Vm, { hosts, suggestions }: Pick<Status, 'hosts' | 'suggestions'>): Target | undefined {
  const usable = targets(hosts);
  const suggested = suggestions.find(({ vm: uuid, action }) => uuid === vm.uuid && action === 'offload')?.host;
  const spareCores = (fingerprint: Fingerprint): number => {
    const facts = hosts.find((host) => host.fingerprint === fingerprint)?.facts;
    return facts === undefined ? 0 : facts.cores - facts.busyCores;
  };
  return (
    usable.find(({ fingerprint }) => fingerprint === suggested) ??
    usable.toSorted((a, b) => spareCores(b.fingerprint) - spareCores(a.fingerprint))[0]
  );
}

/** Why a move can no longer be cancelled. */
export function tooLateWords(move: Move): string {
  const there = move.direction === 'out' ? `at ${move.hostName}` : 'at home';
  switch (move.phase) {
    case 'paused':
      return `${move.vmName} waits for the link: half of its memory is on each side. It goes on by itself.`;
    case 'postcopy':
    case 'recovering':
      return `${move.vmName} already runs ${there} and is fetching the rest of its memory. It is too late to cancel.`;
    default:
      return `${move.vmName} already runs ${there}. It is too late to cancel.`;
  }
}

/** Whether "Finish now" makes sense: memory is still being copied, and nothing known speaks against post-copy. */
export function canFinishNow(move: Move, hosts: readonly Host[]): boolean {
  if (move.phase !== 'copying' || move.mode !== 'precopy' || move.linkDown === true) return false;
  if (move.direction === 'home') return true;
  return hosts.find((host) => host.fingerprint === move.host)?.facts?.postcopy !== false;
}
