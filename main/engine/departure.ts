import { isOver } from '../../shared/machine/move-machine.ts';
import type { Move } from '../../shared/model/move.ts';
import type { Readings } from '../../shared/model/signal.ts';
import type { Vm } from '../../shared/model/vm.ts';
import type { Hurry } from '../../shared/plan/plan-watch.ts';
import { type AwaitedSleep, awaitedSleep } from '../../shared/policy/awaited-sleep.ts';
import { type DepartingVm, departure, signalKey, type VmAct } from '../../shared/policy/departure.ts';
import { look, nothingSeen, signalsOf } from '../../shared/policy/signals.ts';
import type { Decision } from '../../shared/rpc.ts';
import { wasCancelled } from '../../shared/view/index.ts';
import { atMost, type Power } from '../power/index.ts';
import { departing, isPausedThere } from './departing.ts';
import type { Fleet } from './fleet.ts';
import type { Journal } from './journal.ts';
import type { Asked, Moves } from './moves.ts';
import type { PauseAway } from './pause-away.ts';
import type { SettingsStore } from './settings.ts';

/** The end that loses nothing where there is no time: paused where they run, written down, gone on with afterwards. */
type SafeEnd = Pick<PauseAway, 'pauseAway' | 'wakeUp'>;

export interface DepartureOptions {
  readonly fleet: Pick<Fleet, 'list'>;
  readonly journal: Pick<Journal, 'append' | 'places'>;
  readonly moves: Pick<Moves, 'cancel' | 'hurry' | 'isMoving' | 'isTakenUp' | 'underWay'>;
  readonly settings: Pick<SettingsStore, 'current'>;
  readonly power: Pick<Power, 'arm' | 'disarm' | 'hold' | 'release'>;
  /** Whether the host answers. */
  readonly isReachable: (host: string) => boolean;
  /** Resolves when the move has begun. */
  readonly bringHome: (vm: Vm, asked: Asked) => Promise<unknown>;
  readonly safeEnd: SafeEnd;
  readonly onDecision: (decision: Decision) => void;
  readonly onFault: (what: string, thrown: unknown) => void;
  /** Of a clock that does not jump, ms. */
  readonly now?: () => number;
}

const tryAgainMs = 5_000;
const beginning = Number.POSITIVE_INFINITY;
/** Before the lid's lock is let go; a host that does not answer must not keep a closed laptop awake. */
const pauseWithinMs = 15_000;
/** After a departure nothing moves out by itself: who closed the lid may open it in the next room. */
const leftAloneMs = 10 * 60_000;

/**
 * Brings VMs home when this computer is about to leave, and keeps a closed lid from putting it to sleep until they are. Looks at
 * the machine only while a VM is away or on its way.
 */
export class Departure {
  readonly #options: DepartureOptions;
  readonly #now: () => number;
  #memory = nothingSeen;
  #armed = false;
  #stopped = false;
  #leaving: string | undefined;
  /** Told by the clock on the wall, which goes on in sleep. */
  #last: { readonly at: number; readonly reason: string } | undefined;
  /** VMs for which something is being begun, or was tried a moment ago. */
  readonly #notBeforeMs = new Map<string, number>();
  readonly #announced = new Set<string>();
  /** By a person, a moment ago: VMs whose signals of now, or of the first look, are no reason. */
  readonly #overruled = new Set<string>();
  readonly #vetoed = new Map<string, readonly string[]>();
  /** Being paused, or given up for this departure: when that was last tried. */
  readonly #paused = new Map<string, number>();
  /** Paused, or to be, should they not come home in time; until they run again, whenever that pause comes. */
  readonly #hurried = new Set<string>();
  #pausing: Promise<void> | undefined;
  /** By VM: how often bringing it home has been tried in this departure. */
  readonly #tries = new Map<string, number>();
  #isGoingOn = false;
  /** Seen, at the last look, to neither move nor be paused. */
  #goingOn: ReadonlySet<string> = new Set();
  #wokenMs = Number.NEGATIVE_INFINITY;
  #isLetGo = false;
  #sleep: AwaitedSleep | undefined;

  constructor(options: DepartureOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** A move has begun, gone on or ended, or VMs were found away: begins or ends watching. */
  sync(): void {
    if (this.#stopped) return;
    if (this.#vms().length > 0) this.#arm();
    else if (this.#armed) this.#disarm();
  }

  /**
   * A move home that somebody called off is not begun again for the same reason, nor is a move out that somebody asks for
   * called off for what they could see.
   */
  moved(move: Move): void {
    const calledOff = move.direction === 'home' && isOver(move.phase) && wasCancelled(move);
    const askedFor = move.direction === 'out' && move.phase === 'planned' && move.askedBy === 'user';
    if (calledOff || askedFor) this.#overruled.add(move.vm);
    if (this.#memory !== nothingSeen) this.#veto();
    this.sync();
  }

  /** A look at the machine. */
  onReadings(readings: Readings): void {
    if (!this.#armed || this.#stopped) return;
    this.#memory = look(this.#memory, readings, this.#now(), this.#isGoingOn);
    this.#veto();
    this.sync();
    if (this.#armed) this.#consider();
  }

  /** Resolves when what has to be done before sleep is done. */
  async beforeSleep(): Promise<void> {
    await this.#pausing;
  }

  /** Why nothing should move out by itself now; undefined where nothing stands against it. */
  leaving(): string | undefined {
    if (this.#leaving !== undefined) return `This computer is about to leave: ${this.#leaving}`;
    if (this.#last === undefined || Date.now() - this.#last.at >= leftAloneMs) return undefined;
    return `This computer was about to leave less than ten minutes ago: ${this.#last.reason}`;
  }

  /** Resolves when nothing is held or watched any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#options.power.disarm();
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    const { power, settings } = this.#options;
    power.arm();
    // Before anybody closes the lid: afterwards logind gives nobody the time to ask.
    if (settings.current.departure.lid.on) void power.hold();
  }

  #disarm(): void {
    this.#armed = false;
    this.#leaving = undefined;
    this.#memory = nothingSeen;
    this.#isGoingOn = false;
    this.#wokenMs = Number.NEGATIVE_INFINITY;
    this.#notBeforeMs.clear();
    for (const seen of [this.#announced, this.#overruled, this.#vetoed, this.#paused, this.#hurried, this.#tries])
      seen.clear();
    this.#do('letting this computer sleep', this.#options.power.disarm());
  }

  #consider(): void {
    const { settings, power } = this.#options;
    this.#forgetWhoGoesOn();
    const signals = signalsOf(this.#memory);
    const nowMs = this.#now();
    const isEnding = this.#memory.readings.ending !== undefined;
    // Whatever they were paused for: whoever has this computer sleep has them go on when it is back.
    if (isEnding) for (const { uuid, pausedThere } of this.#vms()) if (pausedThere) this.#hurried.add(uuid);
    this.#sleep = awaitedSleep(this.#sleep, { signals, isEnding, isLetGo: this.#isLetGo, nowMs });
    const vms = this.#vms();
    const { acts, guard, leaving, wake } = departure({
      nowMs,
      signals,
      settings: settings.current.departure,
      metered: this.#memory.readings.network?.metered === true,
      lidLocksScreen: this.#memory.readings.lidLocksScreen,
      sleeplessLid: this.#sleep?.isMissing === true ? this.#sleep.lid : undefined,
      vms,
    });
    this.#leaving = leaving;
    this.#isGoingOn =
      acts.some(({ action }) => action === 'home' || action === 'wait') || vms.some(({ isCrossing }) => isCrossing);
    if (leaving === undefined) {
      this.#announced.clear();
      this.#tries.clear();
    } else this.#last = { at: Date.now(), reason: leaving };
    // Those that are being paused keep the deadline that they are paused for.
    const hurriable = vms.filter(({ where, paused }) => where === 'returning' && (wake || !paused));
    this.#pause(acts.filter(({ action }) => action === 'pause'));
    for (const act of acts) {
      if (act.action === 'home') this.#do(`bringing ${act.name} home`, this.#bringHome(act));
      if (act.action === 'recall') this.#recall(act);
      if (act.action === 'stay' && hurriable.some(({ uuid }) => uuid === act.vm)) this.#hurry(act);
    }
    this.#isLetGo = guard.action === 'release' && this.#pausing === undefined;
    if (guard.action === 'hold') void power.hold();
    else if (this.#isLetGo) void power.release();
    if (wake) this.#wake(vms);
  }

  #veto(): void {
    const signals = signalsOf(this.#memory).map(signalKey);
    for (const vm of this.#overruled) this.#vetoed.set(vm, signals);
    this.#overruled.clear();
  }

  #vms(): DepartingVm[] {
    const { fleet, journal, moves, isReachable } = this.#options;
    return departing({
      vms: fleet.list(),
      places: journal.places(),
      underWay: moves.underWay(),
      isReachable,
      paused: this.#paused,
      hurried: this.#hurried,
      vetoed: this.#vetoed,
      isBeginning: (vm) => this.#notBeforeMs.get(vm) === beginning,
      tries: this.#tries,
      isTakenUp: (vm) => moves.isTakenUp(vm),
    });
  }

  /** Whoever neither moves nor is paused needs nobody to wake it. */
  #forgetWhoGoesOn(): void {
    const { journal, moves } = this.#options;
    const places = journal.places();
    const goingOn = [...this.#hurried].filter(
      (vm) => !this.#paused.has(vm) && !moves.isMoving(vm) && !isPausedThere(places, vm),
    );
    // Seen so at two looks: between the end of a move and the pause that comes of it there is a moment.
    for (const vm of goingOn) if (this.#goingOn.has(vm)) this.#hurried.delete(vm);
    this.#goingOn = new Set(goingOn);
  }

  async #bringHome(act: VmAct): Promise<void> {
    const vm = this.#options.fleet.list().find(({ uuid }) => uuid === act.vm);
    // An engine that has only just begun to look does not see it yet.
    if (vm === undefined || !this.#isDue(act.vm)) return;
    // Also where it is just being paused, or woken, and cannot begin: the next one's turn comes.
    this.#tries.set(act.vm, (this.#tries.get(act.vm) ?? 0) + 1);
    if (this.#options.moves.isMoving(act.vm)) return;
    this.#notBeforeMs.set(act.vm, beginning);
    this.#announce(act, act.reason);
    try {
      const hurry = hurryOf(act);
      if (hurry?.pausesWhenLate === true) this.#hurried.add(act.vm);
      await this.#options.bringHome(vm, { by: 'policy', reason: act.reason, hurry });
    } finally {
      this.#notBeforeMs.set(act.vm, this.#now() + tryAgainMs);
    }
  }

  /** The signals of now are what its move goes by, whoever began it; one that a person gave less time keeps to that. */
  #hurry(act: VmAct): void {
    const hurry = hurryOf(act);
    if (this.#options.moves.hurry(act.vm, hurry) && hurry?.pausesWhenLate === true) this.#hurried.add(act.vm);
  }

  #recall(act: VmAct): void {
    const vm = this.#options.fleet.list().find(({ uuid }) => uuid === act.vm);
    if (vm === undefined || !this.#isDue(act.vm)) return;
    this.#notBeforeMs.set(act.vm, this.#now() + tryAgainMs);
    this.#announce(act, `${act.reason} Its move out is called off.`);
    try {
      this.#options.moves.cancel(vm, act.reason);
    } catch (thrown) {
      // Too late since a moment: it arrives, and comes home then.
      this.#options.onFault(`calling the move of ${act.name} off`, thrown);
    }
  }

  #isDue(vm: string): boolean {
    return this.#now() >= (this.#notBeforeMs.get(vm) ?? 0);
  }

  #pause(acts: readonly VmAct[]): void {
    const nowMs = this.#now();
    const due = acts.filter(({ vm }) => nowMs - (this.#paused.get(vm) ?? Number.NEGATIVE_INFINITY) >= tryAgainMs);
    if (due.length === 0 || this.#pausing !== undefined) return;
    const { fleet, safeEnd } = this.#options;
    const given = due.flatMap(({ vm, reason }) => {
      const known = fleet.list().find(({ uuid }) => uuid === vm);
      return known === undefined ? [] : [{ vm: known, reason }];
    });
    for (const { vm } of due) {
      this.#paused.set(vm, nowMs);
      this.#hurried.add(vm);
    }
    this.#pausing = atMost(pauseWithinMs, safeEnd.pauseAway(given))
      .catch((thrown: unknown) => this.#options.onFault('pausing VMs before sleep', thrown))
      .finally(() => {
        this.#pausing = undefined;
        if (this.#armed && !this.#stopped) this.#consider();
      });
  }

  /** At each look, until all have been seen to go on: a pause may have been under way. */
  #wake(vms: readonly DepartingVm[]): void {
    const isBack = this.#paused.size > 0;
    this.#paused.clear();
    // One that is out of reach goes on when its host answers.
    const isDue = this.#now() - this.#wokenMs >= tryAgainMs;
    if (!isBack && !(isDue && vms.some(({ paused, reachable }) => paused && reachable))) return;
    this.#wokenMs = this.#now();
    this.#do('going on after sleep', this.#options.safeEnd.wakeUp());
  }

  /** Once per departure. */
  #announce({ vm, name }: VmAct, reason: string): void {
    if (this.#announced.has(vm)) return;
    this.#announced.add(vm);
    const { journal, onDecision } = this.#options;
    const decision: Decision = {
      at: new Date().toISOString(),
      vm,
      vmName: name,
      policy: 'departure',
      action: 'home',
      reason,
      outcome: 'acted',
    };
    onDecision(decision);
    this.#do('journal', journal.append({ kind: 'decision', decision }));
  }

  #do(what: string, work: Promise<void>): void {
    work.catch((thrown: unknown) => this.#options.onFault(what, thrown));
  }
}

function hurryOf({ deadlineMs, pausesWhenLate }: VmAct): Hurry | undefined {
  return deadlineMs === undefined ? undefined : { deadlineMs, pausesWhenLate };
}
