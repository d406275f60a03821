import { expect, it } from 'vitest';
import { MoveEffects, type MoveRun } from '../../../main/migrate/index.ts';

/** Resumes a move home whose source says `statuses` of its migration, one after the other; what was done to its process. */
async function resume(statuses: readonly string[], isCarried: boolean): Promise<readonly string[]> {
  const left = [...statuses];
  const did: string[] = [];
  const source = { qemuMonitorCommand: async () => ({ status: left.length > 1 ? left.shift() : left[0] }) };
  const effects = new MoveEffects({
    direction: 'home',
    link: { state: 'up' },
    visitLink: {
      visit: 'v',
      connection: async () => source,
      carries: async () => isCarried,
      endMigration: async () => {
        did.push('ended');
        throw new Error('no further in this test');
      },
    },
    vm: { uuid: 'u' },
  } as unknown as ConstructorParameters<typeof MoveEffects>[0]);
  const run = { data: { socketName: 'm' }, move: { direction: 'home' } } as unknown as MoveRun;
  await effects.migrate(run, true).catch(() => did.push('not gone on'));
  return did;
}

it('a resume that goes on by itself is waited for, also one that libvirt has called failed', async () => {
  expect(await resume(['postcopy-recover', 'postcopy-active', 'completed'], true)).toEqual([]);
});

it.each([
  ['that is paused', 'postcopy-paused', true],
  ['whose stream has gone with its process', 'postcopy-recover', false],
])('one %s is begun anew, over a stream of its own', async (_what, status, isCarried) => {
  expect(await resume([status], isCarried)).toEqual(['ended', 'not gone on']);
});
