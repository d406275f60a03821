import { describe, expect, it, vi } from 'vitest';
import type { DomainState, LibvirtEventListener } from '../../../main/libvirt/index.ts';
import { MoveEffects, type MoveRun } from '../../../main/migrate/index.ts';
import type { Direction, Phase } from '../../../shared/model/move.ts';

const off: DomainState = { state: 'shutoff', reason: 'shutoff-destroyed' };
const running: DomainState = { state: 'running', reason: 'running-booted' };
const paused: DomainState = { state: 'paused', reason: 'paused-migration' };
const silent = new Error('libvirt does not answer');

interface Scene {
  readonly effects: MoveEffects;
  readonly run: MoveRun;
  /** Done to the disk, in order. */
  readonly did: string[];
  enter(phase: Phase): void;
  /** libvirt at home tells that a domain has ended. */
  stopped(uuid?: string): void;
  /** libvirt at home is heard again. */
  restored(): void;
  readonly listeners: ReadonlySet<LibvirtEventListener>;
}

/** A move whose host is out of reach; `states`: what home's libvirt says, one look after another, the last for good. */
function scene(direction: Direction, ...states: readonly (DomainState | Error)[]): Scene {
  const did: string[] = [];
  const listeners = new Set<LibvirtEventListener>();
  const left = [...states];
  const at = { phase: 'copying' as Phase };
  const revoked = async (writer: string): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    did.push(`revoke ${writer}`);
  };
  const effects = new MoveEffects({
    direction,
    link: { state: 'down' },
    visitLink: { visit: 'v', fence: () => undefined },
    vm: {
      uuid: 'u',
      disk: { revoke: revoked, allow: async (writer: string) => void did.push(`allow ${writer}`) },
      connection: {
        state: async () => {
          const [state = off] = left.length > 1 ? left.splice(0, 1) : left;
          if (state instanceof Error) throw state;
          return state;
        },
        onEvent: (listener: LibvirtEventListener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
    },
    recordPlace: async () => undefined,
    visitEnded: async () => undefined,
  } as unknown as ConstructorParameters<typeof MoveEffects>[0]);
  const run = {
    data: {},
    get state() {
      return { phase: at.phase, direction, flipped: false, outcome: 'lost' };
    },
    move: { direction },
  } as unknown as MoveRun;
  return {
    effects,
    run,
    did,
    listeners,
    enter: (phase) => {
      at.phase = phase;
    },
    restored: () => {
      for (const listener of listeners) listener({ kind: 'connection', state: 'restored' });
    },
    stopped: (uuid = 'u') => {
      for (const listener of listeners) {
        listener({ kind: 'lifecycle', uuid, name: 'work', event: 'stopped', detail: 'destroyed' });
      }
    },
  };
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));

describe('while the host is out of reach, home may write', () => {
  it.each<[Direction, string, DomainState | Error, string[]]>([
    ['home', 'nothing: what would be started there were a second copy', off, ['revoke home']],
    ['out', 'nothing: its source died, and may have handed over before', off, ['revoke home']],
    ['out', 'a VM that runs: it may be the only copy', running, []],
    ['home', 'a VM that runs: it may have arrived', running, []],
    ['out', 'a VM that stands still: it may be told to go on', paused, []],
    ['home', 'a receiver', paused, []],
    ['home', 'what nobody can tell', silent, []],
    ['out', 'what nobody can tell', silent, []],
  ])('on the way %s, where it has %s', async (direction, _what, state, expected) => {
    const { effects, run, did } = scene(direction, state);
    await effects.look(run);
    expect(did).toEqual(expected);
  });

  it('where it was started just before it was cut off: what is seen then counts', async () => {
    const { effects, run, did } = scene('out', off, off, running);
    expect(await effects.look(run)).toMatchObject({ source: 'running' });
    expect(did).toEqual([]);
  });
});

describe('a receiver that is forced off between two looks', () => {
  async function looked(...states: readonly DomainState[]): Promise<Scene> {
    const made = scene('home', paused, paused, ...states);
    await made.effects.look(made.run);
    return made;
  }

  it('leaves nothing that could be started', async () => {
    const { did, stopped } = await looked(off);
    stopped();
    await vi.waitFor(() => expect(did).toEqual(['revoke home']));
  });

  it('also where libvirt was not heard when it ended', async () => {
    const { did, restored } = await looked(off);
    restored();
    await vi.waitFor(() => expect(did).toEqual(['revoke home']));
  });

  it('where another VM ended, or one runs in its place, nothing is taken', async () => {
    const { did, stopped } = await looked(running);
    stopped('another');
    stopped();
    await soon();
    expect(did).toEqual([]);
  });

  it.each<Phase>(['switched', 'settling'])('nor once the move is decided: %s', async (phase) => {
    const { did, stopped, enter } = await looked(off);
    enter(phase);
    stopped();
    await soon();
    expect(did).toEqual([]);
  });
});

describe('settling', () => {
  it('gives the disk back after it was taken, however late that was, and hears nothing more', async () => {
    const { effects, run, did, stopped, enter, listeners } = scene('home', paused, paused, off);
    await effects.look(run);
    stopped();
    // Given up in this very moment.
    await new Promise((resolve) => setImmediate(resolve));
    enter('settling');
    await effects.settle(run);
    expect(did).toEqual(['revoke home', 'revoke visit-v', 'allow home']);
    expect(listeners.size).toBe(0);
  });
});
