import { expect, it, onTestFinished, vi } from 'vitest';
import { MoveEffects, MoveRun } from '../../../main/migrate/index.ts';
import type { MoveData } from '../../../main/migrate/move-data.ts';
import type { Effects } from '../../../main/migrate/move-run.ts';
import type { MoveState } from '../../../shared/machine/move-machine.ts';
import { move } from '../samples.ts';

type EffectsOptions = ConstructorParameters<typeof MoveEffects>[0];

const copying: MoveState = { phase: 'copying', direction: 'out', flipped: false, cancelAsked: false, looking: false };

function runIn(state: MoveState): { run: MoveRun; did: string[]; journaled: (boolean | undefined)[] } {
  const did: string[] = [];
  const journaled: (boolean | undefined)[] = [];
  const effects = {
    flip: async () => void did.push('flip'),
    abort: async () => void did.push('abort'),
  } as unknown as Effects;
  const run = new MoveRun(move({ phase: state.phase }), { state } as unknown as MoveData, effects, {
    journal: async (_move, data) => {
      journaled.push(data?.state.flipAsked);
      did.push('journal');
    },
    changed: () => undefined,
    failed: (_step, thrown) => did.push(String(thrown)),
  });
  return { run, did, journaled };
}

it('a cancel is refused, in words, from the moment that the flip is asked for', async () => {
  const { run, did, journaled } = runIn(copying);
  expect(run.move.cancellable).toBe(true);
  run.post({ kind: 'flip-wanted' });
  await vi.waitFor(() => expect(did).toEqual(['journal', 'flip']));
  expect(journaled).toEqual([true]);
  expect(run.move.cancellable).toBe(false);
  expect(() => run.cancel()).toThrow('is switching to its destination at this moment');
  // As from a deadline, which nobody is told of.
  run.post({ kind: 'cancel', reason: 'the time ran out' });
  run.post({ kind: 'flip-wanted' });
  await vi.waitFor(() => expect(did).toEqual(['journal', 'flip', 'flip']));
});

it('a flip is not asked for once the move is called off', async () => {
  const { run, did } = runIn(copying);
  run.cancel();
  run.post({ kind: 'flip-wanted' });
  await vi.waitFor(() => expect(did).toEqual(['journal', 'abort']));
});

it('a move home that is given up while it settles is settled anew, as lost', async () => {
  const settled: (string | undefined)[] = [];
  const tried = Promise.withResolvers<void>();
  const effects = {
    settle: async ({ state }: MoveRun) => {
      settled.push(state.outcome);
      tried.resolve();
      // The host has gone for good half-way.
      if (state.outcome === 'failed') await new Promise((resolve) => setTimeout(resolve, 20));
    },
  } as unknown as Effects;
  const state: MoveState = { ...copying, phase: 'settling', direction: 'home', outcome: 'failed' };
  const run = new MoveRun(move({ phase: 'settling' }), { state } as unknown as MoveData, effects, {
    journal: async () => undefined,
    changed: () => undefined,
    failed: () => undefined,
  });
  run.post({ kind: 'engine-restarted' });
  await tried.promise;
  run.giveUp();
  expect((await run.ended).phase).toBe('lost');
  expect(settled).toEqual(['failed', 'lost']);
});

/** What an engine does with a call that an earlier one has left running, before it gives up waiting. */
async function takenUp(
  state: MoveState,
  home: object = {},
  expected: object = { source: 'unknown', destination: 'unknown' },
): Promise<string[]> {
  // Each look at the clock comes a quarter of a minute after the last.
  let nowMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
    nowMs += 15_000;
    return nowMs;
  });
  onTestFinished(() => clock.mockRestore());
  const did = new Set<string>();
  const effects = new MoveEffects({
    link: { state: 'up', call: async () => ({ visits: [{ visit: 'v', state: 'incoming' }] }) },
    visitLink: {
      visit: 'v',
      connection: () => Promise.reject(new Error('not in this test')),
      carries: async () => false,
      migration: async () => ({ name: 'm', outcome: () => new Promise(() => undefined) }),
      endMigration: async () => void did.add('end'),
    },
    vm: {
      uuid: 'u',
      connection: {
        onEvent: () => () => undefined,
        abortJob: async () => void did.add('abort'),
        startPostCopy: async () => void did.add('flip'),
        ...home,
      },
    },
  } as unknown as ConstructorParameters<typeof MoveEffects>[0]);
  const run = { data: { socketName: 'm' }, state, move: { direction: 'out' } } as unknown as MoveRun;
  expect(await effects.look(run)).toMatchObject(expected);
  return [...did];
}

it('a call of an earlier engine that never began, and does not end, is ended where the VM runs on without a job', async () => {
  const idle = {
    state: async () => ({ state: 'running', reason: 'running-booted' }),
    jobStats: async () => ({ type: 'none' }),
  };
  expect(await takenUp(copying, idle, { source: 'running', destination: 'unknown' })).toEqual(['abort', 'end']);
  const moving = { ...idle, jobStats: async () => ({ type: 'unbounded' }) };
  expect(await takenUp(copying, moving)).toEqual(['abort']);
  const stopped = { ...idle, state: async () => ({ state: 'paused', reason: 'paused-migration' }) };
  expect(await takenUp(copying, stopped)).toEqual(['abort']);
});

it('a call of an earlier engine is called off, but flipped where that engine has asked for it', async () => {
  expect(await takenUp(copying)).toEqual(['abort']);
  expect(await takenUp({ ...copying, flipAsked: true })).toEqual(['flip']);
});

it('a cancel that comes before libvirt has a job is said again until it is heard', async () => {
  let said = 0;
  const connection = {
    abortJob: async () => {
      said += 1;
      if (said < 3) throw new Error('no job is active on the domain');
    },
  };
  const effects = new MoveEffects({ vm: { uuid: 'u', connection } } as unknown as EffectsOptions);
  const run = (phase: MoveState['phase']) => ({ move: { direction: 'out' }, state: { ...copying, phase } }) as MoveRun;
  await effects.abort(run('copying'));
  expect(said).toBe(3);
  said = 0;
  await expect(effects.abort(run('settling'))).rejects.toThrow('no job is active');
});
