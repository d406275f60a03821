import { flushSync } from 'react-dom';
import type { Move } from '../shared/model/move.ts';
import type { Pairing, Status } from '../shared/rpc.ts';
import type { EngineState, ShellFacts } from '../shared/window.ts';
import { type Call, connectBridge } from './bridge.ts';
import { Series } from './series.ts';

const goodNewsMs = 6_000;

export interface Notice {
  readonly id: number;
  readonly tone: 'good' | 'bad';
  readonly text: string;
}

export interface WindowState {
  /** Whether the shell can be reached. */
  readonly shell: 'connecting' | 'open' | 'gone';
  readonly engine: EngineState;
  /** The last that was heard; kept while shell or engine are gone. */
  readonly status: Status | undefined;
  readonly facts: ShellFacts | undefined;
  /** Pairings that wait for a person here, newest last. */
  readonly pairings: readonly Pairing[];
  /** Moves that ended while this window was open, newest first. */
  readonly ended: readonly Move[];
  /** The last end of each VM's moves that nobody has dismissed yet. */
  readonly news: readonly Move[];
  /** Grows whenever the log has something new. */
  readonly logged: number;
  readonly notices: readonly Notice[];
}

const rememberedMoves = 20;
const pairingCheckMs = 2_000;
/** The person at the other computer has to look, compare and answer. */
const personTimeoutMs = 10 * 60_000;

/** All a window knows. React reads it through useSyncExternalStore: `subscribe` and `state`. */
export class Store {
  readonly call: Call;
  readonly series = new Series();
  #state: WindowState = {
    shell: 'connecting',
    engine: 'connecting',
    status: undefined,
    facts: undefined,
    pairings: [],
    ended: [],
    news: [],
    logged: 0,
    notices: [],
  };
  #listeners = new Set<() => void>();
  #lastNotice = 0;
  /** Answered here, and not yet there. */
  readonly #answering = new Set<string>();
  #pairingCheck: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.call = connectBridge({
      opened: () => this.#askAnew(),
      // Whether there is an engine, only a shell can say.
      closed: () => this.#set({ shell: 'gone', engine: 'connecting' }),
      engine: ({ state }) => this.#hearEngine(state),
      status: (status) => this.#hearStatus(status),
      move: (move) => this.#hearMove(move),
      decision: () => this.#set({ logged: this.#state.logged + 1 }),
      pairing: (pairing) => this.addPairing(pairing),
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly state = (): WindowState => this.#state;

  say(tone: Notice['tone'], text: string): void {
    this.#lastNotice += 1;
    const notice = { id: this.#lastNotice, tone, text };
    // The same said twice is said once.
    this.#set({ notices: [...this.#state.notices.filter((other) => other.text !== text), notice].slice(-3) });
    // Good news lies over what one may want to press next; bad news waits to be read.
    if (tone === 'good') setTimeout(() => this.dismiss(notice.id), goodNewsMs);
  }

  dismiss(id: number): void {
    this.#set({ notices: this.#state.notices.filter((notice) => notice.id !== id) });
  }

  dismissNews(move: string): void {
    this.#set({ news: this.#state.news.filter(({ id }) => id !== move) });
  }

  setFacts(facts: ShellFacts): void {
    this.#set({ facts });
  }

  addPairing(pairing: Pairing): void {
    this.#set({ pairings: [...this.#state.pairings.filter(({ id }) => id !== pairing.id), pairing] });
    this.#checkPairingsSoon();
  }

  /** Resolves when the other side has answered too; until then the pairing stays in sight. */
  async answerPairing({ id, peerName }: Pairing, accept: boolean): Promise<void> {
    this.#answering.add(id);
    try {
      const { paired } = await this.call('pair.answer', { id, accept }, { timeoutMs: personTimeoutMs });
      if (paired) this.say('good', `Paired with ${peerName}.`);
      else if (accept) this.say('bad', `${peerName} did not accept. Nothing was paired.`);
    } finally {
      this.#answering.delete(id);
    }
    this.removePairing(id);
  }

  removePairing(id: string): void {
    this.#set({ pairings: this.#state.pairings.filter((pairing) => pairing.id !== id) });
  }

  /** A shell that was gone may know nothing of what was; every answer replaces what was kept. */
  #askAnew(): void {
    this.#set({ shell: 'open' });
    // A failure is no news: without an engine the shell says so by event, and status comes when there is one.
    const ignore = (): void => undefined;
    this.call('shell.facts', {}).then((facts) => this.#set({ facts }), ignore);
    this.call('engine.status', {}).then((status) => {
      this.#hearEngine('up');
      this.#hearStatus(status);
    }, ignore);
  }

  #hearEngine(engine: EngineState): void {
    if (engine === this.#state.engine) return;
    this.#set(engine === 'up' ? { engine, logged: this.#state.logged + 1 } : { engine });
    if (engine === 'up') this.#askPairings();
  }

  #hearStatus(status: Status): void {
    this.series.take(status.vms, status.hosts);
    const moved = changedPlace(this.#state.status, status);
    if (moved) showTravel(() => this.#set({ status }));
    else this.#set({ status });
  }

  #hearMove(move: Move): void {
    if (move.endedAt === undefined) return;
    const others = this.#state.ended.filter(({ id }) => id !== move.id);
    this.#set({
      ended: [move, ...others].slice(0, rememberedMoves),
      news: [move, ...this.#state.news.filter(({ vm }) => vm !== move.vm)],
      logged: this.#state.logged + 1,
    });
  }

  /** Another window or the command line may answer too, and nothing tells of it. */
  #checkPairingsSoon(): void {
    clearTimeout(this.#pairingCheck);
    if (this.#state.pairings.length > 0) this.#pairingCheck = setTimeout(() => this.#askPairings(), pairingCheckMs);
  }

  #askPairings(): void {
    this.call('pair.pending', {})
      .then((pending) => {
        const waiting = this.#state.pairings.filter(({ id }) => this.#answering.has(id));
        const others = pending.filter(({ id }) => !waiting.some((pairing) => pairing.id === id));
        this.#set({ pairings: [...waiting, ...others] });
      })
      .catch(() => undefined)
      .finally(() => this.#checkPairingsSoon());
  }

  #set(change: Partial<WindowState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function changedPlace(before: Status | undefined, after: Status): boolean {
  return after.vms.some(({ uuid, place }) => {
    const was = before?.vms.find((vm) => vm.uuid === uuid)?.place;
    return was !== undefined && was.kind !== place.kind;
  });
}

/** Lets the browser carry a VM's card from its old place to the new one, unless motion is not wanted. */
function showTravel(change: () => void): void {
  const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (still || document.hidden || document.startViewTransition === undefined) change();
  else {
    // A second change cuts the first one's motion short, which is no fault.
    document.startViewTransition(() => flushSync(change)).ready.catch(() => undefined);
  }
}
