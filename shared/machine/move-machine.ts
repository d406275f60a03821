/**
 * One move as a pure state machine (design §5): step(state, event) → state and effects. Whoever executes
 * the effects journals the new state first (I3) and answers each effect with an event.
 *
 *   planned → preparing → copying → postcopy → switched → settling → done | failed | lost
 *                 │          └──┬───────┘                    ▲
 *                 │             └► paused ⇄ recovering       │
 *                 └──────────────────────────────────────────┘
 *
 * `failed` is safe: the VM runs where it was. `lost` is honest: no running copy is left anywhere. Both are
 * reached through `settling`, so that a crash while tidying up is tidied up by the next engine.
 * A migrate call that ends badly proves nothing by itself: the machine looks at both libvirts before it
 * believes anything. That keeps I1 (one running copy) true after any crash.
 */
import type { Direction, Phase } from '../model/move.ts';
import { type Ran, type Seen, verdictOf } from './verdict.ts';

type Outcome = 'done' | 'failed' | 'lost';

export interface MoveState {
  readonly phase: Phase;
  readonly direction: Direction;
  /** libvirt was, or is about to be, told to flip: whether and when QEMU does is no longer in our hands. */
  readonly flipAsked?: boolean;
  /** The source stopped for the flip: unless that failed, the destination runs, and the source only holds pages. */
  readonly flipped: boolean;
  /** The destination was heard to run: what a stopped source holds is older, and never runs again. */
  readonly handedOver?: boolean;
  /** For a while nobody could have heard the destination begin to run. */
  readonly deaf?: boolean;
  readonly cancelAsked: boolean;
  /** Both ends are being looked at; only `seen` moves the machine on. */
  readonly looking: boolean;
  /** Where `settling` leads. */
  readonly outcome?: Outcome;
  /** The source was found stopped by the failed move and must run again. */
  readonly resumeSource?: boolean;
  /** Why it was called off, where not by the user. */
  readonly cancelReason?: string;
  readonly failure?: string;
  /** The user gave up the other machine: what home has of the VM is no VM without it. */
  readonly givenUp?: boolean;
}

export type MoveEvent =
  | { readonly kind: 'begin' }
  | { readonly kind: 'prepared' }
  | { readonly kind: 'prepare-failed'; readonly reason: string }
  /** `reason`: a clause for people; the user's word where absent. */
  | { readonly kind: 'cancel'; readonly reason?: string }
  | { readonly kind: 'flip-wanted' }
  /** libvirt reported the source paused for post-copy. */
  | { readonly kind: 'flipped' }
  /** libvirt at the destination reported that the VM has begun to run there, outside post-copy. */
  | { readonly kind: 'handed-over' }
  /** The same, in post-copy: with pages missing. */
  | { readonly kind: 'taken-over' }
  /** What libvirt at the destination reports is missed, or was. */
  | { readonly kind: 'deaf' }
  | { readonly kind: 'migrate-succeeded' }
  | { readonly kind: 'migrate-failed'; readonly reason: string }
  | { readonly kind: 'seen'; readonly source: Seen; readonly destination: Seen }
  | { readonly kind: 'link-up' }
  /** The host is lost for good, as the user says; nothing but its return would end the move. */
  | { readonly kind: 'given-up' }
  | { readonly kind: 'place-recorded' }
  | { readonly kind: 'settled' }
  /** A new engine read this state from the journal. */
  | { readonly kind: 'engine-restarted' };

export type MoveEffect =
  | { readonly kind: 'prepare' }
  | { readonly kind: 'migrate'; readonly resume: boolean }
  | { readonly kind: 'flip' }
  | { readonly kind: 'abort' }
  | { readonly kind: 'look' }
  | { readonly kind: 'await-link' }
  /** The VM is at the destination from now on: write that down. */
  | { readonly kind: 'record-place' }
  /** Fence the loser, free what the move held, restore what it changed; safe to repeat. */
  | { readonly kind: 'settle' };

export interface Step {
  readonly state: MoveState;
  readonly effects: readonly MoveEffect[];
}

export const cancelledByUser = 'cancelled before the switch';
/** libvirt 9 never ends the job of such a migration, and begins no other beside it. */
const notFlipped =
  'the switch failed before the VM ran at its destination, so it goes on where it was; libvirt moves it again only after it has been shut down and started';
const givenUp =
  'the host was given up while it could not be reached; the disk is as after a power cut and the VM can be started again';

export function planned(direction: Direction): MoveState {
  return { phase: 'planned', direction, flipped: false, cancelAsked: false, looking: false };
}

export function isOver(phase: Phase): boolean {
  return phase === 'done' || phase === 'failed' || phase === 'lost';
}

/** Where the VM ends is not certain yet, so both ends may come to write its disk. */
export function isUndecided(phase: Phase): boolean {
  return !isOver(phase) && phase !== 'switched' && phase !== 'settling';
}

/**
 * Before the flip is asked for a move can be called off without loss; after it, it must be completed: a call that is aborted
 * between the request and the flip itself may leave half of the VM on each side.
 */
export function isCancellable(state: MoveState): boolean {
  return (
    !(state.flipAsked === true || state.flipped || state.handedOver === true || state.cancelAsked) &&
    ['planned', 'preparing', 'copying'].includes(state.phase)
  );
}

/** Where home has no whole VM that could go on: that one is cancelled instead. */
export function canGiveUp({ phase, flipped, handedOver, direction, outcome }: MoveState): boolean {
  const isNotHome = flipped || handedOver === true || direction === 'home';
  if (phase === 'settling') return direction === 'home' && outcome === 'failed';
  return phase === 'paused' || (isNotHome && ['copying', 'postcopy', 'recovering'].includes(phase));
}

export function step(state: MoveState, event: MoveEvent): Step {
  switch (event.kind) {
    case 'begin':
      return state.phase === 'planned' ? go(state, 'preparing', { kind: 'prepare' }) : stay(state);
    case 'prepared':
      if (state.phase !== 'preparing' || state.looking) return stay(state);
      return state.cancelAsked ? stayed(state, whyCancelled(state)) : go(state, 'copying', migrate(false));
    case 'prepare-failed':
      if (state.phase !== 'preparing' || state.looking) return stay(state);
      return stayed(state, state.cancelAsked ? whyCancelled(state) : event.reason);
    case 'cancel':
      return cancel(state, event.reason);
    case 'flip-wanted':
      if (state.phase !== 'copying' || state.cancelAsked || state.looking) return stay(state);
      return { state: state.flipAsked === true ? state : { ...state, flipAsked: true }, effects: [{ kind: 'flip' }] };
    case 'flipped':
      if (state.phase !== 'copying') return stay(state);
      return { state: { ...state, phase: 'postcopy', flipped: true }, effects: [] };
    case 'handed-over':
      return mayHandOver(state) ? stay({ ...state, handedOver: true }) : stay(state);
    case 'taken-over':
      return mayTakeOver(state) ? takenOver(state) : stay(state);
    case 'deaf':
      return state.deaf !== true && mayTakeOver(state) ? stay({ ...state, deaf: true }) : stay(state);
    case 'migrate-succeeded':
      return isCarrying(state) ? switched(state) : stay(state);
    case 'migrate-failed':
      return isCarrying(state) ? look({ ...state, failure: event.reason }) : stay(state);
    case 'seen':
      return state.looking ? conclude({ ...state, looking: false }, event.source, event.destination) : stay(state);
    case 'link-up':
      return state.phase === 'paused' && !state.looking ? look(state) : stay(state);
    case 'given-up':
      return canGiveUp(state) ? giveUp(state) : stay(state);
    case 'place-recorded':
      return state.phase === 'switched'
        ? go({ ...state, outcome: 'done' }, 'settling', { kind: 'settle' })
        : stay(state);
    case 'settled':
      return state.phase === 'settling' ? go(state, state.outcome ?? 'failed') : stay(state);
    case 'engine-restarted':
      return restart(state);
    default:
      return event satisfies never;
  }
}

function cancel(state: MoveState, reason: string | undefined): Step {
  if (!isCancellable(state)) return stay(state);
  const asked = { ...state, cancelAsked: true, ...(reason === undefined ? {} : { cancelReason: reason }) };
  if (state.phase === 'planned') return stayed(asked, whyCancelled(asked));
  // While preparing, the running effect is left to finish; its answer then ends the move.
  return state.phase === 'copying' && !state.looking ? { state: asked, effects: [{ kind: 'abort' }] } : stay(asked);
}

function conclude(state: MoveState, source: Seen, destination: Seen): Step {
  const verdict = verdictOf(source, destination, ranOf(state), state.deaf);
  const reason = state.cancelAsked ? whyCancelled(state) : (state.failure ?? 'the move did not complete');
  switch (verdict) {
    case 'stayed':
      return stayed(state, reason);
    case 'stayed-paused':
      return stayed(
        { ...state, resumeSource: true },
        source === 'flip-failed' && !state.cancelAsked ? notFlipped : reason,
      );
    case 'switched':
      return switched(state);
    case 'recover':
      return go({ ...state, flipped: true }, 'recovering', migrate(true));
    case 'wait':
      return go(state, 'paused', { kind: 'await-link' });
    case 'lost':
      return settleAs({ ...state, failure: whyLost(state, source) }, 'lost');
    default:
      return verdict satisfies never;
  }
}

function ranOf({ flipped, handedOver }: MoveState): Ran {
  if (handedOver === true) return flipped ? 'part' : 'whole';
  return flipped ? 'flipped' : 'unheard';
}

function restart(state: MoveState): Step {
  switch (state.phase) {
    case 'planned':
      return stayed(state, 'Homeward stopped before the move began');
    case 'preparing':
    case 'copying':
    case 'postcopy':
    case 'paused':
    case 'recovering':
      return look({ ...state, deaf: true, failure: state.failure ?? 'Homeward stopped during the move' });
    case 'switched':
      return { state, effects: [{ kind: 'record-place' }] };
    case 'settling':
      return { state, effects: [{ kind: 'settle' }] };
    case 'done':
    case 'failed':
    case 'lost':
      return stay(state);
    default:
      return state.phase satisfies never;
  }
}

function whyCancelled({ cancelReason }: MoveState): string {
  return cancelReason ?? cancelledByUser;
}

/** While the migrate call may be under way, this engine's or an earlier one's. */
function mayHandOver({ phase, flipped, handedOver }: MoveState): boolean {
  return !flipped && handedOver !== true && (phase === 'copying' || phase === 'paused');
}

function mayTakeOver({ phase }: MoveState): boolean {
  return ['copying', 'postcopy', 'paused', 'recovering'].includes(phase);
}

function takenOver(state: MoveState): Step {
  const phase = state.phase === 'copying' ? 'postcopy' : state.phase;
  return stay({ ...state, phase, flipped: true, handedOver: true });
}

function whyLost(state: MoveState, source: Seen): string {
  if (!state.flipped && state.handedOver === true) {
    const there = state.direction === 'out' ? 'the host' : 'this computer';
    return `the VM ended on ${there} just after it had moved there, and what it left behind is older than its disk, which is as after a power cut; it can be started again`;
  }
  if (!state.flipped) {
    const here = state.direction === 'out' ? 'this computer' : 'the host';
    return `the VM ended on ${here} while it was being moved; its disk is whole and it can be started again`;
  }
  if (source === 'flip-failed') {
    return "the switch to the VM's destination failed when it had, or may have, begun to run there; its disk is as after a power cut and it can be started again";
  }
  const sourceDied = source === 'absent';
  const where = sourceDied === (state.direction === 'out') ? 'this computer' : 'the host';
  return `the VM's memory was split between both machines when the part on ${where} was lost; its disk is as after a power cut and it can be started again`;
}

function isCarrying(state: MoveState): boolean {
  return !state.looking && ['copying', 'postcopy', 'recovering'].includes(state.phase);
}

function switched(state: MoveState): Step {
  const { failure: _, ...rest } = state;
  return go(rest, 'switched', { kind: 'record-place' });
}

function stayed(state: MoveState, failure: string): Step {
  return settleAs({ ...state, failure }, 'failed');
}

function giveUp(state: MoveState): Step {
  const lost = settleAs({ ...state, looking: false, givenUp: true, failure: givenUp }, 'lost');
  // Settling is under way: what is to be settled is another thing from now on.
  return state.phase === 'settling' ? stay(lost.state) : lost;
}

function settleAs(state: MoveState, outcome: Outcome): Step {
  return go({ ...state, outcome }, 'settling', { kind: 'settle' });
}

function look(state: MoveState): Step {
  return { state: { ...state, looking: true }, effects: [{ kind: 'look' }] };
}

function migrate(resume: boolean): MoveEffect {
  return { kind: 'migrate', resume };
}

function go(state: MoveState, phase: Phase, ...effects: MoveEffect[]): Step {
  return { state: { ...state, phase }, effects };
}

function stay(state: MoveState): Step {
  return { state, effects: [] };
}
