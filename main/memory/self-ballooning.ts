import {
  type GuestMemory,
  type MemorySample,
  type SelfBalloonState,
  selfBalloon,
  selfBalloonStart,
} from '../../shared/plan/self-balloon.ts';
import type { Connection } from '../libvirt/index.ts';
import { giveOnTheMove } from './balloon.ts';

export interface SelfBallooningOptions {
  /** A clock that nobody sets. */
  readonly monotonicMs: () => number;
  /** The guest has been asked for another size, with the reason in words. */
  readonly onAsked: (uuid: string, bytes: number, reason: string) => void;
  readonly onFault: (uuid: string, thrown: unknown) => void;
}

/** One look at a guest that is away. */
export interface GuestLook {
  readonly uuid: string;
  /** Another visit of the same VM begins anew. */
  readonly visit: string;
  readonly memory: GuestMemory;
  readonly fullBytes: number;
  readonly mode: MemorySample['mode'];
  readonly connect: () => Promise<Connection>;
}

interface Ballooned {
  state: SelfBalloonState;
  look: GuestLook;
  lookAtMs: number;
  isReporting: boolean;
  isBusy: boolean;
}

/** How often the guest's driver reports while it may be ballooned. */
const reportPeriodS = 1;
const askDeadlineMs = 5_000;
/** Not looked at for so long, it is out of reach, at home again or gone. */
const lostAfterMs = 10_000;
const farewellDeadlineMs = 2_000;

/** Carries out what `selfBalloon` decides, for each guest that is away, on the samples it is given. */
export class SelfBallooning {
  readonly #options: SelfBallooningOptions;
  readonly #guests = new Map<string, Ballooned>();

  constructor(options: SelfBallooningOptions) {
    this.#options = options;
  }

  /** Resolves when what this look led to is done; never rejects. Looks that come meanwhile are left out. */
  async look(look: GuestLook): Promise<void> {
    const guest = this.#guest(look);
    if (guest.isBusy) return;
    guest.isBusy = true;
    try {
      await this.#act(guest, look);
    } catch (thrown) {
      // Asked again with the next look.
      guest.state = { ...guest.state, askedBytes: undefined };
      this.#options.onFault(look.uuid, thrown);
    } finally {
      guest.isBusy = false;
    }
  }

  /** Nobody looks after them from now on: each has all its memory back, as far as it can be reached. */
  async stop(): Promise<void> {
    const now = this.#options.monotonicMs();
    const ballooned = [...this.#guests.values()].filter(
      ({ look, lookAtMs, state: { askedBytes } }) =>
        now - lookAtMs < lostAfterMs &&
        look.mode !== 'guard' &&
        Math.min(look.memory.currentBytes, askedBytes ?? look.fullBytes) < look.fullBytes,
    );
    this.#guests.clear();
    await Promise.all(
      ballooned.map(async ({ look: { uuid, fullBytes, connect } }) => {
        const restored = connect().then((connection) =>
          connection.setMemory(uuid, fullBytes, { deadlineMs: farewellDeadlineMs }),
        );
        // Where it cannot be reached, its kernel takes memory back from the balloon by itself at need.
        await Promise.race([restored, new Promise((resolve) => setTimeout(resolve, farewellDeadlineMs))]).catch(
          (thrown: unknown) => this.#options.onFault(uuid, thrown),
        );
      }),
    );
  }

  #guest(look: GuestLook): Ballooned {
    const lookAtMs = this.#options.monotonicMs();
    const known = this.#guests.get(look.uuid);
    const kept =
      known?.look.visit === look.visit ? known : { state: selfBalloonStart, isReporting: false, isBusy: false };
    const guest = Object.assign(kept, { look, lookAtMs });
    this.#guests.set(look.uuid, guest);
    return guest;
  }

  async #act(guest: Ballooned, { uuid, memory, fullBytes, mode, connect }: GuestLook): Promise<void> {
    const { monotonicMs, onAsked } = this.#options;
    if (!guest.isReporting && mode === 'balloon') {
      await (await connect()).setMemoryStatsPeriod(uuid, reportPeriodS, { deadlineMs: askDeadlineMs });
      guest.isReporting = true;
    }
    const { state, targetBytes, reason } = selfBalloon(guest.state, { atMs: monotonicMs(), memory, fullBytes, mode });
    guest.state = state;
    if (targetBytes === undefined) return;
    const connection = await connect();
    if (mode === 'guard') await giveOnTheMove(connection, uuid, targetBytes, askDeadlineMs);
    else await connection.setMemory(uuid, targetBytes, { deadlineMs: askDeadlineMs });
    onAsked(uuid, targetBytes, reason);
  }
}
