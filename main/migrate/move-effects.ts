import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import type { MoveEvent } from '../../shared/machine/move-machine.ts';
import type { Seen } from '../../shared/machine/verdict.ts';
import { usedBytes } from '../../shared/plan/balloon.ts';
import type { VisitPaths, VisitRequest } from '../../shared/wire.ts';
import {
  type Connection,
  type Libvirt,
  LibvirtError,
  libvirtErrorCode,
  type MigrateFlag,
  placeDomain,
} from '../libvirt/index.ts';
import { type HostLink, measureLink } from '../link/index.ts';
import { balloonStats, restore, shrink, shrinkTarget } from '../memory/index.ts';
import type { LocalVm } from './local-vm.ts';
import type { Effects, MoveRun } from './move-run.ts';
import { needWhatWasAsked } from './offer.ts';
import { follow } from './progress.ts';
import { see } from './seen.ts';
import type { VisitLink } from './visit-link.ts';

export interface MoveEffectsOptions {
  readonly libvirt: Libvirt;
  readonly link: HostLink;
  readonly linkStableMs: () => number;
  readonly vm: LocalVm;
  readonly visitLink: VisitLink;
  /** Why the flip is out of the question, from the preflight. */
  readonly postcopyObstacle: string | undefined;
  /** Written down (I3) before anything is released. */
  readonly recordPlace: (run: MoveRun) => Promise<void>;
  /** The visit is over, or goes on: what the engine keeps of it. */
  readonly visitEnded: (visit: string) => Promise<void>;
}

const prepareTimeoutMs = 60_000;
/** A look is believed once both ends have said the same twice, this far apart. */
const lookAgainMs = 400;
const looksAtMost = 12;
/** Until the link has been back for a moment, a new attempt would meet the same break. */
const afterLinkUpMs = 1_000;
/** Enough payload to see past TCP's slow start, little enough to be short on a slow link. */
const probeBytes = 512 * 1024;
const longProbeBytes = 8 * 1024 * 1024;
const probeShortMs = 150;
const dirtyRatePeriodS = 1;
const dirtyRatePatienceMs = 3_000;
/** Where the probe fails: a modest Wi-Fi. */
const assumedLinkBytesPerSec = 5 * 1024 * 1024;

/** Does what the move machine asks for, for one VM and one visit. */
export class MoveEffects implements Effects {
  readonly #options: MoveEffectsOptions;
  #destinationXml = '';
  #linkBytesPerSec = assumedLinkBytesPerSec;
  #dirtyBytesPerSec: number | undefined;
  #flipAsked = false;

  constructor(options: MoveEffectsOptions) {
    this.#options = options;
  }

  async prepare(run: MoveRun): Promise<void> {
    const { vm, visitLink, link } = this.#options;
    const source = await this.#source(run);
    const stats = await balloonStats(source, vm.uuid);
    run.note({ memoryBytes: usedBytes(stats) });
    // Not waited for: it takes a second in which the copy may already run.
    void this.#measureDirtyRate(source);
    this.#linkBytesPerSec = await probe(link, run.move.direction);
    if (run.move.direction === 'out') {
      await vm.disk.allow(`visit-${visitLink.visit}`);
      const request = this.#request();
      const paths = await link.call('visit.prepare', request, { timeoutMs: prepareTimeoutMs });
      needWhatWasAsked(request, paths);
      this.#destinationXml = awayXml(run.data.record.homeXml, paths);
    } else {
      this.#destinationXml = run.data.record.homeXml;
      const target = await shrinkTarget(source, vm.uuid);
      if (target !== undefined) {
        await run.remember({ balloonBytes: stats.currentBytes });
        await shrink(source, vm.uuid, target, AbortSignal.timeout(prepareTimeoutMs));
      }
      await vm.disk.allow('home');
    }
  }

  async #measureDirtyRate(source: Connection): Promise<void> {
    const { uuid } = this.#options.vm;
    try {
      await source.startDirtyRateCalc(uuid, dirtyRatePeriodS);
      this.#dirtyBytesPerSec = await measuredDirtyRate(source, uuid);
    } catch {
      // An older QEMU cannot tell; then the move judges by its own rounds.
    }
  }

  async migrate(run: MoveRun, resume: boolean): Promise<void> {
    const { libvirt, vm, visitLink, link, linkStableMs, postcopyObstacle } = this.#options;
    const out = run.move.direction === 'out';
    const source = await this.#source(run);
    if (resume && (await this.#wentOn(source, run))) return;
    const name = `m-${randomBytes(4).toString('hex')}`;
    await run.remember({ socketName: name });
    if (out) await visitLink.listenOut(name);
    else await link.call('visit.listen', { visit: visitLink.visit, name });
    const postcopy: MigrateFlag[] = postcopyObstacle === undefined || resume ? ['postcopy'] : [];
    const wireBefore = visitBytes(link, visitLink.visit);
    const following = follow({
      run,
      source,
      uuid: vm.uuid,
      question: () => ({
        direction: run.move.direction,
        postcopyObstacle,
        askedByUser: run.finishNowAsked,
        dirtyBytesPerSec: this.#dirtyBytesPerSec,
        usedBytes: run.move.memoryBytes ?? vm.memoryBytes,
        linkBytesPerSec: this.#linkBytesPerSec,
        linkStableMs: linkStableMs(),
      }),
      tick: () => run.note({ wireBytes: visitBytes(link, visitLink.visit) - wireBefore }),
    });
    try {
      await libvirt.migrate({
        sourceUri: out ? vm.uri : visitLink.uri,
        destinationUri: out ? visitLink.uri : vm.uri,
        uuid: vm.uuid,
        migrateUri: `unix://${visitLink.socketPath(name)}`,
        ...(resume ? {} : { destinationXml: this.#destinationXml }),
        flags: [
          'live',
          'changeProtection',
          'abortOnError',
          ...postcopy,
          ...(resume ? (['postcopyResume'] as const) : []),
        ],
      });
    } finally {
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
    if (socketName !== undefined) await this.#options.visitLink.endCarrier(socketName);
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
    await (await this.#source(run)).abortJob(this.#options.vm.uuid);
  }

  async look(run: MoveRun): Promise<Extract<MoveEvent, { kind: 'seen' }>> {
    let last: { source: Seen; destination: Seen } | undefined;
    for (let looks = 0; looks < looksAtMost; looks += 1) {
      const [source, destination] = await Promise.all([this.#see(run, false), this.#see(run, true)]);
      if (last?.source === source && last.destination === destination) return { kind: 'seen', source, destination };
      last = { source, destination };
      await sleep(lookAgainMs);
    }
    return { kind: 'seen', source: 'unknown', destination: 'unknown' };
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
    if (run.data.socketName !== undefined) await visitLink.endCarrier(run.data.socketName);
    const { outcome, direction } = run.state;
    const endsAway = outcome !== 'lost' && (direction === 'out') === (outcome === 'done');
    if (endsAway) {
      if (direction === 'home') await this.#restoreBalloon(run, await visitLink.connection());
      await vm.disk.revoke('home');
      // A client that died between finish and confirm leaves the handed-over source stopped at home.
      if (direction === 'out') await removeStopped(vm);
      if (run.state.resumeSource === true) await (await visitLink.connection()).resume(vm.uuid);
      return;
    }
    // The VM is at home, or nowhere: the visitor is fenced before home may write again.
    visitLink.fence();
    await vm.disk.revoke(`visit-${visitLink.visit}`);
    await vm.disk.allow('home');
    if (outcome === 'lost') await this.#options.recordPlace(run);
    if (run.state.resumeSource === true && (await vm.connection.state(vm.uuid)).state === 'paused') {
      await vm.connection.resume(vm.uuid);
    }
    await this.#endVisit();
    await this.#restoreBalloon(run, vm.connection);
  }

  /** An unreachable host ends a visit without a VM by itself; a fenced one is ended when it is met again. */
  async #endVisit(): Promise<void> {
    const { link, visitLink } = this.#options;
    if (link.state === 'up') {
      await link.call('visit.end', { visit: visitLink.visit }, { timeoutMs: prepareTimeoutMs }).catch(() => undefined);
    }
    await this.#options.visitEnded(visitLink.visit);
  }

  async #restoreBalloon(run: MoveRun, connection: Connection): Promise<void> {
    const { balloonBytes } = run.data;
    if (balloonBytes === undefined || run.state.outcome === 'lost') return;
    await restore(connection, this.#options.vm.uuid, balloonBytes);
  }

  #source(run: MoveRun): Promise<Connection> {
    const { vm, visitLink } = this.#options;
    return run.move.direction === 'out' ? Promise.resolve(vm.connection) : visitLink.connection();
  }

  /** @param destination which end of the move to ask */
  async #see(run: MoveRun, destination: boolean): Promise<Seen> {
    const { vm, visitLink, link } = this.#options;
    const atHome = (run.move.direction === 'home') === destination;
    if (atHome) return see(() => Promise.resolve(vm.connection), vm.uuid, destination);
    if (link.state !== 'up') return 'unknown';
    const listed = await link.call('visit.list', {}).catch(() => undefined);
    if (listed === undefined) return 'unknown';
    // The sandbox is the visitor: without it there is no copy at the host.
    if (!listed.visits.some(({ visit }) => visit === visitLink.visit)) return 'absent';
    return see(() => visitLink.connection(), vm.uuid, destination);
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

async function probe(link: HostLink, direction: 'out' | 'home'): Promise<number> {
  try {
    const first = await measureLink(link, direction, probeBytes);
    if ((probeBytes / first) * 1_000 > probeShortMs) return first;
    return await measureLink(link, direction, longProbeBytes);
  } catch (cause) {
    if (link.state !== 'up') {
      throw new HomewardError('host-unreachable', 'The host stopped answering before the move began.', { cause });
    }
    return assumedLinkBytesPerSec;
  }
}

async function measuredDirtyRate(source: Connection, uuid: string): Promise<number | undefined> {
  const deadline = performance.now() + dirtyRatePatienceMs;
  while (performance.now() < deadline) {
    const records = await source.allStats(['dirtyrate'], { nowait: true });
    const rate = records.find((record) => record.uuid === uuid)?.stats.dirtyRate;
    if (rate?.status === 'measured' && rate.mebibytesPerSec !== undefined) return rate.mebibytesPerSec * 1024 * 1024;
    await sleep(100);
  }
  return undefined;
}

const MigrationInfo = z.object({ status: z.string().optional() });

/** QEMU's own word for how its outgoing migration stands (query-migrate); `gone` where the VM is no more. */
async function migrationStatus(source: Connection, uuid: string): Promise<string | undefined> {
  try {
    const answer = await source.qemuMonitorCommand(uuid, { execute: 'query-migrate' });
    return MigrationInfo.parse(answer).status;
  } catch (thrown) {
    if (thrown instanceof LibvirtError && thrown.code === libvirtErrorCode.NO_DOMAIN) return 'gone';
    throw thrown;
  }
}

async function noteDowntime(run: MoveRun, vm: LocalVm): Promise<void> {
  const stats = await vm.connection.jobStats(vm.uuid, { completed: true }).catch(() => undefined);
  if (stats?.downtimeMs !== undefined) run.note({ downtimeMs: stats.downtimeMs });
}

async function removeStopped(vm: LocalVm): Promise<void> {
  const seen = await see(() => Promise.resolve(vm.connection), vm.uuid, false);
  if (seen === 'paused' || seen === 'postcopy-source') await vm.connection.destroy(vm.uuid);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
