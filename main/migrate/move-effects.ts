import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MoveEvent } from '../../shared/machine/move-machine.ts';
import type { Direction } from '../../shared/model/move.ts';
import { type BalloonStats, usedBytes } from '../../shared/plan/balloon.ts';
import { type MovePlan, outOfTime, planned } from '../../shared/plan/homecoming.ts';
import { type Hurry, PlanWatch } from '../../shared/plan/plan-watch.ts';
import type { VisitPaths, VisitRequest } from '../../shared/wire.ts';
import { type Connection, type MigrateFlag, placeDomain, readDomain } from '../libvirt/index.ts';
import type { HostLink } from '../link/index.ts';
import { deflatesAtNeed, hasBalloon, shrink, steadyStats } from '../memory/index.ts';
import { measureDirtyRate } from '../monitor/index.ts';
import { HomeGate } from './home-gate.ts';
import type { LocalVm } from './local-vm.ts';
import { migrationStatus } from './migration-status.ts';
import type { Effects, MoveRun } from './move-run.ts';
import { needNoneHere } from './none-here.ts';
import { needWhatWasAsked } from './offer.ts';
import { probe } from './probe.ts';
import { follow } from './progress.ts';
import { Settling, type SettlingOptions } from './settling.ts';
import { Whereabouts } from './whereabouts.ts';

export interface MoveEffectsOptions extends SettlingOptions {
  readonly direction: Direction;
  readonly linkStableMs: () => number;
  /** Why the flip is out of the question, from the preflight. */
  readonly postcopyObstacle: string | undefined;
  /** Whether memory that the guest does not use may be taken before it comes home. */
  readonly mayShrink: () => boolean;
  /** The guest's own disk and network when the move was asked for. */
  readonly guestBytesPerSec: number | undefined;
  /** From now; as asked for with the move. */
  readonly deadlineMs: number | undefined;
  /** To begin with; the rest is told by `hurry`. */
  readonly hurry: Hurry | undefined;
}

const prepareTimeoutMs = 60_000;
/** A guest that is shrunk meanwhile has its writing measured before the copy; longer is not worth waiting for. */
const dirtyRatePatienceMs = 1_500;
const lookAgainMs = 400;
/** Until the link has been back for a moment, a new attempt would meet the same break. */
const afterLinkUpMs = 1_000;
const MiB = 1024 * 1024;
/** 1 TiB/s: no link carries more. */
const uncappedMiBps = 1024 * 1024;

/** Does what the move machine asks for, for one VM and one visit. */
export class MoveEffects implements Effects {
  readonly #options: MoveEffectsOptions;
  readonly postcopyObstacle: string | undefined;
  #destinationXml = '';
  #migrationName = '';
  readonly #watch: PlanWatch;
  #plan: MovePlan | undefined;
  #finishNowAsked: () => boolean = () => false;
  #flipAsked = false;
  readonly #gate: HomeGate;
  #isCapped = false;
  readonly #whereabouts: Whereabouts;
  readonly #settling: Settling;

  /** @param patienceMs of `Whereabouts` */
  constructor(options: MoveEffectsOptions, patienceMs?: number) {
    this.#options = options;
    this.postcopyObstacle = options.postcopyObstacle;
    this.#gate = new HomeGate(options.vm);
    this.#whereabouts = new Whereabouts({ ...options, gate: this.#gate }, patienceMs);
    this.#settling = new Settling(options);
    const { direction, deadlineMs, hurry, postcopyObstacle, guestBytesPerSec, linkStableMs } = options;
    this.#watch = new PlanWatch({
      direction,
      postcopyObstacle,
      guestBytesPerSec,
      deadlineAtMs: deadlineMs === undefined ? undefined : performance.now() + deadlineMs,
      linkStableMs,
      finishNowAsked: () => this.#finishNowAsked(),
      nowMs: () => performance.now(),
    });
    this.#watch.hurry(hurry);
  }

  hurry(run: MoveRun, hurry: Hurry | undefined): boolean {
    const counts = this.#watch.hurry(hurry);
    run.noteLeft(this.#watch.leftMs());
    return counts;
  }

  async prepare(run: MoveRun): Promise<void> {
    const { vm, direction } = this.#options;
    this.#gate.watch(run);
    const source = await this.#whereabouts.source(run);
    const measuring = this.#measureDirtyRate(source);
    const { homeXml, balloonBytes } = run.data.record;
    const steady = steadyStats(source, vm.uuid, balloonBytes ?? readDomain(homeXml).currentMemoryBytes);
    const parts = await Promise.allSettled([
      steady.then((stats) => run.note({ memoryBytes: usedBytes(stats) })),
      this.#prepareDestination(run),
      this.#readyMigration(run),
      this.#probeLink(),
    ]);
    // Only now, since settling ends what the others have begun.
    for (const part of parts) if (part.status === 'rejected') throw part.reason;
    const stats = await steady;
    this.#finishNowAsked = () => run.finishNowAsked;
    const plan = this.#planned(run, this.#watch.before(stats, this.#mayTake(run)));
    if (plan.mode === 'safe-end') return run.post({ kind: 'cancel', reason: outOfTime });
    if (direction === 'out') return;
    // The most of it may have gone while it was away, and is given back all the same.
    if (hasBalloon(homeXml)) await run.remember({ balloonBytes: balloonBytes ?? stats.currentBytes });
    if (plan.balloon !== undefined) await this.#shrink(run, source, stats, plan.balloon.targetBytes, measuring);
    // Once more: shrinking takes its time.
    await needNoneHere(vm);
    await vm.disk.allow('home');
  }

  async #prepareDestination(run: MoveRun): Promise<void> {
    const { vm, visitLink, link, direction } = this.#options;
    if (direction === 'out') {
      await vm.disk.allow(`visit-${visitLink.visit}`);
      const request = this.#request();
      const paths = await link.call('visit.prepare', request, { timeoutMs: prepareTimeoutMs });
      needWhatWasAsked(request, paths);
      this.#destinationXml = awayXml(run.data.record.homeXml, paths);
    } else {
      this.#destinationXml = run.data.record.homeXml;
    }
  }

  async #probeLink(): Promise<void> {
    const { link, direction } = this.#options;
    const linkBytesPerSec = await probe(link, direction);
    if (linkBytesPerSec !== undefined) this.#watch.measuredLink(linkBytesPerSec);
  }

  /** Has the process ready that will make the call, and on the way home the host listening for it. */
  async #readyMigration(run: MoveRun): Promise<void> {
    const { visitLink, link, direction } = this.#options;
    const name = `m-${randomBytes(4).toString('hex')}`;
    await run.remember({ socketName: name });
    await Promise.all([
      visitLink.prepareMigration(name, direction),
      direction === 'home' ? link.call('visit.listen', { visit: visitLink.visit, name }) : undefined,
    ]);
    this.#migrationName = name;
  }

  #mayTake(run: MoveRun): boolean {
    const { direction, mayShrink } = this.#options;
    return direction === 'home' && mayShrink() && deflatesAtNeed(run.data.record.homeXml);
  }

  #planned(run: MoveRun, plan: MovePlan): MovePlan {
    this.#plan = plan;
    run.note({ plan: planned(plan) });
    return plan;
  }

  /** Waits for as long as the plan says; what the guest gives after that, it gives while the copy runs. */
  async #shrink(
    run: MoveRun,
    source: Connection,
    before: BalloonStats,
    targetBytes: number,
    measuring: Promise<void>,
  ): Promise<void> {
    const beganMs = performance.now();
    const looking = new AbortController();
    const shrinking = shrink(source, this.#options.vm.uuid, targetBytes, looking.signal).catch(() => undefined);
    await Promise.race([measuring, sleep(dirtyRatePatienceMs)]);
    // How long to wait depends on how the guest writes, of which more is known now.
    const plan = this.#planned(run, this.#watch.before(before, true));
    const waitMs = (plan.balloon?.waitMs ?? 0) - (performance.now() - beganMs);
    if (waitMs > 0) await Promise.race([shrinking, sleep(waitMs)]);
    looking.abort();
  }

  async #measureDirtyRate(source: Connection): Promise<void> {
    try {
      this.#watch.measuredDirty(await measureDirtyRate(source, this.#options.vm.uuid));
    } catch {
      // An older QEMU cannot tell; then the move judges by its own rounds.
    }
  }

  async migrate(run: MoveRun, resume: boolean): Promise<void> {
    const { vm, visitLink, link, direction } = this.#options;
    const source = await this.#whereabouts.source(run);
    if (resume && (await this.#wentOn(source, run))) return;
    if (resume) await this.#readyMigration(run);
    const postcopy: MigrateFlag[] = this.postcopyObstacle === undefined || resume ? ['postcopy'] : [];
    const wireBefore = visitBytes(link, visitLink.visit);
    const following = follow({
      run,
      source,
      destination: direction === 'out' ? visitLink.connection() : Promise.resolve(vm.connection),
      uuid: vm.uuid,
      plan: (progress) => {
        if (this.#isCapped && this.#watch.leftMs() !== undefined) void this.#liftCap(source);
        return this.#watch.during(progress);
      },
      tick: () => run.note({ wireBytes: visitBytes(link, visitLink.visit) - wireBefore }),
    });
    const cap = this.#watch.leftMs() === undefined ? capOf(this.#plan) : {};
    this.#isCapped = !resume && cap.bandwidthMiBps !== undefined;
    const callOver = new AbortController();
    void this.#whereabouts.endWithItsEnds(run, this.#migrationName, callOver.signal);
    try {
      await visitLink.migrate(this.#migrationName, direction, {
        ...(resume ? {} : { destinationXml: this.#destinationXml, ...cap }),
        flags: [
          'live',
          'changeProtection',
          'abortOnError',
          ...postcopy,
          ...(resume ? (['postcopyResume'] as const) : []),
        ],
      });
    } finally {
      callOver.abort();
      await following.stop();
      run.note({ wireBytes: visitBytes(link, visitLink.visit) - wireBefore });
    }
    await noteDowntime(run, vm);
  }

  /** Somebody waits by now: the guest's own traffic has no share to itself any more. What does not work is tried at the next look. */
  async #liftCap(source: Connection): Promise<void> {
    this.#isCapped = false;
    try {
      await source.setMigrateMaxSpeed(this.#options.vm.uuid, uncappedMiBps);
    } catch {
      this.#isCapped = true;
    }
  }

  /**
   * Whether the migration ended well by itself: QEMU does not notice a link that breaks and comes back, and libvirt
   * lets it go on, or resume, without the client that asked for that. False where QEMU waits to be resumed.
   */
  async #wentOn(source: Connection, run: MoveRun): Promise<boolean> {
    const { uuid } = this.#options.vm;
    const { visitLink } = this.#options;
    const { socketName } = run.data;
    for (;;) {
      const status = await migrationStatus(source, uuid);
      if (status === 'gone' || status === 'completed') return true;
      if (status !== 'postcopy-active' && status !== 'postcopy-recover') break;
      if (socketName !== undefined && !(await visitLink.carries(socketName))) break;
      await sleep(lookAgainMs);
    }
    // A resumed migration has a stream of its own.
    if (socketName !== undefined) await visitLink.endMigration(socketName);
    return false;
  }

  async flip(run: MoveRun): Promise<void> {
    if (this.#flipAsked) return;
    this.#flipAsked = true;
    try {
      await (await this.#whereabouts.source(run)).startPostCopy(this.#options.vm.uuid);
    } catch (thrown) {
      this.#flipAsked = false;
      throw thrown;
    }
  }

  async abort(run: MoveRun): Promise<void> {
    // Over a link that is down the word does not get there, and neither does the memory: both wait.
    if (run.move.direction === 'home' && this.#options.link.state !== 'up') await this.awaitLink();
    for (;;) {
      try {
        return await (await this.#whereabouts.source(run)).abortJob(this.#options.vm.uuid);
      } catch (thrown) {
        // libvirt has no job yet for a while after the call was asked for, and a word may be lost on its way.
        if (run.state.phase !== 'copying' || run.state.looking) throw thrown;
        await sleep(lookAgainMs);
      }
    }
  }

  look(run: MoveRun): Promise<Extract<MoveEvent, { kind: 'seen' }>> {
    this.#gate.watch(run);
    return this.#whereabouts.look(run);
  }

  async awaitLink(): Promise<void> {
    while (this.#options.link.state !== 'up') await sleep(lookAgainMs);
    await sleep(afterLinkUpMs);
  }

  async recordPlace(run: MoveRun): Promise<void> {
    await this.#options.recordPlace(run);
  }

  async settle(run: MoveRun): Promise<void> {
    await this.#gate.leave();
    await this.#settling.settle(run);
  }

  #request(): VisitRequest {
    const { vm, visitLink } = this.#options;
    return {
      visit: visitLink.visit,
      vm: vm.uuid,
      vmName: vm.name,
      vcpus: vm.vcpus,
      memoryBytes: vm.memoryBytes,
      accel: vm.accel,
      migrationFolder: visitLink.migrationFolder,
      disks: [...vm.disks],
      nics: vm.nics.length,
    };
  }
}

/** The definition the visit's QEMU runs under: home's, with its host-side ends inside the sandbox. */
function awayXml(homeXml: string, paths: VisitPaths): string {
  return placeDomain(homeXml, {
    disks: Object.fromEntries(
      Object.entries(paths.disks).map(([target, socket]) => [target, { socket, exportName: paths.exportName }]),
    ),
    nics: paths.nicPorts.map((port) => ({ address: '127.0.0.1', port })),
  });
}

/** Payload that crossed for one visit, both ways, whatever it was for. */
function visitBytes(link: HostLink, visit: string): number {
  return link
    .traffic()
    .filter((count) => count.visit === visit)
    .reduce((sum, { sentBytes, receivedBytes }) => sum + sentBytes + receivedBytes, 0);
}

/** libvirt counts whole MiB, and takes 0 for no cap. */
function capOf(plan: MovePlan | undefined): { bandwidthMiBps?: number } {
  const mebibytes = Math.floor((plan?.capBytesPerSec ?? 0) / MiB);
  return mebibytes === 0 ? {} : { bandwidthMiBps: mebibytes };
}

async function noteDowntime(run: MoveRun, vm: LocalVm): Promise<void> {
  const stats = await vm.connection.jobStats(vm.uuid, { completed: true }).catch(() => undefined);
  if (stats?.downtimeMs !== undefined) run.note({ downtimeMs: stats.downtimeMs });
}
