import { setTimeout as sleep } from 'node:timers/promises';
import type { MoveEvent } from '../../shared/machine/move-machine.ts';
import type { Seen } from '../../shared/machine/verdict.ts';
import type { VisitInfo } from '../../shared/wire.ts';
import type { Connection } from '../libvirt/index.ts';
import type { HostLink } from '../link/index.ts';
import type { HomeGate } from './home-gate.ts';
import type { LocalVm } from './local-vm.ts';
import { migrationStatus } from './migration-status.ts';
import type { MoveRun } from './move-run.ts';
import { isInPostCopy, see } from './seen.ts';
import type { VisitLink } from './visit-link.ts';
import { type VisitNow, visitNow } from './visit-now.ts';

export interface WhereaboutsOptions {
  readonly link: HostLink;
  readonly vm: LocalVm;
  readonly visitLink: VisitLink;
  readonly gate: HomeGate;
}

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
/** Migration states of QEMU's in which nothing crosses any more, unless somebody begins anew (MigrationStatus). */
const ended: ReadonlySet<string> = new Set(['none', 'completed', 'failed', 'cancelled', 'postcopy-paused', 'gone']);

/** Finds out what became of a VM that moves, from both libvirts and from what the host says of the visit. */
export class Whereabouts {
  readonly #options: WhereaboutsOptions;
  readonly #sourcePatienceMs: number;

  constructor(options: WhereaboutsOptions, patienceMs = sourcePatienceMs) {
    this.#options = options;
    this.#sourcePatienceMs = patienceMs;
  }

  /** The libvirt at the end that the VM leaves. */
  source(run: MoveRun): Promise<Connection> {
    const { vm, visitLink } = this.#options;
    return run.move.direction === 'out' ? Promise.resolve(vm.connection) : visitLink.connection();
  }

  async look(run: MoveRun): Promise<Extract<MoveEvent, { kind: 'seen' }>> {
    if (!(await this.#callEnded(run)) || !(await this.#jobEnded(run)))
      return { kind: 'seen', source: 'unknown', destination: 'unknown' };
    let last: { source: Seen; destination: Seen } | undefined;
    for (let looks = 0; looks < looksAtMost; looks += 1) {
      const [source, destination] = await Promise.all([this.#see(run, false), this.#see(run, true)]);
      const same = last?.source === source && last.destination === destination;
      if (same && (await this.#stays(run, source, destination))) {
        return { kind: 'seen', ...(await this.#whatIsLeft(run, source, destination)) };
      }
      last = { source, destination };
      await sleep(lookAgainMs);
    }
    return { kind: 'seen', source: 'unknown', destination: 'unknown' };
  }

  /** Of ends that are there, though they cannot become a VM any more. */
  async #whatIsLeft(run: MoveRun, source: Seen, destination: Seen): Promise<{ source: Seen; destination: Seen }> {
    if (source === 'absent' && destination === 'unknown')
      return { source, destination: await this.#withoutSource(run) };
    if ((source !== 'postcopy-source' && source !== 'unknown') || (await this.#isCarried(run)))
      return { source, destination };
    const status = await this.#statusOfSource(run).catch(() => undefined);
    // Of a flip that broke at once libvirt does not hear, and goes on calling it under way; there is no call for it to resume.
    if (source === 'unknown') return { source: destination === 'absent' ? flipped(status) : source, destination };
    // libvirt resumes only what the call that has gone had begun to finish (qemuMigrationDstFinish).
    if (destination === 'incoming') return { source, destination: 'absent' };
    return status === 'postcopy-recover' ? { source: 'absent', destination } : { source, destination };
  }

  /** Whether QEMU's stream still has an end here. */
  async #isCarried(run: MoveRun): Promise<boolean> {
    const { socketName } = run.data;
    return socketName === undefined || this.#options.visitLink.carries(socketName);
  }

  async #statusOfSource(run: MoveRun): Promise<string | undefined> {
    return migrationStatus(await this.source(run), this.#options.vm.uuid);
  }

  /** At home, a source that has flipped and was left by its call. */
  #waitsForDestination(): Promise<boolean> {
    const { vm } = this.#options;
    return vm.connection.state(vm.uuid).then(isInPostCopy, () => false);
  }

  /** Whether home can have no copy from here on either, where it was seen to have none. */
  async #stays(run: MoveRun, source: Seen, destination: Seen): Promise<boolean> {
    const atHome = run.move.direction === 'home' ? destination : source;
    return atHome !== 'absent' || this.#options.gate.shut(run);
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
        if (!(await this.#movesNoMore(run))) return false;
        await visitLink.endMigration(call.name);
        return true;
      }
      if (waitedMs < callLeftAloneMs) continue;
      const flips = run.state.flipAsked === true;
      await this.source(run)
        .then((source) => (flips ? source.startPostCopy(vm.uuid) : source.abortJob(vm.uuid)))
        .catch(() => undefined);
    }
  }

  /**
   * A QEMU behind the link does not hear of it when the process that spoke to it from here has gone, by itself or with this
   * computer: it would wait, or its job go on, for ever, and no other could begin.
   */
  async #jobEnded(run: MoveRun): Promise<boolean> {
    const { vm, visitLink, link } = this.#options;
    const { socketName } = run.data;
    if (socketName === undefined || (await this.#isCarried(run))) return true;
    if (run.move.direction === 'out') {
      if (!(await this.#waitsForDestination())) return true;
      await visitLink.breakOff(socketName).catch(() => undefined);
    }
    const deadline = performance.now() + this.#sourcePatienceMs;
    let status: string | undefined;
    while (link.state === 'up' && performance.now() < deadline) {
      if ((await this.#visitState()) === 'gone') return true;
      try {
        status = await this.#statusOfSource(run);
        if (status === undefined || ended.has(status)) return true;
        const source = await this.source(run);
        await source.abortJob(vm.uuid, { postcopy: status.startsWith('postcopy') });
      } catch {
        // Refused at this moment, or not heard: it is asked again how things stand.
      }
      await sleep(lookAgainMs);
    }
    // Behind a link that is down nothing can be ended, and is believed only what home says. A resume that has lost its stream
    // ends by nothing (QEMU before 8.2).
    return link.state !== 'up' || status === 'postcopy-recover';
  }

  /**
   * Whatever a call waits for: with its visit gone, or with the VM running at its source and no job there, nothing comes of it
   * any more, and nobody would end the move.
   */
  async #movesNoMore(run: MoveRun): Promise<boolean> {
    if ((await this.#visitState()) === 'gone') return true;
    if ((await this.#see(run, false)) !== 'running') return false;
    return this.source(run)
      .then((source) => source.jobStats(this.#options.vm.uuid))
      .then(
        ({ type }) => type === 'none',
        () => false,
      );
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
   * libvirt may wait without end for a post-copy whose source has died, for a destination that died at the switch, or for a
   * visit that went with its host: the call is ended for it, and both places are asked.
   */
  async endWithItsEnds(run: MoveRun, name: string, callOver: AbortSignal): Promise<void> {
    let goneSinceMs: number | undefined;
    let hadReceiver = false;
    while (!callOver.aborted) {
      const visit = await this.#visitInfo();
      const receiver = await this.#hasReceiver(run, visit);
      hadReceiver ||= receiver === true;
      const gone =
        visit?.state === 'gone' ||
        (hadReceiver && receiver === false) ||
        (run.state.flipped && (await this.#see(run, false)) === 'absent');
      goneSinceMs = gone ? (goneSinceMs ?? performance.now()) : undefined;
      const patienceMs = patienceWith(visit, this.#sourcePatienceMs);
      if (goneSinceMs !== undefined && performance.now() - goneSinceMs > patienceMs) {
        if (!callOver.aborted) await this.#options.visitLink.endMigration(name);
        return;
      }
      await sleep(sourceEveryMs);
    }
  }

  /** Whether something of the VM is at its destination; undefined where that cannot be told. */
  async #hasReceiver(run: MoveRun, visit: VisitNow | undefined): Promise<boolean | undefined> {
    if (run.move.direction === 'out') return visit === undefined ? undefined : !['empty', 'gone'].includes(visit.state);
    const seen = await this.#see(run, true);
    return seen === 'unknown' ? undefined : seen !== 'absent';
  }

  /** @param destination which end of the move to ask */
  async #see(run: MoveRun, destination: boolean): Promise<Seen> {
    const { vm, visitLink } = this.#options;
    const atHome = (run.move.direction === 'home') === destination;
    if (atHome) return see(vm.connection, vm.uuid, destination);
    const state = await this.#visitState();
    if (state === undefined) return 'unknown';
    // The sandbox is the visitor: without it there is no copy at the host.
    if (state === 'gone') return 'absent';
    return see(visitLink.connection(), vm.uuid, destination);
  }

  #visitInfo(): Promise<VisitNow | undefined> {
    const { visitLink, link } = this.#options;
    return visitNow(link, visitLink.visit);
  }

  async #visitState(): Promise<VisitInfo['state'] | undefined> {
    return (await this.#visitInfo())?.state;
  }
}

/** What QEMU's word for its migration makes of a source that has lost its destination. */
function flipped(status: string | undefined): Seen {
  if (status === 'postcopy-paused' || status === 'postcopy-recover') return 'postcopy-source';
  return status === 'failed' || status === 'cancelled' ? 'flip-failed' : 'unknown';
}

/** How long what has crossed may still arrive. */
function patienceWith(visit: VisitNow | undefined, usualMs: number): number {
  const why = visit?.end?.why;
  return why === 'host-restarted' || why === 'forgotten' ? Math.min(afterRestartMs, usualMs) : usualMs;
}
