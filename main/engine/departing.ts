import { isUndecided } from '../../shared/machine/move-machine.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import type { DepartingVm } from '../../shared/policy/departure.ts';
import type { PlaceRecord } from './journal.ts';

interface Seen {
  readonly vms: readonly Vm[];
  readonly places: readonly PlaceRecord[];
  readonly underWay: readonly Move[];
  /** Whether the host answers. */
  readonly isReachable: (host: string) => boolean;
  /** Those that are given up for now: paused, or out of reach of a pause. */
  readonly paused: ReadonlyMap<string, unknown>;
  /** Those that are paused, if they are, for want of time; one that a person gave too little waits for that person. */
  readonly hurried: ReadonlySet<string>;
  readonly vetoed: ReadonlyMap<string, readonly string[]>;
  /** Bringing it home is being begun; no move is to be seen yet. */
  readonly isBeginning: (vm: string) => boolean;
  /** How often that was tried since the departure began. */
  readonly tries: ReadonlyMap<string, number>;
  /** An earlier engine's move that is not taken up yet may never be. */
  readonly isTakenUp: (vm: string) => boolean;
}

/** What a departure is about: VMs that are away, or on their way. */
export function departing(seen: Seen): DepartingVm[] {
  const { vms, places, underWay, isReachable, paused, hurried, vetoed, isBeginning, tries, isTakenUp } = seen;
  const common = (uuid: string, host: string) => {
    const vm = vms.find((known) => known.uuid === uuid);
    const pausedThere = isPausedThere(places, uuid);
    return {
      uuid,
      host,
      reachable: isReachable(host),
      paused: paused.has(uuid) || (hurried.has(uuid) && pausedThere),
      pausedThere,
      onlyMust: vm?.level === 'off',
      vetoed: vetoed.get(uuid) ?? [],
      // One that is not seen yet cannot be moved yet: it keeps no other waiting.
      bytes: vm?.sample?.usedMemoryBytes ?? vm?.memoryBytes ?? Number.POSITIVE_INFINITY,
      tries: tries.get(uuid) ?? 0,
    };
  };
  const moving = underWay.map(
    ({ vm, vmName, direction, host, phase, cancellable }): DepartingVm => ({
      ...common(vm, host),
      name: vmName,
      where: direction === 'out' ? 'leaving' : 'returning',
      // One that is paused waits for the link; one that is decided has crossed.
      isCrossing: direction === 'home' && isUndecided(phase) && phase !== 'paused' && isTakenUp(vm),
      cancellable: cancellable && isTakenUp(vm),
    }),
  );
  const away = places.flatMap(({ vm, place }): DepartingVm[] => {
    if (place.kind !== 'away' || underWay.some((move) => move.vm === vm)) return [];
    const name = vms.find(({ uuid }) => uuid === vm)?.name ?? 'A VM';
    const isCrossing = isBeginning(vm);
    const where = isCrossing ? 'returning' : 'away';
    return [{ ...common(vm, place.host), name, where, isCrossing, cancellable: false }];
  });
  return [...moving, ...away];
}

/** Homeward paused it at its host, and it has not gone on. */
export function isPausedThere(places: readonly PlaceRecord[], uuid: string): boolean {
  return places.some(({ vm, place }) => vm === uuid && place.kind === 'away' && place.pausedSince !== undefined);
}
