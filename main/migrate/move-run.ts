import { HomewardError } from '../../shared/errors.ts';
import {
  canGiveUp,
  isCancellable,
  isOver,
  type MoveEffect,
  type MoveEvent,
  type MoveState,
  planned,
  step,
} from '../../shared/machine/move-machine.ts';
import { Move, type Phase } from '../../shared/model/move.ts';
import type { Hurry } from '../../shared/plan/plan-watch.ts';
import type { MoveData } from './move-data.ts';
import { sentencesOf } from './words.ts';

/** What a running move does; every answer is an event posted back. */
export interface Effects {
  /** Resolves when both sides are ready. May journal through `remember` before it changes anything. */
  prepare(run: MoveRun): Promise<void>;
  /** The migrate call itself; resolves when libvirt says the VM runs at the destination. */
  migrate(run: MoveRun, resume: boolean): Promise<void>;
  flip(run: MoveRun): Promise<void>;
  abort(run: MoveRun): Promise<void>;
  look(run: MoveRun): Promise<Extract<MoveEvent, { kind: 'seen' }>>;
  awaitLink(run: MoveRun): Promise<void>;
  recordPlace(run: MoveRun): Promise<void>;
  settle(run: MoveRun): Promise<void>;
  /** Why there is no post-copy, if so. */
  readonly postcopyObstacle: string | undefined;
  /** As `MoveRun.hurry`. */
  hurry(run: MoveRun, hurry: Hurry | undefined): boolean;
}

/** Where each change of a move is written before it is acted on, and told to whoever watches. */
export interface MoveSink {
  journal(move: Move, data: MoveData | null): Promise<void>;
  changed(move: Move): void;
  /** A step that did not work, for the log; the machine decides what comes of it. */
  failed(step: string, thrown: unknown): void;
}

const retryMs = 2_000;
/** Less is the clock on the wall. */
const leastDeadlineChangeMs = 1_000;

/**
 * Runs one move: feeds events to the machine one at a time, journals each new state before its effects
 * begin (I3), and keeps the figures people see.
 */
export class MoveRun {
  readonly ended: Promise<Move>;
  #move: Move;
  #data: MoveData;
  readonly #effects: Effects;
  readonly #sink: MoveSink;
  readonly #startedMs: number;
  #phaseSinceMs: number;
  #queue: Promise<void> = Promise.resolve();
  #resolveEnded: (move: Move) => void = () => undefined;
  #finishNowAsked = false;
  #preparing: Promise<void> = Promise.resolve();

  constructor(
    move: Move,
    data: Omit<MoveData, 'state'> & { readonly state?: MoveState },
    effects: Effects,
    sink: MoveSink,
  ) {
    this.#move = move;
    this.#data = { ...data, state: data.state ?? planned(move.direction) };
    this.#effects = effects;
    this.#sink = sink;
    // The clock on the wall may have been set back since.
    this.#startedMs = performance.now() - Math.max(0, Date.now() - Date.parse(move.startedAt));
    this.#phaseSinceMs = performance.now();
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  get move(): Move {
    return this.#move;
  }

  get data(): MoveData {
    return this.#data;
  }

  get state(): MoveState {
    return this.#data.state;
  }

  get finishNowAsked(): boolean {
    return this.#finishNowAsked;
  }

  /** Journals the plan and begins. @throws what the journal throws; nothing has begun then. */
  async begin(): Promise<void> {
    await this.#sink.journal(this.#move, this.#data);
    this.#sink.changed(this.#move);
    this.post({ kind: 'begin' });
  }

  /** @param reason a clause for people, where not the user asked. @throws HomewardError `too-late` with the reason, in words. */
  cancel(reason?: string): void {
    if (!isCancellable(this.state)) {
      throw new HomewardError('too-late', this.#whyTooLate(), { hint: 'Let the move finish, then bring the VM back.' });
    }
    this.post({ kind: 'cancel', ...(reason === undefined ? {} : { reason }) });
  }

  #whyTooLate(): string {
    const { vmName } = this.#move;
    const { cancelAsked, flipAsked, flipped, handedOver, phase } = this.state;
    if (cancelAsked) return `${vmName} is already being cancelled.`;
    return phase === 'copying' && flipAsked === true && !flipped && handedOver !== true
      ? `${vmName} is switching to its destination at this moment; calling the move off now could lose it.`
      : `${vmName} already runs at its destination; calling the move off now would lose it.`;
  }

  /** @throws HomewardError `too-late` or `no-postcopy`. */
  finishNow(): void {
    const { postcopyObstacle } = this.#effects;
    if (postcopyObstacle !== undefined) {
      throw new HomewardError('no-postcopy', `${this.#move.vmName} cannot change over early: ${postcopyObstacle}`);
    }
    if (this.state.phase !== 'copying') {
      throw new HomewardError('too-late', `${this.#move.vmName} is not being copied, so there is nothing to hurry.`);
    }
    this.#finishNowAsked = true;
  }

  /** The other machine is lost for good. @throws HomewardError `vm-busy` where the move ends without it */
  giveUp(): void {
    if (!canGiveUp(this.state)) {
      throw new HomewardError(
        'vm-busy',
        `${this.#move.vmName} is being moved, and that does not need the host to end.`,
        {
          hint: `Stop it with: homeward cancel ${this.#move.vmName}`,
        },
      );
    }
    this.post({ kind: 'given-up' });
  }

  /** What the signs of departure allow it from now on. Whether it is that by which it has to be over. */
  hurry(hurry: Hurry | undefined): boolean {
    return this.#effects.hurry(this, hurry);
  }

  post(event: MoveEvent): void {
    this.#queue = this.#queue.then(() => this.#take(event));
  }

  /** Writes down what recovery would need, before the step that needs it. */
  async remember(change: Partial<Omit<MoveData, 'state'>>): Promise<void> {
    this.#data = { ...this.#data, ...change };
    await this.#sink.journal(this.#move, this.#data);
  }

  note(figures: Partial<Pick<Move, 'plan' | 'progress' | 'memoryBytes' | 'wireBytes' | 'downtimeMs'>>): void {
    const figured = Move.safeParse({ ...this.#move, ...figures });
    // What could not be written down would keep the move's next state, too, from being so.
    if (figured.success) {
      this.#move = figured.data;
      this.#sink.changed(this.#move);
    } else this.#sink.failed('figures', figured.error);
  }

  noteLink(up: boolean): void {
    if (isOver(this.state.phase) || up === (this.#move.linkDown !== true)) return;
    const { linkDown: _before, ...move } = this.#move;
    this.#move = up ? move : { ...move, linkDown: true };
    this.#sink.changed(this.#move);
  }

  /** @param leftMs until it is to be over; undefined where nobody waits */
  noteLeft(leftMs: number | undefined): void {
    if (isOver(this.state.phase)) return;
    const { deadlineAt: before, ...move } = this.#move;
    const atMs = leftMs === undefined ? undefined : Date.now() + leftMs;
    const beforeMs = before === undefined ? undefined : Date.parse(before);
    if (atMs === beforeMs) return;
    if (atMs !== undefined && beforeMs !== undefined && Math.abs(atMs - beforeMs) < leastDeadlineChangeMs) return;
    this.#move = atMs === undefined ? move : { ...move, deadlineAt: new Date(atMs).toISOString() };
    this.#sink.changed(this.#move);
  }

  async #take(event: MoveEvent): Promise<void> {
    const before = this.state;
    const { state, effects } = step(before, event);
    if (state !== before) {
      this.#data = { ...this.#data, state };
      this.#move = this.#told(before.phase, state);
      await this.#write();
      this.#sink.changed(this.#move);
      if (isOver(state.phase)) this.#resolveEnded(this.#move);
    }
    for (const effect of effects) void this.#run(effect);
  }

  /**
   * A journal that cannot be written must not stop a move half-way: the VM would be stuck between two
   * machines. Before the copy begins it does stop it, since nothing has happened yet.
   */
  async #write(): Promise<void> {
    try {
      await this.#sink.journal(this.#move, isOver(this.state.phase) ? null : this.#data);
    } catch (thrown) {
      this.#sink.failed('journal', thrown);
      if (this.state.phase === 'preparing') {
        this.post({ kind: 'prepare-failed', reason: sentencesOf(thrown) });
      }
    }
  }

  #told(from: Phase, state: MoveState): Move {
    const now = performance.now();
    const phases =
      state.phase === from ? this.#move.phases : [...this.#move.phases, { name: from, ms: now - this.#phaseSinceMs }];
    if (state.phase !== from) this.#phaseSinceMs = now;
    const ended = isOver(state.phase) ? { endedAt: new Date().toISOString(), totalMs: now - this.#startedMs } : {};
    const failure = state.failure === undefined || state.outcome === 'done' ? {} : { failure: state.failure };
    // What went wrong on the way to a good end is the log's.
    const { failure: _overcome, ...move } = this.#move;
    return {
      ...move,
      ...ended,
      ...failure,
      phase: state.phase,
      phases,
      mode: state.flipped ? 'postcopy' : 'precopy',
      cancellable: isCancellable(state),
    };
  }

  async #run(effect: MoveEffect): Promise<void> {
    switch (effect.kind) {
      case 'prepare':
        this.#preparing = this.#effects.prepare(this);
        return this.#answer(this.#preparing, { kind: 'prepared' }, (reason) => ({
          kind: 'prepare-failed',
          reason,
        }));
      case 'migrate':
        return this.#answer(this.#effects.migrate(this, effect.resume), { kind: 'migrate-succeeded' }, (reason) => ({
          kind: 'migrate-failed',
          reason,
        }));
      // What comes of these two is seen in how the migrate call ends.
      case 'flip':
        return this.#effects.flip(this).catch((thrown: unknown) => this.#sink.failed('flip', thrown));
      case 'abort':
        return this.#effects.abort(this).catch((thrown: unknown) => this.#sink.failed('abort', thrown));
      case 'look':
        return this.#until(async () => this.post(await this.#effects.look(this)));
      case 'await-link':
        return this.#until(async () => {
          await this.#effects.awaitLink(this);
          this.post({ kind: 'link-up' });
        });
      case 'record-place':
        return this.#until(async () => {
          await this.#effects.recordPlace(this);
          this.post({ kind: 'place-recorded' });
        });
      case 'settle':
        // A preparation that is still under way would build up again what settling takes down.
        await this.#preparing.catch(() => undefined);
        return this.#until(async () => {
          let settled: MoveState;
          do {
            settled = this.state;
            await this.#effects.settle(this);
            // Given up meanwhile, it is another end that is to be settled.
          } while (this.state !== settled);
          this.post({ kind: 'settled' });
        });
      default:
        return effect satisfies never;
    }
  }

  async #answer(work: Promise<void>, success: MoveEvent, failed: (reason: string) => MoveEvent): Promise<void> {
    try {
      await work;
      this.post(success);
    } catch (thrown) {
      this.#sink.failed(this.state.phase, thrown);
      this.post(failed(sentencesOf(thrown)));
    }
  }

  /** These must happen in the end: they are tried until they do. */
  async #until(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await work();
      } catch (thrown) {
        this.#sink.failed(this.state.phase, thrown);
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }
}
