import { expect, it } from 'vitest';
import type { DomainState } from '../../../main/libvirt/index.ts';
import { MoveEffects, type MoveRun } from '../../../main/migrate/index.ts';

/** What is concluded of a move home whose source has gone, where home's QEMU says `status` of its migration. */
async function lookAt(
  atHome: DomainState,
  status: string | Error,
  patienceMs = 60_000,
  visits: readonly unknown[] = [],
): Promise<unknown> {
  const options = {
    link: { state: 'up', call: async () => ({ visits }) },
    visitLink: { visit: 'v' },
    vm: {
      uuid: 'u',
      connection: {
        state: async () => atHome,
        onEvent: () => () => undefined,
        qemuMonitorCommand: async () => {
          if (status instanceof Error) throw status;
          return { status };
        },
      },
    },
  } as unknown as ConstructorParameters<typeof MoveEffects>[0];
  const effects = new MoveEffects(options, patienceMs);
  return effects.look({ data: {}, move: { direction: 'home' } } as unknown as MoveRun);
}

const inPostcopy: DomainState = { state: 'running', reason: 'running-postcopy' };

it('a destination that QEMU says waits for a source that is gone has lost its memory', async () => {
  expect(await lookAt(inPostcopy, 'postcopy-paused')).toEqual({
    kind: 'seen',
    source: 'absent',
    destination: 'postcopy-destination',
  });
});

it.each([['postcopy-active'], [new Error('the monitor does not answer')]])(
  'and so has one from which nothing else is heard for a while: %s',
  async (status) => {
    expect(await lookAt(inPostcopy, status, -1)).toMatchObject({ destination: 'postcopy-destination' });
  },
);

it.each([
  [
    'it was started anew',
    [{ visit: 'v', state: 'gone', end: { why: 'host-restarted', at: '2026-11-20T10:00:00.000Z' } }],
  ],
  ['it knows nothing of the visit', []],
])('and soon, where the host says that %s: nothing is on its way any more', async (_what, visits) => {
  expect(await lookAt(inPostcopy, 'postcopy-active', 60_000, visits)).toMatchObject({
    destination: 'postcopy-destination',
  });
});

it('one that has all its memory is not given up, however long libvirt takes to say so', async () => {
  expect(await lookAt(inPostcopy, 'completed', -1)).toMatchObject({ source: 'absent', destination: 'unknown' });
});

it('a destination that runs is asked nothing', async () => {
  const running: DomainState = { state: 'running', reason: 'running-migrated' };
  expect(await lookAt(running, 'postcopy-paused')).toMatchObject({ source: 'absent', destination: 'running' });
});

const here = { visit: 'v', state: 'incoming' };

/** A migrate call out that libvirt never ends by itself; resolves with whether it was ended for it. */
async function wasEnded(
  flipped: boolean,
  atHome: DomainState,
  visits: unknown[] = [here],
  later: unknown[] = visits,
): Promise<boolean> {
  let looks = 0;
  const call = Promise.withResolvers<void>();
  let ended = false;
  const options = {
    link: { state: 'up', traffic: () => [], call: async () => ({ visits: looks++ === 0 ? visits : later }) },
    linkStableMs: () => 0,
    visitLink: {
      visit: 'v',
      migrate: () => call.promise,
      endMigration: async () => {
        ended = true;
        call.reject(new Error('The process that carries the migration has gone.'));
      },
    },
    vm: {
      uuid: 'u',
      connection: { state: async () => atHome, onEvent: () => () => undefined, jobStats: async () => ({}) },
    },
  } as unknown as ConstructorParameters<typeof MoveEffects>[0];
  const run = {
    data: {},
    state: { phase: 'postcopy', flipped },
    move: { direction: 'out' },
    remember: async () => undefined,
    note: () => undefined,
  } as unknown as MoveRun;
  const migrating = new MoveEffects(options, -1).migrate(run, false);
  const timer = setTimeout(call.reject, later === visits ? 100 : 1_500, new Error('enough waited'));
  await expect(migrating).rejects.toThrow();
  clearTimeout(timer);
  return ended;
}

const sourceGone: DomainState = { state: 'shutoff', reason: 'shutoff-crashed' };

it('a call whose source has died in post-copy is ended, since libvirt may not end it', async () => {
  expect(await wasEnded(true, sourceGone)).toBe(true);
});

it('a call is left to libvirt before the flip, and while the source is there', async () => {
  expect(await wasEnded(false, sourceGone)).toBe(false);
  expect(await wasEnded(true, { state: 'paused', reason: 'paused-postcopy' })).toBe(false);
});

it('a call whose receiver has died is ended, before the flip and after', async () => {
  const goesOn: DomainState = { state: 'running', reason: 'running-booted' };
  expect(await wasEnded(false, goesOn, [here], [{ ...here, state: 'empty' }])).toBe(true);
  expect(
    await wasEnded(true, { state: 'paused', reason: 'paused-postcopy' }, [here], [{ ...here, state: 'empty' }]),
  ).toBe(true);
});

it('a call whose receiver is not there yet is left to libvirt', async () => {
  const empty = { ...here, state: 'empty' };
  expect(await wasEnded(false, { state: 'running', reason: 'running-booted' }, [empty], [{ ...empty }])).toBe(false);
});

it.each([
  ['knows nothing of the visit any more', []],
  ['says that the visit is over', [{ ...here, state: 'gone' }]],
])('a call is ended, before the flip and after, when the host %s', async (_what, visits) => {
  expect(await wasEnded(false, { state: 'running', reason: 'running-booted' }, visits)).toBe(true);
  expect(await wasEnded(true, { state: 'paused', reason: 'paused-postcopy' }, visits)).toBe(true);
});

interface Left {
  readonly direction?: 'out' | 'home';
  readonly atSource?: DomainState;
  readonly atDestination?: DomainState;
  /** What QEMU at the source says of its migration, one look after the other. */
  readonly statuses: readonly string[];
  readonly link?: 'up' | 'down';
  readonly patienceMs?: number;
}

/** Looks at a move whose process here has gone: what the ends were told, and what was seen. */
async function lookWithoutProcess(left: Left) {
  const { direction = 'home', link = 'up', patienceMs } = left;
  const statuses = [...left.statuses];
  const told: string[] = [];
  const source = {
    state: async () => left.atSource ?? { state: 'running', reason: 'running-booted' },
    onEvent: () => () => undefined,
    qemuMonitorCommand: async () => ({ status: statuses.length > 1 ? statuses.shift() : statuses[0] }),
    abortJob: async (_uuid: string, { postcopy }: { postcopy: boolean }) => {
      told.push(postcopy ? 'pause' : 'abort');
      if (told.length === 1) throw new Error('refused at this moment');
    },
  };
  const destination = {
    state: async () => left.atDestination ?? { state: 'paused', reason: 'paused-migration' },
    onEvent: () => () => undefined,
  };
  const [home, away] = direction === 'home' ? [destination, source] : [source, destination];
  const options = {
    link: { state: link, call: async () => ({ visits: [{ visit: 'v', state: 'running' }] }) },
    visitLink: {
      visit: 'v',
      migration: async () => undefined,
      carries: async () => false,
      breakOff: async () => void told.push('break off'),
      connection: async () => away,
    },
    vm: { uuid: 'u', connection: home, disk: { revoke: async () => undefined, allow: async () => undefined } },
  } as unknown as ConstructorParameters<typeof MoveEffects>[0];
  const run = { data: { socketName: 'm' }, move: { direction }, state: {} } as unknown as MoveRun;
  const seen = await new MoveEffects(options, patienceMs).look(run);
  return { told, seen };
}

const sourceInPostcopy: DomainState = { state: 'paused', reason: 'paused-postcopy-failed' };
const destinationInPostcopy: DomainState = { state: 'running', reason: 'running-postcopy-failed' };

it('a source that goes on sending to nobody is called off, and only then believed', async () => {
  const { told, seen } = await lookWithoutProcess({ statuses: ['active', 'active', 'cancelling', 'cancelled'] });
  expect(told).toEqual(['abort', 'abort', 'abort']);
  expect(seen).toEqual({ kind: 'seen', source: 'running', destination: 'incoming' });
});

it('one in post-copy is stopped, to be resumed', async () => {
  const { told, seen } = await lookWithoutProcess({
    statuses: ['postcopy-active', 'postcopy-paused'],
    atSource: sourceInPostcopy,
    atDestination: destinationInPostcopy,
  });
  expect(told).toEqual(['pause']);
  expect(seen).toEqual({ kind: 'seen', source: 'postcopy-source', destination: 'postcopy-destination' });
});

it('one that cannot be called off is looked at again', async () => {
  const { seen } = await lookWithoutProcess({ statuses: ['active'], patienceMs: -1 });
  expect(seen).toEqual({ kind: 'seen', source: 'unknown', destination: 'unknown' });
});

it('a destination at the host is told that its source here is cut off, once that has flipped', async () => {
  const out = { direction: 'out', statuses: ['postcopy-paused'] } as const;
  const flipped = { ...out, atSource: sourceInPostcopy, atDestination: destinationInPostcopy };
  expect((await lookWithoutProcess(flipped)).told).toEqual(['break off']);
  expect((await lookWithoutProcess(out)).told).toEqual([]);
});

it('behind a link that is down nothing is called off, and what runs at home is believed', async () => {
  const running: DomainState = { state: 'running', reason: 'running-migrated' };
  const { told, seen } = await lookWithoutProcess({ statuses: ['active'], link: 'down', atDestination: running });
  expect([told, seen]).toEqual([[], { kind: 'seen', source: 'unknown', destination: 'running' }]);
});

it('a receiver that its call had not begun to finish becomes no VM any more', async () => {
  const { seen } = await lookWithoutProcess({ statuses: ['postcopy-paused'], atSource: sourceInPostcopy });
  expect(seen).toEqual({ kind: 'seen', source: 'postcopy-source', destination: 'absent' });
});

it.each([
  ['failed', 'flip-failed'],
  ['postcopy-paused', 'postcopy-source'],
  ['device', 'unknown'],
])('of a flip that libvirt still calls under way, and its receiver gone, QEMU is asked: %s', async (status, source) => {
  const { seen } = await lookWithoutProcess({
    statuses: [status],
    atSource: { state: 'paused', reason: 'paused-postcopy' },
    atDestination: { state: 'shutoff', reason: 'shutoff-destroyed' },
    patienceMs: 900,
  });
  expect(seen).toEqual(
    source === 'unknown'
      ? { kind: 'seen', source: 'unknown', destination: 'unknown' }
      : { kind: 'seen', source, destination: 'absent' },
  );
});

it('a resume that has lost its stream has lost the source', async () => {
  const { seen } = await lookWithoutProcess({
    statuses: ['postcopy-recover'],
    atSource: sourceInPostcopy,
    atDestination: destinationInPostcopy,
    patienceMs: 900,
  });
  expect(seen).toEqual({ kind: 'seen', source: 'absent', destination: 'postcopy-destination' });
});
