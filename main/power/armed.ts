import type { Network, Readings } from '../../shared/model/signal.ts';
import { Bus } from '../bus/index.ts';
import { atMost } from './at-most.ts';
import { externalDisplays } from './displays.ts';
import { monitorRoutes, readRoutes } from './ip-monitor.ts';
import { doesLidLockScreen, isLidIgnored, lidTakenBy } from './lid.ts';
import { type ListedLock, Logind, type LogindState, onLogindChange, onLogindOwner, readLocks } from './logind.ts';
import { onNetworkManagerChange, onNetworkManagerOwner, readNetworkManager } from './network-manager.ts';
import { Source } from './source.ts';
import { onUpowerChange, onUpowerOwner, readUpower } from './upower.ts';

/** What is not there to be watched. */
export type MissingService = 'bus' | 'logind' | 'upower' | 'network-manager' | 'ip';

export interface PowerWatchOptions {
  /** One look at everything, at the pace asked for and at each change that is announced. */
  readonly onReadings: (readings: Readings) => void;
  /** Somebody should see whether logind knows the locks: it, or the bus, was started anew, or only now. */
  readonly onLogindAnew: () => void;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** `close`: logind announces neither lid nor dock (before 256), so it is asked. `easy`: what is announced will do. */
const lookEveryMs = { close: 1_000, easy: 10_000 } as const;
export type Pace = keyof typeof lookEveryMs;
const slowEveryMs = 10_000;
const displaysEveryMs = 5_000;
/** How long a look waits for everybody but logind; what comes later is looked at when it comes. */
const othersWithinMs = 300;
/** Some services announce a change in ten pieces. */
const settleMs = 100;
const reconnectMs = 2_000;

/** From arming to disarming: one connection to the bus after another, and a look at a time. */
export class Armed {
  readonly #options: PowerWatchOptions;
  readonly #logind: Source<LogindState>;
  readonly #locks: Source<readonly ListedLock[]>;
  readonly #upower: Source<Awaited<ReturnType<typeof readUpower>>>;
  readonly #manager: Source<Network>;
  readonly #routes = new Source(readRoutes, slowEveryMs);
  readonly #displays = new Source(externalDisplays, displaysEveryMs);
  readonly #loop: Promise<void>;
  /** Resolves after the first look. */
  readonly #looked = Promise.withResolvers<void>();
  #bus: Bus | undefined;
  #speaker: Logind | undefined;
  #stopMonitor: (() => void) | undefined;
  #nudged = false;
  #stopped = false;
  #pace: Pace = 'close';
  #wake: () => void = () => undefined;

  constructor(options: PowerWatchOptions) {
    this.#options = options;
    const withBus = <T>(read: (bus: Bus) => Promise<T>, everyMs: number): Source<T> =>
      new Source(async () => {
        if (this.#bus === undefined) throw new Error('There is no bus.');
        return read(this.#bus);
      }, everyMs);
    this.#logind = withBus((bus) => {
      this.#speaker ??= new Logind(bus);
      return this.#speaker.read();
    }, 0);
    this.#locks = withBus(readLocks, 0);
    this.#upower = withBus(readUpower, slowEveryMs);
    this.#manager = withBus(readNetworkManager, slowEveryMs);
    this.#loop = this.#run();
  }

  setPace(pace: Pace): void {
    const isCloser = pace === 'close' && this.#pace !== 'close';
    this.#pace = pace;
    if (isCloser) this.#wake();
  }

  async missing(): Promise<readonly MissingService[]> {
    await this.#looked.promise;
    // Whoever is slow has not been heard at the first look.
    const nowMs = performance.now();
    await Promise.all([this.#logind, this.#upower, this.#manager].map((source) => source.refresh(nowMs)));
    await this.#lookAtRoutes(nowMs);
    const noRoutes = this.#manager.missing && this.#routes.missing ? (['ip'] as const) : [];
    if (this.#bus === undefined) return ['bus', ...noRoutes];
    return [
      ...(this.#logind.missing ? (['logind'] as const) : []),
      ...(this.#upower.missing ? (['upower'] as const) : []),
      ...(this.#manager.missing ? (['network-manager'] as const) : []),
      ...noRoutes,
    ];
  }

  async locks(): Promise<readonly ListedLock[] | undefined> {
    await this.#looked.promise;
    const bus = this.#bus;
    return bus === undefined ? undefined : readLocks(bus).catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#loop;
  }

  async #run(): Promise<void> {
    let isFirst = true;
    while (!this.#stopped) {
      try {
        this.#bus = await this.#connect();
        if (this.#bus !== undefined && !isFirst) this.#options.onLogindAnew();
        isFirst = false;
        await this.#lookUntilGone();
      } catch (thrown) {
        // Whatever it was, a VM may be away: the next look must come.
        this.#options.onFault('watching power and network', thrown);
        await this.#rest();
      } finally {
        await this.#bus?.close();
        this.#bus = undefined;
        this.#speaker = undefined;
      }
    }
    this.#looked.resolve();
    this.#stopMonitor?.();
  }

  async #connect(): Promise<Bus | undefined> {
    const bus = await Bus.system();
    if (bus === undefined) return undefined;
    for (const source of [this.#logind, this.#locks, this.#upower, this.#manager]) source.nudge();
    const nudge = (source: Pick<Source<unknown>, 'nudge'>): (() => void) => {
      return () => {
        source.nudge();
        this.#nudge();
      };
    };
    try {
      let known = false;
      await onLogindOwner(bus, () => {
        if (known) this.#options.onLogindAnew();
        known = true;
        this.#speaker = undefined;
        this.#locks.nudge();
        nudge(this.#logind)();
      });
      await onLogindChange(bus, nudge(this.#logind));
      await onUpowerOwner(bus, nudge(this.#upower));
      await onUpowerChange(bus, nudge(this.#upower));
      await onNetworkManagerOwner(bus, nudge(this.#manager));
      await onNetworkManagerChange(bus, nudge(this.#manager));
      return bus;
    } catch (thrown) {
      await bus.close();
      this.#options.onFault('listening to the machine’s message bus', thrown);
      return undefined;
    }
  }

  /** Looks again and again, until it is stopped or the bus has gone; without a bus, until one may be there. */
  async #lookUntilGone(): Promise<void> {
    const bus = this.#bus;
    let gone = false;
    void bus?.closed.then(() => {
      gone = true;
      this.#wake();
    });
    const sinceMs = performance.now();
    do {
      this.#nudged = false;
      await this.#look();
      this.#looked.resolve();
      await this.#rest();
    } while (!this.#stopped && !gone && (bus !== undefined || performance.now() - sinceMs < reconnectMs));
  }

  async #look(): Promise<void> {
    const nowMs = performance.now();
    // logind says when sleep begins, and waits for seconds; that long a service that hangs says nothing.
    await Promise.all([this.#logind.refresh(nowMs), this.#lookAtOthers(nowMs)]);
    const logind = this.#logind.valueAt(nowMs);
    const upower = this.#upower.valueAt(nowMs);
    const lidIgnored = logind && (await isLidIgnored(logind, () => this.#lidTakenBy(nowMs)));
    if (this.#stopped) return;
    this.#options.onReadings({
      lidClosed: logind?.lidClosed,
      lidIgnored,
      lidLocksScreen: logind && doesLidLockScreen(logind),
      docked: logind?.docked,
      externalDisplays: this.#displays.valueAt(nowMs),
      onMains: upower?.onMains ?? logind?.onMains,
      battery: upower?.battery,
      network: this.#manager.valueAt(nowMs) ?? this.#routes.valueAt(nowMs),
      ending: logind?.preparingFor && { how: logind.preparingFor, delayMs: logind.delayMaxMs },
    });
  }

  async #lookAtOthers(nowMs: number): Promise<void> {
    let isLate = false;
    const manager = this.#manager.refresh(nowMs);
    const routes = this.#manager.missing ? this.#lookAtRoutes(nowMs) : manager.then(() => this.#lookAtRoutes(nowMs));
    const all = Promise.all([this.#upower.refresh(nowMs), this.#displays.refresh(nowMs), manager, routes]);
    const heard = all.then(() => {
      if (isLate) this.#nudge();
    });
    heard.catch((thrown: unknown) => {
      if (isLate) this.#options.onFault('watching power and network', thrown);
    });
    await atMost(othersWithinMs, heard);
    isLate = true;
  }

  /** Where there is no NetworkManager. */
  async #lookAtRoutes(nowMs: number): Promise<void> {
    if (this.#stopped) return;
    if (this.#manager.valueAt(nowMs) !== undefined) {
      this.#stopMonitor?.();
      this.#stopMonitor = undefined;
      return;
    }
    this.#stopMonitor ??= monitorRoutes(() => {
      this.#routes.nudge();
      this.#nudge();
    });
    await this.#routes.refresh(nowMs);
  }

  async #lidTakenBy(nowMs: number): Promise<string | undefined> {
    await this.#locks.refresh(nowMs);
    return lidTakenBy(this.#locks.valueAt(nowMs) ?? []);
  }

  #nudge(): void {
    this.#nudged = true;
    this.#wake();
  }

  /** Until the next look is due, or something is said to have changed. */
  async #rest(): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#nudged ? settleMs : lookEveryMs[this.#pace]);
      this.#wake = () => {
        clearTimeout(timer);
        setTimeout(resolve, this.#stopped ? 0 : settleMs);
      };
    });
    this.#wake = () => undefined;
  }
}
