import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MoveEvent, MoveState } from '../../shared/machine/move-machine.ts';
import type { Seen } from '../../shared/machine/verdict.ts';
import type { Direction } from '../../shared/model/move.ts';
import type { VisitEnd } from '../../shared/model/visit-end.ts';
import { type BalloonStats, usedBytes } from '../../shared/plan/balloon.ts';
import { type MovePlan, outOfTime, planned } from '../../shared/plan/homecoming.ts';
import { PlanWatch } from '../../shared/plan/plan-watch.ts';
import type { VisitInfo, VisitPaths, VisitRequest } from '../../shared/wire.ts';
import { type Connection, type MigrateFlag, placeDomain } from '../libvirt/index.ts';
import type { HostLink } from '../link/index.ts';
import { deflatesAtNeed, restore, shrink, steadyStats } from '../memory/index.ts';
import { measureDirtyRate } from '../monitor/index.ts';
import type { LocalVm } from './local-vm.ts';
import { migrationStatus } from './migration-status.ts';
import type { Effects, MoveRun } from './move-run.ts';
import { needWhatWasAsked } from './offer.ts';
import { probe } from './probe.ts';
import { follow } from './progress.ts';
import { isInPostCopy, see } from './seen.ts';
import type { VisitLink } from './visit-link.ts';
import { wakeStopped } from './wake.ts';

export interface MoveEffectsOptions {
  readonly direction: Direction;
  readonly link: HostLink;
  readonly linkStableMs: () => number;
  readonly vm: LocalVm;
  readonly visitLink: VisitLink;
  /** Why the flip is out of the question, from the preflight. */
  readonly postcopyObstacle: string | undefined;
  /** Whether memory that the guest does not use may be taken before it comes home. */
  readonly mayShrink: () => boolean;
  /** The guest's own disk and network when the move was asked for. */
  readonly guestBytesPerSec: number | undefined;
  /** From now. */
  readonly deadlineMs: number | undefined;
  /** False for a VM that is to come late rather than be paused where it is. */
  readonly pausesWhenLate: boolean | undefined;
  /** Written down (I3) before anything is released. */
  readonly recordPlace: (run: MoveRun) => Promise<void>;
  /** At home, the guest was asked to take back memory until it has this much. */
  readonly balloonGiven: (bytes: number) => void;
  /** The visit is over, or goes on: what the engine keeps of it. */
  readonly visitEnded: (visit: string) => Promise<void>;
}

const prepareTimeoutMs = 60_000;
/** A guest that is shrunk meanwhile has its writing measured before the copy; longer is not worth waiting for. */
const dirtyRatePatienceMs = 1_500;
/** A look is believed once both ends have said the same twice, this far apart. */
const lookAgainMs = 400;
const looksAtMost = 12;
/** For a migrate call of an earlier engine to end; then the link is waited for, and looked again. */
const callPatienceMs = 30_000;
/** A call that was called off when it may have been about to end once left a VM at neither place (QEMU 7.2). */
const callLeftAloneMs = 10_000;
/** Without both its ends a migration cannot end well; a call that ends well does so within a moment of it. */
const sourcePatienceMs = 10_000;
/** Of a host that was started anew, or knows nothing of the visit and refuses its streams, nothing is on its way any more. */
const afterRestartMs = 1_500;
const sourceEveryMs = 1_000;
/** A QEMU that waits for a page hears no signal but the last, which libvirt sends after ten seconds. */
const destroyDeadlineMs = 25_000;
/** Until the link has been back for a moment, a new attempt would meet the same break. */
const afterLinkUpMs = 1_000;
const MiB = 1024 * 1024;

/** Does what the move machine asks for, for one VM and one visit. */
export class MoveEffects implements Effects {
  readonly #options: MoveEffectsOptions;
  #destinationXml = '';
  #migrationName = '';
  readonly #watch: PlanWatch;
  #plan: MovePlan | undefined;
  #finishNowAsked: () => boolean = () => false;
  #flipAsked = false;
  readonly #sourcePatienceMs: number;

  constructor(options: MoveEffectsOptions, patienceMs = sourcePatienceMs) {
    this.#options = options;
    const { direction, deadlineMs, pausesWhenLate, postcopyObstacle, guestBytesPerSec, linkStableMs } = options;
    this.#watch = new PlanWatch({
      direction,
      postcopyObstacle,
      guestBytesPerSec,
      deadlineAtMs: deadlineMs === undefined ? undefined : performance.now() + deadlineMs,
      pausesWhenLate,
      linkStableMs,
      finishNowAsked: () => this.#finishNowAsked(),
      nowMs: () => performance.now(),
    });
    this.#sourcePatienceMs = patienceMs;
  }

  async prepare(run: MoveRun): Promise<void> {
    const { vm, direction } = this.#options;
    const source = await this.#source(run);
    const measuring = this.#measureDirtyRate(source);
    const steady = steadyStats(source, vm.uuid, run.data.record.balloonBytes ?? 0);
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
    await run.remember({ balloonBytes: run.data.record.balloonBytes ?? stats.currentBytes });
    if (plan.balloon !== undefined) await this.#shrink(run, source, stats, plan.balloon.targetBytes, measuring);
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
    const { vm, visitLink, link, postcopyObstacle, direction } = this.#options;
    const source = await this.#source(run);
    if (resume && (await this.#wentOn(source, run))) return;
    if (resume) await this.#readyMigration(run);
    const postcopy: MigrateFlag[] = postcopyObstacle === undefined || resume ? ['postcopy'] : [];
    const wireBefore = visitBytes(link, visitLink.visit);
    const following = follow({
      run,
      source,
      destination: direction === 'out' ? visitLink.connection() : Promise.resolve(vm.connection),
      uuid: vm.uuid,
      plan: (progress) => this.#watch.during(progress),
      tick: () => run.note({ wireBytes: visitBytes(link, visitLink.visit) - wireBefore }),
    });
    const callOver = new AbortController();
    void this.#endWithItsEnds(run, this.#migrationName, callOver.signal);
    try {
      await visitLink.migrate(this.#migrationName, direction, {
        ...(resume ? {} : { destinationXml: this.#destinationXml, ...capOf(this.#plan) }),
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

  /**
   * Whether the migration ended well by itself: QEMU does not notice a link that breaks and comes back, and libvirt
   * lets it go on without the client that began it. False where QEMU waits to be resumed.
   */
  async #wentOn(source: Connection, run: MoveRun): Promise<boolean> {
    const { uuid } = this.#options.vm;
    const { socketName } = run.data;
    for (;;) {
      const status = await migrationStatus(source, uuid);
      if (status === 'gone' || status === 'completed') return true;
      if (status !== 'postcopy-active') break;
      await sleep(lookAgainMs);
    }
    // A resumed migration has a stream of its own.
    if (socketName !== undefined) await this.#options.visitLink.endMigration(socketName);
    return false;
  }

  async flip(run: MoveRun): Promise<void> {
    if (this.#flipAsked) return;
    this.#flipAsked = true;
    try {
      await (await this.#source(run)).startPostCopy(this.#options.vm.uuid);
    } catch (thrown) {
      this.#flipAsked = false;
      throw thrown;
    }
  }

  async abort(run: MoveRun): Promise<void> {
    // Over a link that is down the word does not get there, and neither does the memory: both wait.
    if (run.move.direction === 'home' && this.#options.link.state !== 'up') await this.awaitLink();
    await (await this.#source(run)).abortJob(this.#options.vm.uuid);
  }

  async look(run: MoveRun): Promise<Extract<MoveEvent, { kind: 'seen' }>> {
    if (!(await this.#callEnded(run))) return { kind: 'seen', source: 'unknown', destination: 'unknown' };
    let last: { source: Seen; destination: Seen } | undefined;
    for (let looks = 0; looks < looksAtMost; looks += 1) {
      const [source, destination] = await Promise.all([this.#see(run, false), this.#see(run, true)]);
      if (last?.source === source && last.destination === destination) {
        const orphaned = source === 'absent' && destination === 'unknown';
        return { kind: 'seen', source, destination: orphaned ? await this.#withoutSource(run) : destination };
      }
      last = { source, destination };
      await sleep(lookAgainMs);
    }
    return { kind: 'seen', source: 'unknown', destination: 'unknown' };
  }

  /**
   * A call that an earlier engine began may still be under way in its process. Most end by themselves soon; one that does
   * not is called off, which libvirt refuses once the VM has flipped, or flipped where that engine has asked for it. Until it
   * has ended, what both ends say means nothing.
   */
  async #callEnded(run: MoveRun): Promise<boolean> {
    const { vm, visitLink, link } = this.#options;
    const { socketName } = run.data;
    const call = socketName === undefined ? undefined : await visitLink.migration(socketName);
    if (call === undefined) return true;
    const over = call.outcome().then(
      () => true,
      () => true,
    );
    const beganMs = performance.now();
    for (;;) {
      if (await Promise.race([over, sleep(lookAgainMs).then(() => false)])) return true;
      if (link.state !== 'up') return false;
      const waitedMs = performance.now() - beganMs;
      if (waitedMs > callPatienceMs) {
        if ((await this.#visitState()) !== 'gone') return false;
        await visitLink.endMigration(call.name);
        return true;
      }
      if (waitedMs < callLeftAloneMs) continue;
      const flips = run.state.flipAsked === true;
      await this.#source(run)
        .then((source) => (flips ? source.startPostCopy(vm.uuid) : source.abortJob(vm.uuid)))
        .catch(() => undefined);
    }
  }

  /**
   * A destination in post-copy whose source has died waits for pages that will never come. libvirt and QEMU do not
   * always notice, and a QEMU that waits so may not answer; so what has not arrived within a while is lost.
   */
  async #withoutSource(run: MoveRun): Promise<Seen> {
    const { vm, visitLink } = this.#options;
    const deadline = performance.now() + patienceWith(await this.#visitInfo(), this.#sourcePatienceMs);
    try {
      const destination = run.move.direction === 'home' ? vm.connection : await visitLink.connection();
      while (isInPostCopy(await destination.state(vm.uuid))) {
        const status = await migrationStatus(destination, vm.uuid).catch(() => undefined);
        if (status === 'postcopy-paused') return 'postcopy-destination';
        if (status === 'completed') return 'unknown';
        if (performance.now() > deadline) return 'postcopy-destination';
        await sleep(sourceEveryMs);
      }
    } catch {
      // A place that does not answer proves nothing.
    }
    return 'unknown';
  }

  /**
   * libvirt may wait without end for a post-copy whose source has died, or for a visit that went with its host: the call is
   * ended for it, and both places are asked.
   */
  async #endWithItsEnds(run: MoveRun, name: string, callOver: AbortSignal): Promise<void> {
    let goneSinceMs: number | undefined;
    while (!callOver.aborted) {
      const visit = await this.#visitInfo();
      const gone = visit?.state === 'gone' || (run.state.flipped && (await this.#see(run, false)) === 'absent');
      goneSinceMs = gone ? (goneSinceMs ?? performance.now()) : undefined;
      const patienceMs = patienceWith(visit, this.#sourcePatienceMs);
      if (goneSinceMs !== undefined && performance.now() - goneSinceMs > patienceMs) {
        if (!callOver.aborted) await this.#options.visitLink.endMigration(name);
        return;
      }
      await sleep(sourceEveryMs);
    }
  }

  async awaitLink(): Promise<void> {
    while (this.#options.link.state !== 'up') await sleep(lookAgainMs);
    await sleep(afterLinkUpMs);
  }

  async recordPlace(run: MoveRun): Promise<void> {
    await this.#options.recordPlace(run);
  }

  async settle(run: MoveRun): Promise<void> {
    const { vm, visitLink } = this.#options;
    if (run.data.socketName !== undefined) await visitLink.endMigration(run.data.socketName);
    const { outcome, direction } = run.state;
    const endsAway = outcome !== 'lost' && (direction === 'out') === (outcome === 'done');
    if (endsAway) {
      if (direction === 'home') await this.#restoreBalloon(run, await visitLink.connection());
      await vm.disk.revoke('home');
      // A client that died between finish and confirm leaves the handed-over source stopped at home.
      if (direction === 'out') await removeStopped(vm);
      if (run.state.resumeSource === true) {
        await removeReceiver(vm);
        await wakeStopped(await visitLink.connection(), vm.uuid);
      }
      return;
    }
    // The VM is at home, or nowhere: the visitor is fenced before home may write again.
    visitLink.fence();
    await vm.disk.revoke(`visit-${visitLink.visit}`);
    await vm.disk.allow('home');
    if (outcome === 'lost') {
      await removeRest(vm, run.state);
      await this.#options.recordPlace(run);
    }
    // A receiver that has never run must not begin to when the source goes on; one that cannot be met is fenced.
    await this.#endVisit();
    if (run.state.resumeSource === true) await wakeStopped(vm.connection, vm.uuid);
    const givenBytes = await this.#restoreBalloon(run, vm.connection);
    if (givenBytes !== undefined) this.#options.balloonGiven(givenBytes);
  }

  /** An unreachable host ends a visit without a VM by itself; a fenced one is ended when it is met again. */
  async #endVisit(): Promise<void> {
    const { link, visitLink } = this.#options;
    if (link.state === 'up') {
      await link.call('visit.end', { visit: visitLink.visit }, { timeoutMs: prepareTimeoutMs }).catch(() => undefined);
    }
    await this.#options.visitEnded(visitLink.visit);
  }

  /** Returns what it gave, in bytes. */
  async #restoreBalloon(run: MoveRun, connection: Connection): Promise<number | undefined> {
    const { balloonBytes } = run.data;
    if (balloonBytes === undefined || run.state.outcome === 'lost') return undefined;
    const { uuid } = this.#options.vm;
    // A guest that has shut down meanwhile begins anew with all of its memory.
    if ((await see(() => Promise.resolve(connection), uuid, false)) === 'absent') return undefined;
    await restore(connection, uuid, balloonBytes);
    return balloonBytes;
  }

  #source(run: MoveRun): Promise<Connection> {
    const { vm, visitLink } = this.#options;
    return run.move.direction === 'out' ? Promise.resolve(vm.connection) : visitLink.connection();
  }

  /** @param destination which end of the move to ask */
  async #see(run: MoveRun, destination: boolean): Promise<Seen> {
    const { vm, visitLink } = this.#options;
    const atHome = (run.move.direction === 'home') === destination;
    if (atHome) return see(() => Promise.resolve(vm.connection), vm.uuid, destination);
    const state = await this.#visitState();
    if (state === undefined) return 'unknown';
    // The sandbox is the visitor: without it there is no copy at the host.
    if (state === 'gone') return 'absent';
    return see(() => visitLink.connection(), vm.uuid, destination);
  }

  /** What the host says of the visit: `gone` also where it knows none, undefined where it cannot be asked. */
  async #visitInfo(): Promise<VisitNow | undefined> {
    const { visitLink, link } = this.#options;
    if (link.state !== 'up') return undefined;
    const listed = await link.call('visit.list', {}).catch(() => undefined);
    if (listed === undefined) return undefined;
    const found = listed.visits.find(({ visit }) => visit === visitLink.visit);
    return found ?? { state: 'gone', end: { why: 'forgotten' } };
  }

  async #visitState(): Promise<VisitInfo['state'] | undefined> {
    return (await this.#visitInfo())?.state;
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

type VisitNow = Pick<VisitInfo, 'state'> & { readonly end?: Pick<VisitEnd, 'why'> | undefined };

/** How long what has crossed may still arrive. */
function patienceWith(visit: VisitNow | undefined, usualMs: number): number {
  const why = visit?.end?.why;
  return why === 'host-restarted' || why === 'forgotten' ? Math.min(afterRestartMs, usualMs) : usualMs;
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

async function removeStopped(vm: LocalVm): Promise<void> {
  const seen = await see(() => Promise.resolve(vm.connection), vm.uuid, false);
  if (seen === 'paused' || seen === 'postcopy-source' || seen === 'flip-failed') await vm.connection.destroy(vm.uuid);
}

/** What home was to receive into, and has been cut off from the disk: gone for certain before the source goes on. */
async function removeReceiver(vm: LocalVm): Promise<void> {
  const seen = await see(() => Promise.resolve(vm.connection), vm.uuid, true);
  if (seen !== 'absent') await vm.connection.destroy(vm.uuid);
}

/** What home has of a VM whose other part is lost is no VM, and keeps libvirt from starting one. */
async function removeRest(vm: LocalVm, { direction, flipped, handedOver, givenUp }: MoveState): Promise<void> {
  const seen = await see(() => Promise.resolve(vm.connection), vm.uuid, direction === 'home');
  if (seen === 'absent') return;
  const isPart =
    seen === 'incoming' ||
    (seen === 'paused' && (flipped || handedOver === true || givenUp === true)) ||
    // One that is given up may not have been seen to break: then nothing tells of its part but that it is there.
    (seen === 'unknown' && givenUp === true) ||
    (seen !== 'running' && isInPostCopy(await vm.connection.state(vm.uuid)));
  if (isPart) await vm.connection.destroy(vm.uuid, { deadlineMs: destroyDeadlineMs });
}
