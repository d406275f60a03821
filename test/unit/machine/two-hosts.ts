/**
 * Both hosts and the move machine together, as a graph: what libvirt and QEMU have done with the VM, what the engine has
 * asked for and not yet been answered, and the machine's own (journaled) state. Every order of events that can happen is an
 * edge; a test walks all of them. Nothing here knows how the machine decides.
 */
import { isOver, type MoveEffect, type MoveEvent, type MoveState, step } from '../../../shared/machine/move-machine.ts';
import type { Seen } from '../../../shared/machine/verdict.ts';

export interface World {
  /**
   * `stopped`: by the handover, with its whole memory; `split`: after the flip, with the pages not yet sent; `poised`: by a
   * flip that failed, with its whole memory.
   */
  readonly source: 'running' | 'stopped' | 'split' | 'poised' | 'none';
  /** `incoming` has never run; `stopped` has all its memory and was stopped, as by a disk that failed. */
  readonly destination: 'none' | 'incoming' | 'running' | 'stopped' | 'split';
  /** What the source holds is older than what has run since, for good. */
  readonly stale: boolean;
  /** The destination has run without any engine hearing of it: one was dead, or the link was down in that moment. */
  readonly unheard: boolean;
  /** The migrate call, which has a process of its own. */
  readonly call: 'none' | 'precopy' | 'flipping' | 'handover' | 'finished' | 'postcopy';
  /** A machine, or QEMU on it, died: at most once. */
  readonly death: boolean;
  /** The source took the flip for failed although the destination has begun to run: the two never come together again. */
  readonly torn: boolean;
}

export interface Node {
  readonly move: MoveState;
  readonly world: World;
  /** Effects asked for and not yet answered. */
  readonly due: readonly MoveEffect['kind'][];
  /** Events on their way to the machine. */
  readonly events: readonly MoveEvent[];
  readonly engine: 'up' | 'down';
}

export interface Edge {
  readonly from: Node;
  readonly to: Node;
  readonly what: string;
  /** The environment must do this sooner or later; a person's word, a crash, a death need never come. */
  readonly obliged: boolean;
  /** Something no order of events may lead to. */
  readonly broken?: string;
}

type Change = Omit<Edge, 'from'>;

const answered: ReadonlySet<MoveEffect['kind']> = new Set([
  'prepare',
  'migrate',
  'look',
  'await-link',
  'record-place',
  'settle',
]);

export function begun(move: MoveState): Node {
  const world: World = {
    source: 'running',
    destination: 'none',
    stale: false,
    unheard: false,
    call: 'none',
    death: false,
    torn: false,
  };
  return { move, world, due: [], events: [{ kind: 'begin' }], engine: 'up' };
}

/** The journal's texts decide nothing. */
export function keyOf({ move, world, due, events, engine }: Node): string {
  const { failure: _, ...state } = move;
  return JSON.stringify([state, world, [...due].sort(), events, engine]);
}

/** All that can happen next. */
export function edgesOf(from: Node): Edge[] {
  return [...engineSteps(from), ...worldSteps(from)].map((change) => ({ from, ...change }));
}

function engineSteps(node: Node): Change[] {
  if (node.engine === 'down') {
    return [
      { what: 'the engine starts', obliged: true, ...deliver({ ...node, engine: 'up' }, { kind: 'engine-restarted' }) },
    ];
  }
  if (isOver(node.move.phase)) return [];
  const [next, ...later] = node.events;
  const changes: Change[] = [];
  if (next !== undefined) {
    const taken = { ...node, events: later };
    changes.push({ what: `takes ${next.kind}`, obliged: true, ...deliver(taken, next) });
    // The new state is written first: a crash may come between it and its effects.
    const { state } = step(node.move, next);
    changes.push({ what: `dies after ${next.kind}`, obliged: false, to: crash({ ...taken, move: state }) });
  }
  changes.push({ what: 'the engine dies', obliged: false, to: crash(node) });
  for (const kind of ['cancel', 'flip-wanted'] as const) {
    changes.push({ what: kind, obliged: false, ...deliver(node, { kind }) });
    const { state } = step(node.move, { kind });
    changes.push({ what: `dies after ${kind}`, obliged: false, to: crash({ ...node, move: state }) });
  }
  for (const kind of node.due) changes.push(...answers(node, kind));
  return changes;
}

/** What was on its way to the engine is lost with it. */
function crash(node: Node): Node {
  const unheard = node.world.unheard || node.events.some(({ kind }) => kind === 'handed-over' || kind === 'taken-over');
  return { ...node, due: [], events: [], engine: 'down', world: { ...node.world, unheard } };
}

/** The machine takes the event and its effects begin at once. */
function deliver(node: Node, event: MoveEvent): Pick<Change, 'to' | 'broken'> {
  const { state, effects } = step(node.move, event);
  let to: Node = { ...node, move: state };
  let broken: string | undefined;
  for (const effect of effects) {
    broken ??= forbidden(effect, to);
    to = begin(to, effect);
  }
  return broken === undefined ? { to } : { to, broken };
}

/** What may never be asked for, whatever happened before. */
function forbidden(effect: MoveEffect, { move, world }: Node): string | undefined {
  const atDestination = world.destination === 'running' || world.destination === 'stopped';
  switch (effect.kind) {
    case 'migrate':
      if (world.call !== 'none') return 'a second migrate call beside the first';
      return effect.resume || !world.stale ? undefined : 'a migration of a stale source';
    case 'abort':
      return world.call === 'flipping' ? 'calls off a flip that was asked for' : undefined;
    case 'record-place':
      return atDestination || world.death ? undefined : 'writes down a place where the VM is not';
    case 'settle':
      if (world.call !== 'none') return 'tidies up under a running migration';
      if (move.outcome === 'failed' && world.stale && world.destination !== 'none')
        return 'fences the only current copy';
      if (move.outcome === 'failed' && world.destination === 'split') return 'fences half of the VM';
      if (move.outcome === 'done' && !world.stale && world.source !== 'none' && !atDestination) {
        return 'ends the only copy at the source';
      }
      if (move.outcome === 'lost' && (atDestination || world.source === 'running'))
        return 'gives up a VM that is there';
      return undefined;
    default:
      return undefined;
  }
}

function begin(node: Node, effect: MoveEffect): Node {
  const { world } = node;
  switch (effect.kind) {
    case 'migrate':
      return startCall(wait(node, effect.kind), effect.resume);
    case 'flip':
      return world.call === 'precopy' ? { ...node, world: { ...world, call: 'flipping' } } : node;
    case 'abort':
      return world.call === 'precopy' ? endCall(node, { source: 'running', destination: 'none' }, false) : node;
    default:
      return wait(node, effect.kind);
  }
}

function wait(node: Node, kind: MoveEffect['kind']): Node {
  return answered.has(kind) && !node.due.includes(kind) ? { ...node, due: [...node.due, kind] } : node;
}

function startCall(node: Node, resume: boolean): Node {
  const { world } = node;
  if (resume) {
    if (world.source === 'split' && world.destination === 'split') {
      return { ...node, world: { ...world, call: 'postcopy' } };
    }
    return endCall(node, {}, world.source === 'none' && world.destination === 'running');
  }
  if (world.source !== 'running') return endCall(node, {}, false);
  return { ...node, world: { ...world, destination: 'incoming', call: 'precopy' } };
}

/** The call is over; the engine hears of it if it is the one that waits for it. */
function endCall(node: Node, change: Partial<World>, well: boolean): Node {
  const ended: Node = { ...node, world: { ...node.world, ...change, call: 'none' } };
  if (!node.due.includes('migrate')) return ended;
  const event: MoveEvent = well ? { kind: 'migrate-succeeded' } : { kind: 'migrate-failed', reason: '' };
  return { ...ended, due: node.due.filter((kind) => kind !== 'migrate'), events: [...node.events, event] };
}

function answers(node: Node, kind: MoveEffect['kind']): Change[] {
  const rest: Node = { ...node, due: node.due.filter((other) => other !== kind) };
  const say = (what: string, obliged: boolean, event: MoveEvent, world: World = node.world): Change => ({
    what,
    obliged,
    to: { ...rest, world, events: [...node.events, event] },
  });
  switch (kind) {
    case 'prepare':
      return [
        say('prepared', true, { kind: 'prepared' }),
        say('not prepared', true, { kind: 'prepare-failed', reason: '' }),
      ];
    case 'look':
      return looks(node).map(({ obliged, event, world }) => say('looked', obliged, event, world));
    case 'await-link':
      return [say('link up', true, { kind: 'link-up' })];
    case 'record-place':
      return [say('place recorded', true, { kind: 'place-recorded' })];
    case 'settle': {
      const { world, broken } = settled(node);
      const change = say('settled', true, { kind: 'settled' }, world);
      // It may also be done and the engine die before it can say so.
      const dies: Change = { what: 'settled, unsaid', obliged: false, to: crash({ ...node, world }) };
      return broken === undefined ? [change, dies] : [{ ...change, broken }];
    }
    default:
      return [];
  }
}

/**
 * A look waits for the call to end, calling it off where that is possible, or asking for the flip again where that was asked
 * for; a place may not answer.
 */
function looks({ world, move }: Pick<Node, 'world' | 'move'>): { obliged: boolean; event: MoveEvent; world: World }[] {
  const unknown = { kind: 'seen', source: 'unknown', destination: 'unknown' } as const;
  if (world.call === 'precopy') {
    if (move.flipAsked === true) return [{ obliged: true, event: unknown, world: { ...world, call: 'flipping' } }];
    const aborted: World = { ...world, source: 'running', destination: 'none', call: 'none' };
    return [{ obliged: false, event: unknown, world }, ...looks({ world: aborted, move })];
  }
  if (world.call !== 'none') return [{ obliged: false, event: unknown, world }];
  const source = seenSource[world.source];
  const destination = seenDestination[world.destination];
  return [
    { obliged: true, event: { kind: 'seen', source, destination }, world },
    { obliged: false, event: { kind: 'seen', source: 'unknown', destination }, world },
    { obliged: false, event: { kind: 'seen', source, destination: 'unknown' }, world },
    { obliged: false, event: unknown, world },
  ];
}

const seenSource: Readonly<Record<World['source'], Seen>> = {
  running: 'running',
  stopped: 'paused',
  split: 'postcopy-source',
  poised: 'flip-failed',
  none: 'absent',
};
const seenDestination: Readonly<Record<World['destination'], Seen>> = {
  none: 'absent',
  incoming: 'incoming',
  running: 'running',
  stopped: 'paused',
  split: 'postcopy-destination',
};

function settled({ move, world }: Node): { world: World; broken?: string } {
  switch (move.outcome) {
    case 'done':
      return { world: { ...world, source: 'none' } };
    case 'failed': {
      const wakes = move.resumeSource === true && ['stopped', 'split', 'poised'].includes(world.source);
      const after: World = { ...world, destination: 'none', source: wakes ? 'running' : world.source };
      if (wakes && world.source === 'split') return { world: after, broken: 'wakes half of a VM' };
      return wakes && mustNotRun(world) ? { world: after, broken: 'wakes a stale source' } : { world: after };
    }
    default:
      return { world: { ...world, source: 'none', destination: 'none' } };
  }
}

/**
 * A source that is older than what ran at the destination, unless that died before anybody heard of it: then nothing is left
 * that could tell.
 */
export function mustNotRun({ stale, unheard, death }: World): boolean {
  return stale && !(unheard && death);
}

/** What `told` leads to, heard and not; one that tells of a destination that runs is missed for good where it is not heard. */
function hearing(node: Node, told?: MoveEvent): Node[] {
  if (told === undefined) return [node];
  const heard = { ...node, events: [...node.events, told] };
  if (told.kind !== 'taken-over') return node.engine === 'up' ? [heard, node] : [node];
  const missed = { ...node, world: { ...node.world, unheard: true } };
  return node.engine === 'up' ? [heard, { ...missed, events: [...node.events, { kind: 'deaf' }] }] : [missed];
}

const flipped = { source: 'split', destination: 'split', stale: true, call: 'postcopy' } as const;
const torn = { source: 'poised', destination: 'split', stale: true, torn: true } as const;

/** What both hosts do by themselves. */
function worldSteps(node: Node): Change[] {
  return [...callSteps(node), ...mishaps(node)];
}

function callSteps(node: Node): Change[] {
  const { world } = node;
  const goes = (what: string, change: Partial<World>): Change => ({
    what,
    obliged: true,
    to: { ...node, world: { ...world, ...change } },
  });
  const ends = (what: string, well: boolean, change: Partial<World>): Change => ({
    what,
    obliged: true,
    to: endCall(node, change, well),
  });
  switch (world.call) {
    case 'precopy':
      return [
        goes('the source is stopped', { source: 'stopped', call: 'handover' }),
        ends('the copy breaks', false, { source: 'running', destination: 'none' }),
        ends('the copy breaks, a receiver stays', false, { source: 'running' }),
      ];
    case 'flipping': {
      const breaks = (what: string, change: Partial<World>, told?: MoveEvent): Change[] =>
        hearing(node, told).map((heard) => ({ what, obliged: true, to: endCall(heard, change, false) }));
      return [
        ...hearing(node, { kind: 'flipped' })
          .flatMap((heard) => hearing(heard, { kind: 'taken-over' }))
          .map(
            (to): Change => ({ what: 'the flip', obliged: true, to: { ...to, world: { ...to.world, ...flipped } } }),
          ),
        ...breaks('the flip breaks', { source: 'poised' }, { kind: 'flipped' }),
        ...breaks('the flip breaks, the receiver too', { source: 'poised', destination: 'none' }, { kind: 'flipped' }),
        ...breaks('the flip breaks when the destination has begun', torn, { kind: 'taken-over' }),
        ...breaks('the copy breaks before the flip', { source: 'running', destination: 'none' }),
        goes('the copy is done before the flip', { source: 'stopped', call: 'handover' }),
      ];
    }
    case 'handover': {
      const runs = goes('the destination runs', { destination: 'running', stale: true, call: 'finished' });
      const heard: Change = { ...runs, to: { ...runs.to, events: [...runs.to.events, { kind: 'handed-over' }] } };
      const unheard: Change = { ...runs, to: { ...runs.to, world: { ...runs.to.world, unheard: true } } };
      return [
        ...(node.engine === 'up' ? [heard, unheard] : [unheard]),
        ends('the handover breaks, libvirt wakes the source', false, { source: 'running', destination: 'none' }),
        ends('the handover breaks, the source stays stopped', false, { destination: 'none' }),
        ends('the handover breaks, both stay stopped', false, {}),
      ];
    }
    case 'finished':
      return [
        ends('the source is gone', true, { source: 'none' }),
        ends('the source is gone, the word of it too', false, { source: 'none' }),
        ends('the confirmation is lost', false, {}),
      ];
    case 'postcopy':
      return [
        ends('the rest has come', true, { source: 'none', destination: 'running' }),
        ends('the rest has come, the word of it has not', false, { source: 'none', destination: 'running' }),
        ends('post-copy breaks', false, {}),
      ];
    case 'none':
      return [];
  }
}

function mishaps(node: Node): Change[] {
  const { world } = node;
  const changes: Change[] = [];
  if (world.destination === 'running') {
    changes.push({
      what: 'its disk fails',
      obliged: false,
      to: { ...node, world: { ...world, destination: 'stopped' } },
    });
  }
  if (world.death) return changes;
  const receiver = world.destination === 'incoming' ? ('none' as const) : world.destination;
  const dead = { ...node, world: { ...world, death: true } };
  if (world.source !== 'none') {
    const change: Partial<World> = { source: 'none', destination: receiver };
    changes.push({
      what: 'the source dies',
      obliged: false,
      to: world.call === 'none' ? { ...dead, world: { ...dead.world, source: 'none' } } : endCall(dead, change, false),
    });
  }
  if (world.destination !== 'none') {
    const wakes = world.source === 'stopped' && !world.stale ? { source: 'running' as const } : {};
    changes.push({
      what: 'the destination dies',
      obliged: false,
      to:
        world.call === 'none'
          ? { ...dead, world: { ...dead.world, destination: 'none' } }
          : endCall(dead, { ...wakes, destination: 'none' }, false),
    });
  }
  return changes;
}
