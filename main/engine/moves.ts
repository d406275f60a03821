import { randomBytes } from 'node:crypto';
import { HomewardError } from '../../shared/errors.ts';
import { isOver } from '../../shared/machine/move-machine.ts';
import type { Direction, Move } from '../../shared/model/move.ts';
import type { VisitEnd } from '../../shared/model/visit-end.ts';
import type { Place, Vm } from '../../shared/model/vm.ts';
import type { Hurry } from '../../shared/plan/plan-watch.ts';
import type { Plan } from '../../shared/rpc.ts';
import type { HostLink } from '../link/index.ts';
import { hasBalloon, steadyStats } from '../memory/index.ts';
import {
  type LocalVm,
  MoveEffects,
  type MoveEffectsOptions,
  MoveRun,
  type MoveSink,
  needNoneHere,
  needWhole,
  parseMoveData,
  type VisitRecord,
} from '../migrate/index.ts';
import { bootId } from '../process/index.ts';
import { endedUnknown, takeBack } from './ended-visit.ts';
import type { Fleet } from './fleet.ts';
import { goOn } from './go-on.ts';
import type { Hosts, KnownHost } from './hosts.ts';
import { InheritedMoves } from './inherited-moves.ts';
import type { Journal } from './journal.ts';
import type { Planner } from './planner.ts';
import { visitDamaged, visitRecordOf } from './visit-record.ts';
import type { Visits } from './visits.ts';

export interface MovesOptions {
  readonly journal: Journal;
  readonly fleet: Pick<Fleet, 'follow' | 'local' | 'need' | 'needReady' | 'putBack' | 'settled'>;
  readonly hosts: Pick<Hosts, 'linkTo' | 'need' | 'usable'>;
  readonly visits: Pick<Visits, 'connection' | 'end' | 'open'>;
  readonly planner: Pick<Planner, 'plan'>;
  /** Whether memory that a guest does not use may be taken before it comes home. */
  readonly mayShrink: () => boolean;
  readonly onChange: (move: Move) => void;
  /** A guest at home was asked to take back memory until it has this much. */
  readonly onBalloonGiven: (vm: string, bytes: number) => void;
  /** A move is over, whatever came of it. */
  readonly onEnded: (host: KnownHost) => void;
  readonly onFault: (what: string, thrown: unknown) => void;
}

export interface Asked {
  readonly by: Move['askedBy'];
  readonly reason: string;
  /** From now; a VM that is not home by then, or cannot be, stays where it is. */
  readonly deadlineMs?: number | undefined;
  /** Where signs of departure are the reason: what they allow, which may change (`Moves.hurry`). */
  readonly hurry?: Hurry | undefined;
}

/** What a move goes by. */
type Terms = Pick<MoveEffectsOptions, 'deadlineMs' | 'guestBytesPerSec' | 'hurry' | 'postcopyObstacle'>;

/** A move that is taken up copies nothing anew. */
const takenUp: Terms = {
  postcopyObstacle: undefined,
  guestBytesPerSec: undefined,
  deadlineMs: undefined,
  hurry: undefined,
};

/** Every move under way: begun, watched, cancelled, and after a crash taken up again. */
export class Moves {
  readonly #options: MovesOptions;
  /** By VM: a VM makes one move at a time. */
  readonly #runs = new Map<string, MoveRun>();
  readonly #starting = new Set<string>();
  readonly #inherited: InheritedMoves;

  constructor(options: MovesOptions) {
    this.#options = options;
    const { journal, onFault } = options;
    this.#inherited = new InheritedMoves({ journal, onFault, takeUp: (move, stored) => this.#takeUp(move, stored) });
  }

  /** Moves not yet over. */
  underWay(): readonly Move[] {
    const running = [...this.#runs.values()].map((run) => run.move).filter((move) => !isOver(move.phase));
    return [...this.#inherited.list(), ...running];
  }

  isMoving(vm: string): boolean {
    return this.#starting.has(vm) || this.#inherited.has(vm) || this.#current(vm) !== undefined;
  }

  /** False for a move that an earlier engine left and this one could not go on with yet. */
  isTakenUp(vm: string): boolean {
    return !this.#inherited.has(vm);
  }

  /** @throws HomewardError `vm-busy`, `vm-away`, `not-ready`, `unknown-host`, `incompatible` …: nothing has happened then. */
  offload(vm: Vm, hostKey: string | undefined, asked: Asked): Promise<Move> {
    return this.exclusively(vm, async () => {
      if (vm.place.kind === 'away') {
        throw new HomewardError('vm-away', `${vm.name} is already away, on ${vm.place.hostName}.`, {
          hint: `Bring it home first: homeward home ${vm.name}`,
        });
      }
      this.#options.fleet.needReady(vm);
      const host = this.#options.hosts.usable(hostKey);
      const plan = await this.#possible(vm, 'out', host);
      const local = await this.#options.fleet.local(vm);
      await needWhole(local.connection, vm);
      const homeXml = await local.connection.domainXml(vm.uuid, { migratable: true });
      const record: VisitRecord = {
        visit: randomBytes(16).toString('hex'),
        migrationFolder: `/tmp/homeward-${randomBytes(8).toString('hex')}`,
        homeXml,
        ...(hasBalloon(homeXml)
          ? { balloonBytes: (await steadyStats(local.connection, vm.uuid, vm.memoryBytes)).currentBytes }
          : {}),
      };
      return this.#run(vm, 'out', host, record, local, plan, asked);
    });
  }

  /** @throws HomewardError `vm-home`, `vm-busy`, `host-unreachable`: nothing has happened then; `vm-not-running` */
  home(vm: Vm, asked: Asked): Promise<Move> {
    const askedMs = performance.now();
    return this.exclusively(vm, async () => {
      if (vm.place.kind === 'home') {
        throw new HomewardError('vm-home', `${vm.name} is already at home.`, {
          hint: `To move it out: homeward offload ${vm.name}`,
        });
      }
      const host = this.#options.hosts.usable(vm.place.host);
      needSameName(vm);
      const end = await endOf(host.link, vm.place.visit);
      if (end?.why === 'forgotten' && asked.by !== 'user') {
        throw new HomewardError('refused', `${vm.place.hostName} answers and knows nothing of ${vm.name}.`, {
          hint: `Go on from its disk, when you are sure: homeward restart-here ${vm.name}`,
        });
      }
      if (end !== undefined) {
        await takeBack(this.#options, vm, vm.place, end, host.link);
        throw new HomewardError('vm-not-running', `${vm.name} ended while it was away; its disk is back home.`, {
          hint: `Start it here: homeward restart-here ${vm.name}`,
        });
      }
      const local = await this.#options.fleet.local(vm);
      await needNoneHere(local);
      await this.#options.fleet.putBack(vm);
      const place = this.#options.journal.place(vm.uuid)?.place;
      const record = visitRecordOf(this.#options.journal, vm);
      // It may be shut still, where this engine could not open it when it started.
      const visitLink = await this.#options.visits.open(record, local, host.link);
      // Paused while this computer was away, it would be so at home.
      if (place?.kind === 'away' && place.pausedSince !== undefined) await goOn(this.#options, vm.uuid, place);
      await needWhole(await visitLink.connection(), vm);
      const plan = await this.#possible(vm, 'home', host);
      const { deadlineMs, hurry } = asked;
      const left = (ms: number): number => Math.max(0, ms - (performance.now() - askedMs));
      return this.#run(vm, 'home', host, record, local, plan, {
        ...asked,
        deadlineMs: deadlineMs === undefined ? undefined : left(deadlineMs),
        hurry: hurry && { ...hurry, deadlineMs: left(hurry.deadlineMs) },
      });
    });
  }

  /**
   * Does something with a VM during which it can neither be moved nor anything else of this kind be done with it.
   * @throws HomewardError `vm-busy` where it is being moved; what `act` throws
   */
  async exclusively<T>(vm: Pick<Vm, 'name' | 'uuid'>, act: () => Promise<T>): Promise<T> {
    this.#inherited.needNone(vm);
    if (this.isMoving(vm.uuid)) {
      throw new HomewardError('vm-busy', `${vm.name} is already being moved.`, {
        hint: `See it with: homeward status; or stop it with: homeward cancel ${vm.name}`,
      });
    }
    this.#starting.add(vm.uuid);
    try {
      return await act();
    } finally {
      this.#starting.delete(vm.uuid);
    }
  }

  /** The move in its end state. @throws HomewardError `bad-input` */
  async wait(id: string): Promise<Move> {
    for (const run of this.#runs.values()) if (run.move.id === id) return run.ended;
    await this.#inherited.takenUp(id);
    for (const run of this.#runs.values()) if (run.move.id === id) return run.ended;
    const known = this.#options.journal.move(id);
    if (known === undefined)
      throw new HomewardError('bad-input', 'There is no such move.', { hint: 'See past moves with: homeward log' });
    return known.move;
  }

  /**
   * Tells a move under way, whoever began it, what the signs of departure allow it from now on; undefined where they are gone.
   * Whether it is that by which it has to be over, and no earlier deadline that was asked for.
   */
  hurry(vm: string, hurry: Hurry | undefined): boolean {
    return this.#current(vm)?.hurry(hurry) === true;
  }

  /** @param reason a clause for people, where not the user asked */
  cancel(vm: Vm, reason?: string): Move {
    const run = this.#need(vm);
    run.cancel(reason);
    return run.move;
  }

  /**
   * Ends a move that waits for a host which is lost for good: nothing of the VM's memory is whole. Resolves when what home
   * had of it is gone and its disk is home; at once where the VM does not move.
   * @throws HomewardError `vm-busy` where the host answers, the move ends without it, or it was not taken up yet
   */
  async giveUp(vm: Vm): Promise<void> {
    this.#inherited.needNone(vm);
    const run = this.#current(vm.uuid);
    if (run === undefined) return;
    if (this.#options.hosts.linkTo(run.move.host)?.state === 'up') {
      throw new HomewardError('vm-busy', `${vm.name} is being moved, and ${run.move.hostName} can be reached.`, {
        hint: 'Let it finish; see: homeward status',
      });
    }
    run.giveUp();
    await run.ended;
  }

  finishNow(vm: Vm): Move {
    const run = this.#need(vm);
    run.finishNow();
    return run.move;
  }

  /** Finishes the moves that another engine left unfinished (I3). */
  recover(): void {
    this.#inherited.recover();
  }

  async #takeUp(move: Move, stored: unknown): Promise<MoveRun> {
    const data = parseMoveData(stored);
    if (data === undefined) {
      throw new HomewardError('damaged-file', `What was written of ${move.vmName}'s last move cannot be read.`, {
        hint: visitDamaged,
      });
    }
    const { fleet, hosts } = this.#options;
    const host = hosts.need(move.host);
    const local = await fleet.local(await fleet.settled(move.vm));
    const run = await this.#build(move, data, local, host, takenUp);
    this.#watch(run, host);
    if (this.#options.journal.place(move.vm)?.place.kind === 'away')
      await this.#follow(move.vm, data.record, local, host);
    return run;
  }

  /** What the VM does is seen where it is. */
  async #follow(vm: string, record: VisitRecord, local: LocalVm, host: KnownHost): Promise<void> {
    const visitLink = await this.#options.visits.open(record, local, host.link);
    this.#options.fleet.follow(vm, () => visitLink.connection());
  }

  async #run(
    vm: Vm,
    direction: Direction,
    host: KnownHost,
    record: VisitRecord,
    local: LocalVm,
    plan: Plan,
    asked: Asked,
  ): Promise<Move> {
    const dueMs = asked.deadlineMs ?? asked.hurry?.deadlineMs;
    const move: Move = {
      id: randomBytes(16).toString('hex'),
      vm: vm.uuid,
      vmName: vm.name,
      direction,
      host: host.fingerprint,
      hostName: host.name,
      phase: 'planned',
      startedAt: new Date().toISOString(),
      reason: asked.reason,
      askedBy: asked.by,
      cancellable: true,
      mode: 'precopy',
      phases: [],
      ...(dueMs === undefined ? {} : { deadlineAt: new Date(Date.now() + dueMs).toISOString() }),
    };
    const { sample } = vm;
    const terms = {
      postcopyObstacle: plan.postcopyObstacle,
      guestBytesPerSec: sample === undefined ? undefined : sample.diskBytesPerSec + sample.netBytesPerSec,
      deadlineMs: asked.deadlineMs,
      hurry: asked.hurry,
    };
    const run = await this.#build(move, { record, bootId: await bootId() }, local, host, terms);
    try {
      await run.begin();
    } catch (thrown) {
      // Nothing has begun, and nothing of it may stay.
      this.#runs.delete(vm.uuid);
      if (direction === 'out') await this.#options.visits.end(record.visit);
      throw thrown;
    }
    this.#watch(run, host);
    return run.move;
  }

  async #build(
    move: Move,
    data: ConstructorParameters<typeof MoveRun>[1],
    local: LocalVm,
    host: KnownHost,
    terms: Terms,
  ): Promise<MoveRun> {
    const { visits } = this.#options;
    const visitLink = await visits.open(data.record, local, host.link);
    if (data.socketName !== undefined) await visitLink.carryOn(data.socketName, move.direction);
    const effects = new MoveEffects({
      link: host.link,
      linkStableMs: () => host.stableMs(),
      vm: local,
      visitLink,
      direction: move.direction,
      mayShrink: this.#options.mayShrink,
      ...terms,
      recordPlace: (run) => this.#recordPlace(run),
      balloonGiven: (bytes) => this.#options.onBalloonGiven(move.vm, bytes),
      visitEnded: (visit) => visits.end(visit),
    });
    const run = new MoveRun(move, data, effects, this.#sink());
    this.#runs.set(move.vm, run);
    return run;
  }

  #watch(run: MoveRun, host: KnownHost): void {
    run.noteLink(host.link.state === 'up');
    const stopHearing = host.link.onState((state) => run.noteLink(state === 'up'));
    void run.ended.then(() => {
      stopHearing();
      this.#options.onEnded(host);
    });
  }

  async #recordPlace(run: MoveRun): Promise<void> {
    const { journal, fleet } = this.#options;
    const { move, state, data } = run;
    if (move.direction === 'out' && state.outcome !== 'lost') {
      const place: Place = {
        kind: 'away',
        host: move.host,
        hostName: move.hostName,
        visit: data.record.visit,
        since: new Date().toISOString(),
      };
      await journal.append({ kind: 'place', vm: move.vm, place, data: { ...data.record } });
      const local = await fleet.local(fleet.need(move.vm));
      await this.#follow(move.vm, data.record, local, this.#options.hosts.need(move.host));
    } else {
      const ended = { why: 'lost-moving', at: new Date().toISOString(), hostName: move.hostName } as const;
      const place: Place = { kind: 'home', ...(state.outcome === 'lost' ? { ended } : {}) };
      await journal.append({ kind: 'place', vm: move.vm, place, data: null });
      fleet.follow(move.vm, undefined);
    }
  }

  #sink(): MoveSink {
    const { journal, onChange, onFault } = this.#options;
    return {
      journal: (move, data) =>
        journal.append({ kind: 'move', move, data: data === null ? null : JSON.parse(JSON.stringify(data)) }),
      changed: onChange,
      failed: (step, thrown) => onFault(`a move, ${step}`, thrown),
    };
  }

  async #possible(vm: Vm, direction: Direction, host: KnownHost): Promise<Plan> {
    const { plan, refusal } = await this.#options.planner.plan(vm, direction, host);
    if (refusal !== undefined) throw refusal;
    if (!plan.possible) {
      throw new HomewardError('incompatible', plan.obstacles.join(' '), {
        hint: `See all of it with: homeward ${direction === 'out' ? 'offload' : 'home'} ${vm.name} --dry-run`,
      });
    }
    return plan;
  }

  #current(vm: string): MoveRun | undefined {
    const run = this.#runs.get(vm);
    return run === undefined || isOver(run.move.phase) ? undefined : run;
  }

  #need(vm: Vm): MoveRun {
    this.#inherited.needNone(vm);
    const run = this.#current(vm.uuid);
    if (run === undefined) {
      throw new HomewardError('bad-input', `${vm.name} is not being moved.`, {
        hint: 'See what is going on with: homeward status',
      });
    }
    return run;
  }
}

/** As the move machine sees it: the sandbox is the visitor, so without it there is no copy at the host. */
async function endOf(link: HostLink, visit: string): Promise<VisitEnd | undefined> {
  const there = (await link.call('visit.list', {})).visits.find((listed) => listed.visit === visit);
  if (there === undefined) return { ...endedUnknown(), why: 'forgotten' };
  return there.state === 'gone' ? (there.end ?? endedUnknown()) : undefined;
}

/** libvirt takes a VM in under no other name than the one its UUID has there. */
function needSameName({ name, awayTroubles }: Vm): void {
  if (awayTroubles?.includes('renamed') !== true) return;
  throw new HomewardError('incompatible', `${name} was renamed here while it was away.`, {
    hint: 'Give it back the name it left with (virsh domrename), bring it home, then rename it.',
  });
}
