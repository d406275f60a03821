import type { MoveState } from '../../shared/machine/move-machine.ts';
import type { Connection } from '../libvirt/index.ts';
import type { HostLink } from '../link/index.ts';
import { giveOnTheMove, restore } from '../memory/index.ts';
import type { LocalVm } from './local-vm.ts';
import type { MoveRun } from './move-run.ts';
import { isInPostCopy, see } from './seen.ts';
import type { VisitLink } from './visit-link.ts';
import { visitNow } from './visit-now.ts';
import { wakeStopped } from './wake.ts';

export interface SettlingOptions {
  readonly link: HostLink;
  readonly vm: LocalVm;
  readonly visitLink: VisitLink;
  /** Written down (I3) before anything is released. */
  readonly recordPlace: (run: MoveRun) => Promise<void>;
  /** At home, the guest was asked to take back memory until it has this much. */
  readonly balloonGiven: (bytes: number) => void;
  /** The visit is over, or goes on: what the engine keeps of it. */
  readonly visitEnded: (visit: string) => Promise<void>;
}

const visitEndTimeoutMs = 60_000;
const giveDeadlineMs = 10_000;
/** A QEMU that waits for a page hears no signal but the last, which libvirt sends after ten seconds. */
const destroyDeadlineMs = 25_000;

/** Leaves disk, memory and both hosts as they belong where the VM has come to rest. May be repeated. */
export class Settling {
  readonly #options: SettlingOptions;

  constructor(options: SettlingOptions) {
    this.#options = options;
  }

  async settle(run: MoveRun): Promise<void> {
    const { vm, visitLink } = this.#options;
    if (run.data.socketName !== undefined) await visitLink.endMigration(run.data.socketName);
    const { outcome, direction } = run.state;
    const endsAway = outcome !== 'lost' && (direction === 'out') === (outcome === 'done');
    if (endsAway) {
      await vm.disk.revoke('home');
      // A client that died between finish and confirm leaves the handed-over source stopped at home.
      if (direction === 'out') await removeStopped(vm);
      if (run.state.resumeSource === true) await removeReceiver(vm);
      if (direction === 'home') await this.#leaveAway(run);
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
    // It runs with little already, and the host may be slow to answer.
    const givenBytes = await this.#restoreBalloon(run, vm.connection);
    if (givenBytes !== undefined) this.#options.balloonGiven(givenBytes);
    // A receiver that has never run must not begin to when the source goes on; one that cannot be met is fenced.
    await this.#endVisit();
    if (run.state.resumeSource === true) await wakeStopped(vm.connection, vm.uuid);
  }

  async #leaveAway(run: MoveRun): Promise<void> {
    const { vm, visitLink, link } = this.#options;
    // With its visit the VM is over; whoever keeps the visits takes its disk back.
    if ((await visitNow(link, visitLink.visit))?.state === 'gone') return;
    const there = await visitLink.connection();
    if (run.state.resumeSource === true) await wakeStopped(there, vm.uuid);
    await this.#restoreBalloon(run, there);
  }

  /** An unreachable host ends a visit without a VM by itself; a fenced one is ended when it is met again. */
  async #endVisit(): Promise<void> {
    const { link, visitLink } = this.#options;
    if (link.state === 'up') {
      await link.call('visit.end', { visit: visitLink.visit }, { timeoutMs: visitEndTimeoutMs }).catch(() => undefined);
    }
    await this.#options.visitEnded(visitLink.visit);
  }

  /** Returns what it gave, in bytes. */
  async #restoreBalloon(run: MoveRun, connection: Connection): Promise<number | undefined> {
    const { balloonBytes } = run.data;
    if (balloonBytes === undefined || run.state.outcome === 'lost') return undefined;
    const { uuid } = this.#options.vm;
    // A guest that has shut down meanwhile begins anew with all of its memory.
    if ((await see(connection, uuid, false)) === 'absent') return undefined;
    if (isInPostCopy(await connection.state(uuid))) {
      await giveOnTheMove(connection, uuid, balloonBytes, giveDeadlineMs);
    } else await restore(connection, uuid, balloonBytes);
    return balloonBytes;
  }
}

async function removeStopped(vm: LocalVm): Promise<void> {
  const seen = await see(vm.connection, vm.uuid, false);
  if (seen === 'paused' || seen === 'postcopy-source' || seen === 'flip-failed') await vm.connection.destroy(vm.uuid);
}

/** What home was to receive into, and has been cut off from the disk: gone for certain before the source goes on. */
async function removeReceiver(vm: LocalVm): Promise<void> {
  const seen = await see(vm.connection, vm.uuid, true);
  if (seen !== 'absent') await vm.connection.destroy(vm.uuid);
}

/** What home has of a VM whose other part is lost is no VM, and keeps libvirt from starting one. */
async function removeRest(vm: LocalVm, { direction, flipped, handedOver, givenUp }: MoveState): Promise<void> {
  const seen = await see(vm.connection, vm.uuid, direction === 'home');
  if (seen === 'absent') return;
  const isPart =
    seen === 'incoming' ||
    (seen === 'paused' && (flipped || handedOver === true || givenUp === true)) ||
    // One that is given up may not have been seen to break: then nothing tells of its part but that it is there.
    (seen === 'unknown' && givenUp === true) ||
    (seen !== 'running' && isInPostCopy(await vm.connection.state(vm.uuid)));
  if (isPart) await vm.connection.destroy(vm.uuid, { deadlineMs: destroyDeadlineMs });
}
