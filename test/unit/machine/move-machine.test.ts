import { describe, expect, it } from 'vitest';
import {
  cancelledByUser,
  isCancellable,
  isOver,
  type MoveEffect,
  type MoveEvent,
  type MoveState,
  planned,
  step,
} from '../../../shared/machine/move-machine.ts';
import { seens, verdictOf } from '../../../shared/machine/verdict.ts';

const pairs = seens.flatMap((source) => seens.map((destination) => ({ source, destination })));
const events: readonly MoveEvent[] = [
  { kind: 'begin' },
  { kind: 'prepared' },
  { kind: 'prepare-failed', reason: 'the host is full' },
  { kind: 'cancel' },
  { kind: 'cancel', reason: 'this computer must sleep now' },
  { kind: 'flip-wanted' },
  { kind: 'flipped' },
  { kind: 'handed-over' },
  { kind: 'taken-over' },
  { kind: 'deaf' },
  { kind: 'migrate-succeeded' },
  { kind: 'migrate-failed', reason: 'connection reset' },
  ...pairs.map((pair): MoveEvent => ({ kind: 'seen', ...pair })),
  { kind: 'link-up' },
  { kind: 'given-up' },
  { kind: 'place-recorded' },
  { kind: 'settled' },
  { kind: 'engine-restarted' },
];

interface Edge {
  readonly from: MoveState;
  readonly event: MoveEvent;
  readonly to: MoveState;
  readonly effects: readonly MoveEffect[];
}

/** Every state that any sequence of events can reach, with every step between them. */
function explore(): { states: MoveState[]; edges: Edge[] } {
  const known = new Map<string, MoveState>();
  const queue: MoveState[] = [planned('out'), planned('home')];
  const edges: Edge[] = [];
  for (let from = queue.shift(); from !== undefined; from = queue.shift()) {
    const key = JSON.stringify(from);
    if (known.has(key)) continue;
    known.set(key, from);
    for (const event of events) {
      const { state, effects } = step(from, event);
      edges.push({ from, event, to: state, effects });
      if (!known.has(JSON.stringify(state))) queue.push(state);
    }
  }
  return { states: [...known.values()], edges };
}

const { states, edges } = explore();
const does = (edge: Edge, kind: MoveEffect['kind']) => edge.effects.some((effect) => effect.kind === kind);

describe('the move machine, over every reachable state and every event', () => {
  it('has a bounded number of states', () => {
    expect(states.length).toBeGreaterThan(20);
    expect(states.length).toBeLessThan(10_000);
  });

  it('can end from every state', () => {
    const canEnd = new Set(states.filter((state) => isOver(state.phase)).map((state) => JSON.stringify(state)));
    for (let grown = true; grown; ) {
      grown = false;
      for (const edge of edges) {
        const key = JSON.stringify(edge.from);
        if (!canEnd.has(key) && canEnd.has(JSON.stringify(edge.to))) {
          canEnd.add(key);
          grown = true;
        }
      }
    }
    expect(states.filter((state) => !canEnd.has(JSON.stringify(state)))).toEqual([]);
  });

  it('never leaves an end, and does nothing there', () => {
    const after = edges.filter((edge) => isOver(edge.from.phase));
    expect(after.filter((edge) => edge.to !== edge.from || edge.effects.length > 0)).toEqual([]);
  });

  it('reaches done only over a recorded place, and every end only over settling', () => {
    for (const edge of edges) {
      if (isOver(edge.to.phase) && !isOver(edge.from.phase)) expect(edge.from.phase).toBe('settling');
      if (edge.to.outcome === 'done' && edge.from.outcome !== 'done') expect(edge.event.kind).toBe('place-recorded');
    }
  });

  it('I1: takes the VM to be at the destination only by success or by seeing a source that does not run', () => {
    for (const edge of edges) {
      if (edge.to.phase !== 'switched' || edge.from.phase === 'switched') continue;
      if (edge.event.kind === 'seen') {
        expect(edge.event.source).not.toBe('running');
        expect(['running', 'paused']).toContain(edge.event.destination);
      } else expect(edge.event.kind).toBe('migrate-succeeded');
    }
  });

  it('I1: wakes a stopped source only when the destination was asked and does not run', () => {
    for (const edge of edges) {
      if (edge.to.resumeSource !== true || edge.from.resumeSource === true) continue;
      expect(edge.from.handedOver).not.toBe(true);
      if (edge.event.kind !== 'seen') throw new Error(`woken by ${edge.event.kind}`);
      expect(['paused', 'flip-failed']).toContain(edge.event.source);
      if (edge.event.source === 'paused') expect(edge.from.flipped).toBe(false);
      expect(['incoming', 'postcopy-source', 'absent']).toContain(edge.event.destination);
    }
  });

  it('I3: an effect never comes with a state that was not entered for it', () => {
    for (const edge of edges) {
      if (does(edge, 'settle')) expect(edge.to.phase).toBe('settling');
      if (does(edge, 'record-place')) expect(edge.to.phase).toBe('switched');
      if (does(edge, 'prepare')) expect(edge.to.phase).toBe('preparing');
      if (does(edge, 'migrate')) expect(['copying', 'recovering']).toContain(edge.to.phase);
      if (does(edge, 'await-link')) expect(edge.to.phase).toBe('paused');
      if (does(edge, 'look')) expect(edge.to.looking).toBe(true);
    }
  });

  it('calls off nothing once the flip has been asked for', () => {
    for (const edge of edges) {
      if (does(edge, 'flip')) expect(edge.to.flipAsked).toBe(true);
      if (does(edge, 'abort')) expect(edge.from.flipAsked === true || edge.from.flipped).toBe(false);
    }
    for (const state of states) {
      if (state.flipAsked !== true && !state.flipped) continue;
      expect(isCancellable(state)).toBe(false);
      expect(step(state, { kind: 'cancel' })).toEqual({ state, effects: [] });
    }
  });

  it('resumes a migration only after the flip, and starts one anew only before it', () => {
    for (const edge of edges) {
      for (const effect of edge.effects) if (effect.kind === 'migrate') expect(effect.resume).toBe(edge.to.flipped);
    }
  });

  it('declares a loss only when no place can still hold the VM', () => {
    for (const edge of edges) {
      if (edge.to.outcome !== 'lost' || edge.from.outcome === 'lost') continue;
      if (edge.event.kind === 'given-up') continue;
      expect(edge.event.kind).toBe('seen');
      if (edge.event.kind !== 'seen') continue;
      const { source, destination } = edge.event;
      // QEMU never takes up a flip again that it has called off.
      const torn = source === 'flip-failed' && destination === 'postcopy-destination';
      expect(torn || source === 'absent' || destination === 'absent').toBe(true);
    }
  });

  it('is given up only where home has no whole VM of its own that goes on', () => {
    for (const edge of edges) {
      if (edge.event.kind !== 'given-up' || edge.to === edge.from) continue;
      const { phase, flipped, handedOver, direction } = edge.from;
      expect(phase === 'paused' || flipped || handedOver === true || direction === 'home').toBe(true);
      expect(edge.to).toMatchObject({ phase: 'settling', outcome: 'lost', givenUp: true });
    }
  });

  it('can be given up from wherever only the host could end it', () => {
    for (const state of states) {
      if (state.phase === 'paused') expect(step(state, { kind: 'given-up' }).state.phase).toBe('settling');
    }
  });

  it('after a restarted engine, every unfinished state has work to do', () => {
    for (const edge of edges) {
      if (edge.event.kind === 'engine-restarted' && !isOver(edge.from.phase)) {
        expect(edge.effects.length).toBeGreaterThan(0);
      }
    }
  });
});

describe('a move that is called off', () => {
  it('ends with the reason it was given, in whichever phase', () => {
    const reason = 'this computer must sleep now';
    for (const edge of edges) {
      if (edge.to.outcome !== 'failed' || edge.from.outcome === 'failed') continue;
      if (edge.to.cancelAsked) expect(edge.to.failure).toBe(edge.to.cancelReason ?? cancelledByUser);
      else expect(edge.to.failure).not.toBe(reason);
    }
  });
});

describe('the verdict on what both libvirts say', () => {
  it('believes a source that runs, whatever the other side says', () => {
    for (const destination of seens) expect(verdictOf('running', destination, 'unheard')).toBe('stayed');
  });

  it('waits for a place that cannot be asked unless the other one settles the question', () => {
    expect(verdictOf('unknown', 'running', 'unheard')).toBe('switched');
    expect(verdictOf('unknown', 'absent', 'unheard')).toBe('wait');
    expect(verdictOf('paused', 'unknown', 'unheard')).toBe('wait');
    expect(verdictOf('absent', 'unknown', 'part')).toBe('wait');
    expect(verdictOf('flip-failed', 'unknown', 'flipped')).toBe('wait');
  });

  it('does not wake a source after the destination has run', () => {
    for (const ran of ['part', 'whole'] as const) {
      for (const source of ['paused', 'flip-failed'] as const) {
        for (const destination of seens) expect(verdictOf(source, destination, ran)).not.toBe('stayed-paused');
      }
    }
    for (const destination of seens) expect(verdictOf('paused', destination, 'flipped')).not.toBe('stayed-paused');
  });

  it('wakes a source whose flip failed where the destination has not begun to run', () => {
    for (const ran of ['flipped', 'unheard'] as const) {
      expect(verdictOf('flip-failed', 'absent', ran)).toBe('stayed-paused');
      expect(verdictOf('flip-failed', 'incoming', ran)).toBe('stayed-paused');
      expect(verdictOf('flip-failed', 'postcopy-destination', ran)).toBe('lost');
    }
    expect(verdictOf('flip-failed', 'absent', 'part')).toBe('lost');
  });

  it('wakes none whose destination may have run unheard, unless its receiver is still there', () => {
    expect(verdictOf('flip-failed', 'absent', 'flipped', true)).toBe('lost');
    expect(verdictOf('flip-failed', 'incoming', 'flipped', true)).toBe('stayed-paused');
    const asked: MoveState = { ...planned('out'), phase: 'copying', flipAsked: true };
    const restarted = step(asked, { kind: 'engine-restarted' }).state;
    const seen = { kind: 'seen', source: 'flip-failed', destination: 'absent' } as const;
    expect(step(restarted, seen).state.outcome).toBe('lost');
    expect(step({ ...asked, looking: true }, seen).state).toMatchObject({ outcome: 'failed', resumeSource: true });
  });

  it('takes a destination that ran and was stopped for the VM, not the source it came from', () => {
    expect(verdictOf('paused', 'paused', 'unheard')).toBe('switched');
    expect(verdictOf('paused', 'paused', 'whole')).toBe('switched');
    expect(verdictOf('paused', 'absent', 'whole')).toBe('lost');
  });
});
