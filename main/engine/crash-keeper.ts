import type { Vm } from '../../shared/model/vm.ts';
import type { Fleet } from './fleet.ts';
import type { Journal } from './journal.ts';
import type { Moves } from './moves.ts';

export interface CrashKeeperOptions {
  readonly fleet: Pick<Fleet, 'connection' | 'list'>;
  readonly moves: Pick<Moves, 'isMoving'>;
  readonly journal: Pick<Journal, 'append'>;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** VIR_DOMAIN_SHUTOFF_CRASHED, VIR_DOMAIN_SHUTOFF_FAILED. */
const crashReasons: ReadonlySet<string> = new Set(['shutoff-crashed', 'shutoff-failed']);

/**
 * Tells when a VM's QEMU dies at home, which may be a moment after it came home and look like a move gone wrong. What ends
 * away, or on the way, is told by its host or its move.
 */
export class CrashKeeper {
  readonly #options: CrashKeeperOptions;
  readonly #running = new Set<string>();

  constructor(options: CrashKeeperOptions) {
    this.#options = options;
  }

  /** At each change, and after each move. */
  look(): void {
    const { fleet, moves, onFault } = this.#options;
    for (const vm of fleet.list()) {
      const isOff = vm.state === 'shutoff' || vm.state === 'crashed';
      if (!isOff) this.#running.add(vm.uuid);
      else if (vm.place.kind === 'home' && !moves.isMoving(vm.uuid) && this.#running.delete(vm.uuid))
        this.#tell(vm).catch((thrown: unknown) => onFault(`asking why ${vm.name} ended`, thrown));
    }
  }

  async #tell(vm: Vm): Promise<void> {
    const { fleet, journal } = this.#options;
    const isTold = vm.place.kind === 'home' && vm.place.ended !== undefined;
    if (isTold || !crashReasons.has((await (await fleet.connection(vm)).state(vm.uuid)).reason)) return;
    const text = `${vm.name} was not shut down: its QEMU died on this computer. Its disk is as after a power cut; start it with: virsh -c qemu:///${vm.connection} start ${vm.name}`;
    await journal.append({ kind: 'event', text });
  }
}
