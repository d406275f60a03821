import { isUndecided } from '../../shared/machine/move-machine.ts';
import type { LocalVm } from './local-vm.ts';
import type { MoveRun } from './move-run.ts';
import { see } from './seen.ts';

/**
 * Takes the disk from a home that has no copy of a VM whose move is undecided: started there now, it would be a second one,
 * with a second writer. Only from a home that says so: one that runs, or cannot be asked, may have the only copy. Whatever
 * the move ends in, settling it gives the disk to whom it belongs.
 */
export class HomeGate {
  readonly #vm: LocalVm;
  #shutting: Promise<unknown> = Promise.resolve();
  #stopHearing: (() => void) | undefined;

  constructor(vm: LocalVm) {
    this.#vm = vm;
  }

  /** Also between two looks: a receiver that was forced off can be started in its place a moment later. Harmless when repeated. */
  watch(run: MoveRun): void {
    const { uuid, connection } = this.#vm;
    this.#stopHearing ??= connection.onEvent((event) => {
      // What happened while libvirt was not heard is told by nobody.
      const isHeardAgain = event.kind === 'connection' && event.state === 'restored';
      const isStopped = event.kind === 'lifecycle' && event.uuid === uuid && event.event === 'stopped';
      if (!isHeardAgain && !isStopped) return;
      // Where it cannot be done now, the look that comes of it does.
      this.shut(run).catch(() => undefined);
    });
  }

  /** False where home has something of the VM after all. @throws HomewardError of `HomeDisk.revoke` */
  async shut(run: MoveRun): Promise<boolean> {
    if ((await see(this.#vm.connection, this.#vm.uuid, false)) !== 'absent') return false;
    // It may have been given up meanwhile, and then the disk is home's.
    if (!isUndecided(run.state.phase)) return true;
    const shutting = this.#vm.disk.revoke('home');
    this.#shutting = Promise.allSettled([this.#shutting, shutting]);
    await shutting;
    return true;
  }

  /** The move is decided: resolves when nothing is taken from home any more. */
  async leave(): Promise<void> {
    this.#stopHearing?.();
    await this.#shutting;
  }
}
