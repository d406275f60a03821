import type { Endpoint } from '../../shared/endpoint.ts';
import { HomewardError, reportOf } from '../../shared/errors.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Calls, Decision, Pairing, Status } from '../../shared/rpc.ts';
import type { EngineState } from '../../shared/window.ts';
import { connectEngine, type EngineClient, isNoEngine, pause } from '../client/index.ts';

/** What one who looks on is told. Each is given the state, and the status where there is one, at once. */
export interface EngineWatcher {
  engine(state: EngineState): void;
  status(status: Status): void;
  move(move: Move): void;
  decision(decision: Decision): void;
  pairing(pairing: Pairing): void;
}

const retryMs = 1_000;

/**
 * The shell's one connection to the engine, for its tray and all its windows: they see the same thing at the same
 * moment, and the engine puts each status together once. Tried every second while there is none.
 */
export class EngineLine {
  readonly #watchers = new Set<EngineWatcher>();
  readonly #stop = new AbortController();
  readonly #onFault: (fault: HomewardError) => void;
  #wake: AbortController = new AbortController();
  #client: EngineClient | undefined;
  #state: EngineState = 'connecting';
  #status: Status | undefined;
  #lastFault = '';
  readonly #early: ((watcher: EngineWatcher) => void)[] = [];
  #ended: Promise<void> | undefined;

  /** @param onFault Why the engine cannot be reached, where it is not just that none runs; each reason once. */
  constructor(onFault: (fault: HomewardError) => void) {
    this.#onFault = onFault;
  }

  get state(): EngineState {
    return this.#state;
  }

  /** The engine's last word; old where `state` is not `up`. */
  get status(): Status | undefined {
    return this.#status;
  }

  start(): void {
    this.#ended ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    this.#client?.close();
    await this.#ended;
  }

  /** Returns what ends it. */
  watch(watcher: EngineWatcher): () => void {
    this.#watchers.add(watcher);
    watcher.engine(this.#state);
    if (this.#state === 'up' && this.#status !== undefined) watcher.status(this.#status);
    return () => this.#watchers.delete(watcher);
  }

  /** Tries now instead of within a second. */
  tryNow(): void {
    this.#wake.abort();
  }

  /** How long is worth waiting is for whoever asks: pairing waits for a person. */
  readonly call: Endpoint<Calls, Record<string, never>>['call'] = (method, params, options) => {
    const client = this.#client;
    if (client === undefined) {
      return Promise.reject(
        new HomewardError('engine-not-running', 'The engine is not running.', {
          hint: 'Start it here, or with: homeward engine --detach',
        }),
      );
    }
    return client.call(method, params, { timeoutMs: Number.POSITIVE_INFINITY, ...options });
  };

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#connectOnce().catch((error: unknown) => this.#tell(error));
      this.#client = undefined;
      if (signal.aborted) return;
      // One that was never there is still being looked for.
      if (this.#state === 'up') this.#become('gone');
      this.#wake = new AbortController();
      await pause(retryMs, this.#wake.signal);
    }
  }

  /** Resolves when the connection has ended. */
  async #connectOnce(): Promise<void> {
    const client = await connectEngine({
      listeners: {
        status: (status) => this.#take(status),
        move: (move) => this.#pass((watcher) => watcher.move(move)),
        decision: (decision) => this.#pass((watcher) => watcher.decision(decision)),
        pairing: (pairing) => this.#pass((watcher) => watcher.pairing(pairing)),
      },
    });
    try {
      if (this.#stop.signal.aborted) return;
      this.#client = client;
      const status = await client.call('engine.status', {});
      this.#lastFault = '';
      this.#become('up');
      this.#take(status);
      for (const tell of this.#early.splice(0)) this.#each(tell);
      await client.closed;
    } finally {
      this.#early.length = 0;
      client.close();
    }
  }

  #become(state: EngineState): void {
    this.#state = state;
    this.#each((watcher) => watcher.engine(state));
  }

  #take(status: Status): void {
    // Before it is up the answer to our own question is on its way, with no less in it.
    if (this.#state !== 'up') return;
    this.#status = status;
    this.#each((watcher) => watcher.status(status));
  }

  /** Nobody hears of a move before the status it belongs to. */
  #pass(tell: (watcher: EngineWatcher) => void): void {
    if (this.#state === 'up') this.#each(tell);
    else this.#early.push(tell);
  }

  #each(tell: (watcher: EngineWatcher) => void): void {
    for (const watcher of this.#watchers) tell(watcher);
  }

  #tell(error: unknown): void {
    if (isNoEngine(error) || this.#stop.signal.aborted) return;
    const { code, message, hint } = reportOf(error);
    if (message === this.#lastFault) return;
    this.#lastFault = message;
    this.#onFault(new HomewardError(code, message, { hint, cause: error }));
  }
}
