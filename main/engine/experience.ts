import type { Benchmark, Host } from '../../shared/model/host.ts';
import type { Direction, Move } from '../../shared/model/move.ts';
import type { Sample, Vm } from '../../shared/model/vm.ts';
import { type Activity, afterMove, watch } from '../../shared/policy/activity.ts';
import type { HomeLoad, HostCandidate } from '../../shared/policy/index.ts';
import {
  correctionOf,
  isMistake,
  isReversal,
  type Learned,
  learnedFrom,
  learnedMove,
  learnedNever,
  learnedReaction,
  learnedWayShare,
} from '../../shared/policy/learned.ts';
import { predictMove } from '../../shared/policy/move-cost.ts';
import { paceOfWork, seenWayShare } from '../../shared/policy/pace.ts';
import { hasRoom } from '../../shared/policy/score.ts';
import { type BreakRecord, breaksOf, followBreaks } from '../../shared/policy/steadiness.ts';
import { wasCancelled } from '../../shared/view/index.ts';
import type { Lessons } from './lessons.ts';

/** A longer time without the host is no break of its link: somebody has left. */
const longestLinkBreakS = 600;
const longestTakeoverS = 7_200;
/** What is usual at a host, over some minutes. */
const usualTauMs = 600_000;

interface HostRecord {
  readonly link: BreakRecord;
  /** By VM: what is room for one is none for another. */
  readonly rooms: ReadonlyMap<string, BreakRecord>;
  readonly busyCores?: number | undefined;
}

interface Expected {
  readonly id: string;
  readonly lastsS: number;
}

/** Follows VMs and hosts from tick to tick, and learns from what becomes of moves and suggestions. */
export class Experience {
  readonly #lessons: Pick<Lessons, 'of' | 'put'>;
  readonly #activities = new Map<string, Activity>();
  /** The host each was at when last followed. */
  readonly #places = new Map<string, string | undefined>();
  readonly #hosts = new Map<string, HostRecord>();
  /** What moves under way were expected to take, by VM. */
  readonly #expected = new Map<string, Expected>();
  /** When the policy last moved a VM out, on the clock. */
  readonly #sentOut = new Map<string, number>();

  constructor(lessons: Pick<Lessons, 'of' | 'put'>) {
    this.#lessons = lessons;
  }

  learned(vm: string): Learned {
    return this.#lessons.of(vm);
  }

  /** With all samples since the last look. */
  followVm(vm: Vm, samples: readonly Sample[], home: HomeLoad, hosts: readonly HostCandidate[]): Activity | undefined {
    const now = vm.place.kind === 'away' ? vm.place.host : undefined;
    const known = this.#activities.get(vm.uuid);
    const hasMoved = known !== undefined && this.#places.get(vm.uuid) !== now;
    // Nobody looked while it was on its way, so all that has come in since is of where it was.
    const at = hasMoved ? this.#places.get(vm.uuid) : now;
    this.#places.set(vm.uuid, now);
    const paceOf = (run: Activity['run']): number | undefined => run && paceOfWork(run, vm.vcpus, home, hosts, at);
    let activity = known;
    for (let index = firstAfter(samples, known?.at); index < samples.length; index += 1) {
      const sample = samples[index];
      if (sample === undefined) continue;
      activity = watch(activity, sample, at === undefined ? undefined : paceOf(activity?.run));
      this.#learnWay(vm.uuid, activity.ended, at, hosts);
      this.#lessons.put(vm.uuid, learnedFrom(this.learned(vm.uuid), activity, paceOf(activity.ended)));
    }
    if (hasMoved && activity !== undefined) {
      this.#learnWay(vm.uuid, activity.run, at, hosts);
      activity = afterMove(activity, at === undefined ? 'home' : 'away');
    }
    if (activity !== undefined) this.#activities.set(vm.uuid, activity);
    return activity;
  }

  /** Whether it was at something when last followed. */
  isWorking(vm: string): boolean {
    return this.#activities.get(vm)?.run !== undefined;
  }

  /** As `vm` sees it. `ownCores`: what this computer's own VMs take of it. `atMs`: a clock that never jumps. */
  followHost(
    host: Host,
    vm: Pick<Vm, 'uuid' | 'vcpus'>,
    ownCores: number,
    atMs: number,
  ): Pick<HostCandidate, 'linkBreaks' | 'othersBusyCores' | 'takeovers' | 'usualBusyCores' | 'wayShare'> {
    if (host.fingerprint === undefined) return {};
    const before = this.#hosts.get(host.fingerprint);
    const { facts } = host;
    const link = followBreaks(before?.link, atMs, host.reachable, longestLinkBreakS);
    const others = facts && { ...facts, busyCores: Math.max(0, facts.busyCores - ownCores) };
    const room =
      others === undefined || !host.reachable
        ? before?.rooms.get(vm.uuid)
        : followBreaks(before?.rooms.get(vm.uuid), atMs, hasRoom(others, vm.vcpus), longestTakeoverS);
    const step = 1 - Math.exp(-Math.max(0, atMs - (before?.link.at ?? atMs)) / usualTauMs);
    const usual = before?.busyCores ?? others?.busyCores;
    const busyCores = usual === undefined || others === undefined ? usual : usual + (others.busyCores - usual) * step;
    const rooms = room === undefined ? [] : [[vm.uuid, room] as const];
    this.#hosts.set(host.fingerprint, { link, rooms: new Map([...(before?.rooms ?? []), ...rooms]), busyCores });
    return {
      linkBreaks: breaksOf(link),
      takeovers: room && breaksOf(room),
      othersBusyCores: others?.busyCores,
      usualBusyCores: busyCores,
      wayShare: this.learned(vm.uuid).hosts[host.fingerprint]?.wayShare,
    };
  }

  /** How fast moves go over the link, of what was measured over it: what earlier moves of this VM say. */
  shareOfLink(vm: Vm, direction: Direction, host: string): number {
    return Math.exp(-(correctionOf(this.learned(vm.uuid), host, direction)?.bias ?? 0));
  }

  /** How long a move is likely to take, in seconds, by what earlier ones of this VM took. */
  expectedMoveS(vm: Vm, direction: Direction, host: string, benchmark: Benchmark | undefined): number {
    return predictMove({
      direction,
      usedMemoryBytes: vm.sample?.usedMemoryBytes ?? vm.memoryBytes,
      linkBytesPerSec: direction === 'out' ? benchmark?.linkOutBytesPerSec : benchmark?.linkHomeBytesPerSec,
      dirtyBytesPerSec: vm.sample?.dirtyBytesPerSec,
      correction: correctionOf(this.learned(vm.uuid), host, direction),
    }).lastsS;
  }

  /** Each state of each move, whoever asked for it. */
  noteMove(move: Move, vm: Vm | undefined, host: Pick<Host, 'benchmark'> | undefined, now: number): void {
    const known = this.learned(move.vm);
    if (move.endedAt === undefined) {
      if (this.#expected.get(move.vm)?.id === move.id) return;
      if (vm !== undefined) {
        const lastsS = this.expectedMoveS(vm, move.direction, move.host, host?.benchmark);
        this.#expected.set(move.vm, { id: move.id, lastsS });
      }
      if (move.askedBy === 'user') this.#noteWord(move, known, now);
      return;
    }
    const expected = this.#expected.get(move.vm);
    this.#expected.delete(move.vm);
    const isOwnOut = move.direction === 'out' && move.askedBy === 'policy';
    if (isOwnOut && wasCancelled(move)) this.noteNotNow(move.vm, move.host, now, false);
    if (move.phase !== 'done') return;
    if (isOwnOut) this.#sentOut.set(move.vm, now);
    if (expected?.id !== move.id) return;
    const tookS = (Date.parse(move.endedAt) - Date.parse(move.startedAt)) / 1_000;
    this.#lessons.put(move.vm, learnedMove(this.learned(move.vm), move.host, move.direction, expected.lastsS, tookS));
  }

  /** The policy brings home what it moved out; where that tells of a mistake, it learns from it. */
  noteHome({ uuid, place }: Vm, now: number): void {
    if (place.kind !== 'away' || !isMistake(this.#activities.get(uuid), Date.parse(place.since), now)) return;
    this.#reversed(uuid, place.host, now);
  }

  noteNotNow(vm: string, host: string, now: number, isForEver: boolean): void {
    const put = learnedReaction(this.learned(vm), host, 'not-now', now);
    this.#lessons.put(vm, isForEver ? learnedNever(put, host, true) : put);
  }

  /** What the way to the disk cost a run that was away. */
  #learnWay(vm: string, run: Activity['run'], at: string | undefined, hosts: readonly HostCandidate[]): void {
    const host = at === undefined ? undefined : hosts.find(({ fingerprint }) => fingerprint === at);
    const seen = run && host && seenWayShare(run, host);
    if (host && seen !== undefined) this.#lessons.put(vm, learnedWayShare(this.learned(vm), host.fingerprint, seen));
  }

  #reversed(vm: string, host: string, now: number): void {
    this.#lessons.put(vm, learnedReaction(this.learned(vm), host, 'reversed', now));
  }

  #noteWord({ vm, host, direction }: Move, known: Learned, now: number): void {
    if (direction === 'out') {
      this.#lessons.put(vm, learnedNever(learnedReaction(known, host, 'accepted', now), host, false));
    } else if (isReversal(this.#activities.get(vm), this.#sentOut.get(vm) ?? 0, now)) {
      this.#reversed(vm, host, now);
    }
  }
}

function firstAfter(samples: readonly Sample[], at: number | undefined): number {
  if (at === undefined) return 0;
  let index = samples.length;
  while (index > 0 && (samples[index - 1]?.at ?? 0) > at) index -= 1;
  return index;
}
