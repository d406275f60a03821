import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, LibvirtError, libvirtErrorCode } from '../libvirt/index.ts';
import type { Clock } from './clock.ts';

type DirtyRateConnection = Pick<Connection, 'allStats' | 'startDirtyRateCalc'>;

const periodS = 1;
const patienceMs = 3_000;
const lookAgainMs = 200;
/** Each measuring has QEMU hash some pages, a second apart. */
const everyMs = 10_000;
/** Older than two measurings that failed, a figure says nothing of now. */
const freshForMs = 3 * everyMs;
const unsupported: ReadonlySet<number> = new Set([
  libvirtErrorCode.NO_SUPPORT,
  libvirtErrorCode.OPERATION_UNSUPPORTED,
  libvirtErrorCode.CONFIG_UNSUPPORTED,
]);

/**
 * Has QEMU measure for a second how much memory the VM rewrites, in bytes per second. Where a measuring is under way
 * already, its result is taken. Undefined where none comes.
 * @throws LibvirtError also where QEMU is too old to tell
 */
export async function measureDirtyRate(connection: DirtyRateConnection, uuid: string): Promise<number | undefined> {
  try {
    await connection.startDirtyRateCalc(uuid, periodS);
  } catch (thrown) {
    if ((await resultOf(connection, uuid))?.status !== 'measuring') throw thrown;
  }
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    await sleep(lookAgainMs);
    const result = await resultOf(connection, uuid);
    if (result?.status === 'measured' && result.mebibytesPerSec !== undefined) {
      return result.mebibytesPerSec * 1024 * 1024;
    }
  }
  return undefined;
}

async function resultOf(connection: DirtyRateConnection, uuid: string) {
  const records = await connection.allStats(['dirtyrate'], { nowait: true });
  return records.find((record) => record.uuid === uuid)?.stats.dirtyRate;
}

interface Measured {
  /** When it was last asked for. */
  askedMs: number;
  bytesPerSec?: number | undefined;
  takenMs?: number;
  isBusy: boolean;
  /** This QEMU, or the libvirt before it, does not know how. */
  isUseless: boolean;
}

/** How fast VMs rewrite memory, measured every ten seconds for as long as somebody wants to know. */
export class DirtyRates {
  readonly #clock: Clock;
  readonly #wanted: (uuid: string) => boolean;
  readonly #vms = new Map<string, Measured>();

  /** `wanted`: asked each second; false while nobody needs it, or while the VM moves and measures for itself. */
  constructor(wanted: (uuid: string) => boolean, clock: Clock) {
    this.#wanted = wanted;
    this.#clock = clock;
  }

  /** Measures if it is time to; never throws. */
  async tick(uuid: string, connect: () => Promise<DirtyRateConnection>): Promise<void> {
    if (!this.#wanted(uuid)) {
      // What this QEMU cannot do, it still cannot when the next window opens.
      if (this.#vms.get(uuid)?.isUseless === false) this.#vms.delete(uuid);
      return;
    }
    const vm = this.#vms.get(uuid) ?? { askedMs: Number.NEGATIVE_INFINITY, isBusy: false, isUseless: false };
    this.#vms.set(uuid, vm);
    if (vm.isBusy || vm.isUseless || this.#clock.monotonicMs() - vm.askedMs < everyMs) return;
    vm.isBusy = true;
    vm.askedMs = this.#clock.monotonicMs();
    try {
      vm.bytesPerSec = await measureDirtyRate(await connect(), uuid);
      vm.takenMs = this.#clock.monotonicMs();
    } catch (thrown) {
      vm.isUseless = thrown instanceof LibvirtError && unsupported.has(thrown.code);
    } finally {
      vm.isBusy = false;
    }
  }

  /** As measured last, if that was lately. */
  of(uuid: string): number | undefined {
    const { bytesPerSec, takenMs = Number.NEGATIVE_INFINITY } = this.#vms.get(uuid) ?? {};
    return this.#clock.monotonicMs() - takenMs <= freshForMs ? bytesPerSec : undefined;
  }

  /** It runs elsewhere from now on, or not at all: another QEMU, another answer. */
  forget(uuid: string): void {
    this.#vms.delete(uuid);
  }
}
