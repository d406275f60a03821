import type { Vm } from '../../shared/model/vm.ts';
import { hasMemory, offerAnew } from '../memory/index.ts';
import type { Fleet } from './fleet.ts';
import type { Moves } from './moves.ts';

export interface BalloonKeeperOptions {
  readonly fleet: Pick<Fleet, 'connection' | 'list'>;
  readonly moves: Pick<Moves, 'isMoving'>;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** Default: the monotonic clock, in milliseconds. */
  readonly nowMs?: () => number;
}

const lookEveryMs = 3_000;
/** A guest that has not taken its memory back by then will not. */
const patienceMs = 300_000;

/**
 * Sees to it that a VM that came home smaller has all of its memory again, and that libvirt knows (I5). A guest that boots anew
 * in that moment has it, but its balloon driver, which holds nothing then, says nothing: QEMU and libvirt go on counting what
 * had been taken, and the VM would leave the next time as one that may have no more.
 */
export class BalloonKeeper {
  readonly #options: BalloonKeeperOptions;
  readonly #nowMs: () => number;
  /** By VM. */
  readonly #owed = new Map<string, { readonly bytes: number; readonly untilMs: number }>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(options: BalloonKeeperOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** The guest was asked to take back memory until it has `bytes`. */
  given(vm: string, bytes: number): void {
    this.#owed.set(vm, { bytes, untilMs: this.#nowMs() + patienceMs });
    this.#timer ??= setInterval(() => void this.look(), lookEveryMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Never throws, never overlaps itself. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      await this.#lookAtAll();
    } finally {
      this.#looking = false;
    }
  }

  async #lookAtAll(): Promise<void> {
    for (const [uuid, { bytes, untilMs }] of this.#owed) {
      const vm = this.#options.fleet.list().find((one) => one.uuid === uuid);
      if (vm !== undefined && this.#options.moves.isMoving(uuid)) continue;
      // One that is off, or away, begins with all of its memory.
      const mayOwe = vm?.place.kind === 'home' && vm.state === 'running' && this.#nowMs() < untilMs;
      if (!mayOwe || (await this.#isPaid(vm, bytes))) this.#owed.delete(uuid);
    }
    if (this.#owed.size === 0) this.stop();
  }

  async #isPaid(vm: Vm, bytes: number): Promise<boolean> {
    try {
      const connection = await this.#options.fleet.connection(vm);
      if (await hasMemory(connection, vm.uuid, bytes)) return true;
      await offerAnew(connection, vm.uuid, bytes);
    } catch (thrown) {
      this.#options.onFault(`giving ${vm.name} its memory back`, thrown);
    }
    return false;
  }
}
