import { HomewardError } from '../../shared/errors.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import { type MoveRun, sentencesOf } from '../migrate/index.ts';
import type { Journal } from './journal.ts';

export interface InheritedMovesOptions {
  readonly journal: Pick<Journal, 'openMoves'>;
  /** Makes a run of what was written of a move. */
  readonly takeUp: (move: Move, stored: unknown) => Promise<MoveRun>;
  readonly onFault: (what: string, thrown: unknown) => void;
}

const againMs = 5_000;

/** Moves that an earlier engine left unfinished, until they are taken up: such a VM is busy from the first moment on (I3). */
export class InheritedMoves {
  readonly #options: InheritedMovesOptions;
  /** By VM. */
  readonly #moves: Map<string, Move>;
  /** By VM: why its move could not be taken up, in sentences. */
  readonly #why = new Map<string, string>();

  constructor(options: InheritedMovesOptions) {
    this.#options = options;
    this.#moves = new Map(options.journal.openMoves().map(({ move }) => [move.vm, move]));
  }

  list(): readonly Move[] {
    return [...this.#moves.values()];
  }

  has(vm: string): boolean {
    return this.#moves.has(vm);
  }

  /** Such a move can neither be ended nor hurried. @throws HomewardError `vm-busy` */
  needNone({ name, uuid }: Pick<Vm, 'name' | 'uuid'>): void {
    if (!this.#moves.has(uuid)) return;
    throw new HomewardError(
      'vm-busy',
      `${name} was being moved when Homeward last ended, and that move is not taken up yet.`,
      { hint: this.#why.get(uuid) ?? 'Try again in a moment; see: homeward status' },
    );
  }

  recover(): void {
    for (const { move, data } of this.#options.journal.openMoves()) {
      // One that a person has begun meanwhile is nobody's to take up.
      if (this.#moves.has(move.vm)) void this.#takeUpAtLast(move, data);
    }
  }

  /** Resolves when that move is taken up; at once where it is none of these. */
  async takenUp(id: string): Promise<void> {
    while (this.list().some((move) => move.id === id)) {
      await new Promise((resolve) => setTimeout(resolve, againMs / 10));
    }
  }

  /** libvirt may still be starting, as after a reboot: tried until it is there. */
  async #takeUpAtLast(move: Move, stored: unknown): Promise<void> {
    for (;;) {
      try {
        const run = await this.#options.takeUp(move, stored);
        this.#moves.delete(move.vm);
        this.#why.delete(move.vm);
        run.post({ kind: 'engine-restarted' });
        return;
      } catch (thrown) {
        this.#why.set(move.vm, sentencesOf(thrown));
        this.#options.onFault(`taking up the move of ${move.vmName}`, thrown);
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
    }
  }
}
