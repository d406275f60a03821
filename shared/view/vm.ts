import type { Move } from '../model/move.ts';
import type { Level, Place, Vm, VmState } from '../model/vm.ts';
import { moveLine } from './move.ts';
import { count, formatBytes, formatSince } from './units.ts';

interface VmView {
  readonly name: string;
  /** "here", "at tower for 12 min". */
  readonly place: string;
  /** "running", "moving: copying memory, 62 %, …". */
  readonly now: string;
  /** "2 vCPUs, 1.0 GiB". */
  readonly size: string;
  /** "busy 1.8 of 2 vCPUs"; absent while it does not run or nothing was measured. */
  readonly load: string | undefined;
  /** Whether Homeward acts by itself: "by hand", "suggests", "automatic". */
  readonly level: string;
  /** "ready", or what keeps it from moving smoothly. */
  readonly readiness: string;
}

export function stateWords(state: VmState): string {
  switch (state) {
    case 'running':
      return 'running';
    case 'paused':
      return 'paused';
    case 'shutoff':
      return 'off';
    case 'crashed':
      return 'crashed';
    case 'unknown':
      return 'not known';
  }
}

export function levelWords(level: Level): string {
  switch (level) {
    case 'off':
      return 'by hand';
    case 'suggest':
      return 'suggests';
    case 'automatic':
      return 'automatic';
  }
}

export function placeWords(place: Place): string {
  return place.kind === 'home' ? 'here' : `at ${place.hostName}`;
}

/** @param moves Moves under way; the VM's own is looked for among them. */
export function vmView(vm: Vm, moves: readonly Move[], nowMs: number): VmView {
  const move = moves.find((candidate) => candidate.vm === vm.uuid);
  return {
    name: vm.name,
    place:
      vm.place.kind === 'home'
        ? placeWords(vm.place)
        : `${placeWords(vm.place)} for ${formatSince(vm.place.since, nowMs)}`,
    now: move === undefined ? nowWords(vm) : moveLine(move),
    size: `${count(vm.vcpus, 'vCPU')}, ${formatBytes(vm.memoryBytes)}`,
    load:
      vm.sample === undefined || vm.state !== 'running'
        ? undefined
        : `busy ${vm.sample.busyVcpus.toFixed(1)} of ${count(vm.sample.vcpus, 'vCPU')}`,
    level: levelWords(vm.level),
    readiness: readiness(vm),
  };
}

function nowWords({ state, place }: Vm): string {
  const isWaiting = state === 'paused' && place.kind === 'away' && place.pausedSince !== undefined;
  return isWaiting ? 'paused by Homeward' : stateWords(state);
}

function readiness(vm: Vm): string {
  if (!vm.adopted) return `not adopted (homeward adopt ${vm.name})`;
  return vm.obstacles.length === 0 ? 'ready' : vm.obstacles.join('; ');
}

/** The VM in one line: what it is called, where it is, what happens with it now. */
export function vmLine(vm: Vm, moves: readonly Move[], nowMs: number): string {
  const view = vmView(vm, moves, nowMs);
  if (moves.some((move) => move.vm === vm.uuid)) return view.now;
  return [`${view.name}: ${view.now} ${view.place}`, view.load].filter((part) => part !== undefined).join(', ');
}
