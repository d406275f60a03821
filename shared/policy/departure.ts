/**
 * From signals to what is done about VMs that are away, and whether closing the lid may put this computer to sleep.
 * Pure; each answer has its reason in words.
 */
import type { DepartureSettings, Signal } from '../model/signal.ts';
import { percent } from './words.ts';

/** Hints count together as if independent; from this much on they are acted on. Two weak ones do, one does not. */
const enough = 0.6;
/** Where the network costs by volume a mere hint has to be surer. */
const enoughMetered = 0.9;

export interface DepartingVm {
  readonly uuid: string;
  readonly name: string;
  /** `leaving` and `returning`: on its way. */
  readonly where: 'away' | 'leaving' | 'returning';
  /** Its move can still be called off. */
  readonly cancellable: boolean;
  /** The one it is on, or comes from. */
  readonly host: string;
  /** Memory in use: about what has to cross to bring it home. */
  readonly bytes: number;
  /** How often bringing it home has been tried since the departure began. */
  readonly tries: number;
  /** It is on its way home, and its move still needs the link for that. */
  readonly isCrossing: boolean;
  /** The host it is on answers. */
  readonly reachable: boolean;
  /** It waits for this computer to be back, and needs nothing more. */
  readonly paused: boolean;
  /** Homeward paused it at its host, for whatever reason, and it has not gone on. */
  readonly pausedThere: boolean;
  /** Moves only when asked to, and so not for mere hints. */
  readonly onlyMust: boolean;
  /** A person called a move home off while these went on: they are no reason any more. */
  readonly vetoed: readonly string[];
}

export interface DepartureInput {
  /** On the clock of the signals, ms. */
  readonly nowMs: number;
  readonly signals: readonly Signal[];
  readonly settings: DepartureSettings;
  readonly metered: boolean;
  /** All that closing the lid does, unless it is held. */
  readonly lidLocksScreen?: boolean | undefined;
  /** The closed lid, as `signalKey`, that was let go and put nothing to sleep. */
  readonly sleeplessLid?: string | undefined;
  readonly vms: readonly DepartingVm[];
}

export interface VmAct {
  readonly vm: string;
  readonly name: string;
  /**
   * `home`: bring it home. `recall`: call its move out off. `wait`: something has to happen first. `pause`: the safe end, where it
   * runs, so that this computer may sleep. `stay`: nothing.
   */
  readonly action: 'home' | 'recall' | 'wait' | 'pause' | 'stay';
  readonly reason: string;
  /** What is left for it, or for its move home that is under way, ms. */
  readonly deadlineMs?: number | undefined;
  /** Whether what cannot be home by then is better paused, since this computer then sleeps, than late. */
  readonly pausesWhenLate: boolean;
  /** Names the signals that it is done for. */
  readonly signals: readonly string[];
}

export interface Departure {
  readonly acts: readonly VmAct[];
  /** Whether closing the lid is kept from putting this computer to sleep. */
  readonly guard: { readonly action: 'hold' | 'release'; readonly reason: string };
  /** Why this computer seems to leave; undefined while it does not. */
  readonly leaving: string | undefined;
  /** This computer is back: what was paused for its sleep goes on. */
  readonly wake: boolean;
}

export function departure(input: DepartureInput): Departure {
  const signals = input.signals.filter(
    (signal) => input.settings[signal.trigger].on && signalKey(signal) !== input.sleeplessLid,
  );
  const acts = oneByOne(
    input.vms.map((vm) => actOn(vm, signals, input)),
    input.vms,
  );
  const decisive = decisiveOf(signals, input.metered);
  return {
    acts,
    guard: guardOf(acts, input),
    leaving: decisive.length === 0 ? undefined : sentences(decisive),
    wake: input.vms.some(({ paused }) => paused) && !signals.some(endsInSleep),
  };
}

/** The same signal from one look to the next; one that comes again is another. */
export function signalKey({ trigger, sinceMs }: Signal): string {
  return `${trigger}@${sinceMs}`;
}

function actOn(vm: DepartingVm, signals: readonly Signal[], input: DepartureInput): VmAct {
  const act = (action: VmAct['action'], reason: string, because: readonly Signal[] = []): VmAct => {
    const isHomeward = action === 'home' || vm.where === 'returning';
    const deadlineMs = isHomeward ? leftMs(because, input) : undefined;
    const pausesWhenLate = because.some(endsInSleep);
    const done = { vm: vm.uuid, name: vm.name, action, reason, pausesWhenLate, signals: because.map(signalKey) };
    return deadlineMs === undefined ? done : { ...done, deadlineMs: Math.max(0, deadlineMs) };
  };
  if (rests(vm)) return act('stay', `${vm.name} is paused and goes on when this computer is back.`);
  const over = signals.filter((signal) => isOver(signal, input));
  if (over.length > 0) return act('pause', `${sentences(over)} There is no time left to bring ${vm.name} home.`, over);
  const counting = signals.filter(({ priority }) => priority === 'must' || !vm.onlyMust);
  const decisive = decisiveOf(
    counting.filter((signal) => !vm.vetoed.includes(signalKey(signal)) || holdsAllTheSame(signal, vm)),
    input.metered,
  );
  if (decisive.length === 0) {
    const vetoed = decisiveOf(counting, input.metered).length > 0;
    return act('stay', vetoed ? 'You called it off.' : quiet(counting, input.metered));
  }
  const why = sentences(decisive);
  switch (vm.where) {
    case 'returning':
      return act('stay', `${why} ${vm.name} is on its way home.`, decisive);
    case 'leaving':
      return vm.cancellable
        ? act('recall', why, decisive)
        : act(
            'wait',
            `${why} ${vm.name} comes home once its move out has ended; it cannot be called off any more.`,
            decisive,
          );
    case 'away':
      return vm.reachable
        ? act('home', why, decisive)
        : act('wait', `${why} ${vm.name} comes home as soon as its host answers.`, decisive);
    default:
      return vm.where satisfies never;
  }
}

/**
 * At each host one comes home at a time, the one with the least memory first: two that share a link are both late where each alone
 * would be in time. The others wait, which holds the lid as well. One whose move fails, or comes to rest, is not waited for.
 */
function oneByOne(acts: readonly VmAct[], vms: readonly DepartingVm[]): VmAct[] {
  const homeward = new Set(acts.filter(({ action }) => action === 'home').map(({ vm }) => vm));
  const least = (one: DepartingVm, other: DepartingVm): number => one.tries - other.tries || one.bytes - other.bytes;
  return acts.map((act, at) => {
    if (act.action !== 'home') return act;
    const atHost = vms.filter(({ host }) => host === vms[at]?.host);
    const first =
      atHost.find(({ isCrossing }) => isCrossing) ?? atHost.filter(({ uuid }) => homeward.has(uuid)).toSorted(least)[0];
    if (first === undefined || first.uuid === act.vm) return act;
    const { deadlineMs: _none, ...rest } = act;
    return {
      ...rest,
      action: 'wait',
      reason: `${act.reason} ${act.name} comes home after ${first.name}: one at a time is sooner.`,
    };
  });
}

/** What is a reason to act: each that must be, else the hints where they are enough together. */
function decisiveOf(signals: readonly Signal[], metered: boolean): readonly Signal[] {
  const musts = signals.filter(({ priority }) => priority === 'must');
  if (musts.length > 0) return musts;
  return together(signals) >= (metered ? enoughMetered : enough) ? signals : [];
}

function together(signals: readonly Signal[]): number {
  return 1 - signals.reduce((unlikely, { confidence }) => unlikely * (1 - confidence), 1);
}

function quiet(signals: readonly Signal[], metered: boolean): string {
  if (signals.length === 0) return 'Nothing says that this computer is about to leave.';
  const so = `${sentences(signals)} That alone is no departure (${percent(together(signals))} sure)`;
  return metered ? `${so}, least of all on a network that is paid by volume.` : `${so}.`;
}

function endsInSleep({ trigger }: Signal): boolean {
  return trigger === 'lid' || trigger === 'sleep';
}

/** The lid's deadline pauses whatever a person called off: a move that they begin then has to know of it. */
function holdsAllTheSame(signal: Signal, { where }: DepartingVm): boolean {
  return where === 'returning' && endsInSleep(signal);
}

/** Nothing is to be done for it before this computer sleeps. Whatever was done before, one that has begun to move anew is to be called off. */
function rests({ paused, pausedThere, reachable, cancellable }: DepartingVm): boolean {
  return !cancellable && (paused || (pausedThere && !reachable));
}

/** No time is left. A system that has begun to suspend waits for seconds, in which no VM comes home. */
function isOver(signal: Signal, input: DepartureInput): boolean {
  return endsInSleep(signal) && (signal.trigger === 'sleep' || (leftMs([signal], input) ?? 0) <= 0);
}

/** Until the first of them allows no more. What a VM is paused for is the end of the lid's time, not of another's that only asks for haste. */
function leftMs(signals: readonly Signal[], { settings, nowMs }: DepartureInput): number | undefined {
  const isPausing = signals.some(endsInSleep);
  const ends = signals.flatMap((signal) => {
    const { trigger, sinceMs, endsAtMs } = signal;
    const hasDeadline = trigger !== 'sleep' && (endsInSleep(signal) || !isPausing);
    return [
      ...(endsAtMs === undefined ? [] : [endsAtMs]),
      ...(hasDeadline ? [sinceMs + settings[trigger].deadlineS * 1_000] : []),
    ];
  });
  return ends.length === 0 ? undefined : Math.min(...ends) - nowMs;
}

function guardOf(
  acts: readonly VmAct[],
  { settings, lidLocksScreen, sleeplessLid, vms }: DepartureInput,
): Departure['guard'] {
  const resting = vms.filter(rests).map(({ uuid }) => uuid);
  const busy = acts.filter(({ vm, action }) => action !== 'pause' && !resting.includes(vm));
  if (acts.length === 0) return { action: 'release', reason: 'Every VM is at home.' };
  if (!settings.lid.on)
    return { action: 'release', reason: 'Closing the lid is not to be waited for; that is switched off.' };
  if (lidLocksScreen === true)
    return {
      action: 'release',
      reason: 'Closing the lid only locks the screen, and does that also while a VM is away.',
    };
  // Held again, it would keep this computer awake for good should whoever else holds it let it go.
  if (sleeplessLid !== undefined)
    return {
      action: 'release',
      reason: 'The lid is closed and put nothing to sleep; a sleep that comes pauses what is away.',
    };
  if (busy.length === 0) return { action: 'release', reason: 'There is no time left; what is away is paused.' };
  return { action: 'hold', reason: 'A VM is away or on its way.' };
}

function sentences(signals: readonly Signal[]): string {
  return signals.map(({ sentence }) => sentence).join(' ');
}
