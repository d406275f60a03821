import { beforeAll, describe, expect, it } from 'vitest';
import { isOver, planned } from '../../../shared/machine/move-machine.ts';
import { begun, type Edge, edgesOf, keyOf, mustNotRun, type Node } from './two-hosts.ts';

/** One of each, with the way there, so that a failure can be read. */
interface Reached {
  readonly node: Node;
  readonly by: Edge | undefined;
}

const reached = new Map<string, Reached>();
const edges: Edge[] = [];

beforeAll(() => {
  const queue: Reached[] = [{ node: begun(planned('home')), by: undefined }];
  for (let index = 0; index < queue.length; index += 1) {
    const next = queue[index] as Reached;
    const key = keyOf(next.node);
    if (reached.has(key)) continue;
    reached.set(key, next);
    for (const edge of edgesOf(next.node)) {
      edges.push(edge);
      if (!reached.has(keyOf(edge.to))) queue.push({ node: edge.to, by: edge });
    }
  }
});

function wayTo(node: Node): string {
  const way: string[] = [];
  for (let at = reached.get(keyOf(node)); at?.by !== undefined; at = reached.get(keyOf(at.by.from)))
    way.unshift(at.by.what);
  return way.join(' → ');
}

/** Ways to whatever should not be, a few of them. */
function waysTo(nodes: readonly Node[]): string[] {
  return nodes.slice(0, 5).map(wayTo);
}

const nodes = (): Node[] => [...reached.values()].map(({ node }) => node);

describe('a move between two hosts, whatever happens in whatever order', () => {
  it('is walked to the end of what can happen', () => {
    expect(reached.size).toBeGreaterThan(1_000);
    expect(reached.size).toBeLessThan(200_000);
    const ends = new Set(nodes().map(({ move }) => move.phase));
    expect([...ends]).toEqual(expect.arrayContaining(['done', 'failed', 'lost', 'recovering', 'paused']));
  });

  it('I1: never two copies that run', () => {
    const both = nodes().filter(
      ({ world }) => world.source === 'running' && ['running', 'split', 'stopped'].includes(world.destination),
    );
    expect(waysTo(both)).toEqual([]);
  });

  it('I1: never runs a copy again that is older than one that has run since', () => {
    expect(waysTo(nodes().filter(({ world }) => mustNotRun(world) && world.source === 'running'))).toEqual([]);
  });

  it('I1, I3: never asks for an effect that would end or overtake the VM', () => {
    const broken = edges.filter((edge) => edge.broken !== undefined);
    expect(broken.slice(0, 5).map((edge) => `${edge.broken}: ${wayTo(edge.from)} → ${edge.what}`)).toEqual([]);
  });

  it('I3: every end is true: done has the VM at its destination, failed at its source, lost nowhere', () => {
    const untrue = nodes().filter(({ move, world }) => {
      if (!isOver(move.phase)) return false;
      if (move.phase === 'done') return world.source !== 'none' || (world.destination === 'none' && !world.death);
      if (move.phase === 'failed') {
        return (
          world.destination !== 'none' || !(world.source === 'running' || (world.death && world.source === 'none'))
        );
      }
      // Where nobody listened, a source that may be older than its disk counts as one that is.
      return !(world.death || world.torn || move.deaf === true);
    });
    expect(waysTo(untrue)).toEqual([]);
  });

  it('has no dead end: what the environment must do leads to an end from everywhere, over any engine that dies', () => {
    const before = new Map<string, string[]>();
    for (const edge of edges.filter(({ obliged }) => obliged)) {
      const to = keyOf(edge.to);
      before.set(to, [...(before.get(to) ?? []), keyOf(edge.from)]);
    }
    const queue = nodes()
      .filter(({ move, engine }) => engine === 'up' && isOver(move.phase))
      .map(keyOf);
    const canEnd = new Set(queue);
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
      for (const from of before.get(key) ?? []) {
        if (canEnd.has(from)) continue;
        canEnd.add(from);
        queue.push(from);
      }
    }
    // An engine that starts after the end has nothing left to do.
    const stuck = nodes().filter((node) => !isOver(node.move.phase) && !canEnd.has(keyOf(node)));
    expect(waysTo(stuck)).toEqual([]);
  });
});
