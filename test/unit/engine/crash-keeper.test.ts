import { expect, it } from 'vitest';
import { CrashKeeper } from '../../../main/engine/crash-keeper.ts';
import type { Connection } from '../../../main/libvirt/index.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { vm } from '../samples.ts';
import { away } from './away-scene.ts';

const ended = { why: 'lost-moving', at: away.since, hostName: 'tower' } as const;

/** Looks at one state after another; what was told. */
async function told(reason: string, ...states: readonly (Vm & { moving?: boolean })[]): Promise<string[]> {
  const texts: string[] = [];
  let one = states[0];
  const keeper = new CrashKeeper({
    fleet: {
      list: () => (one === undefined ? [] : [one]),
      connection: async () => ({ state: async () => ({ state: 'shutoff', reason }) }) as unknown as Connection,
    },
    moves: { isMoving: () => one?.moving === true },
    journal: { append: async (entry) => void texts.push(entry.kind === 'event' ? entry.text : entry.kind) },
    onFault: (what) => texts.push(what),
  });
  for (one of states) keeper.look();
  await new Promise((resolve) => setTimeout(resolve, 0));
  return texts;
}

const off = { state: 'shutoff' } as const;

it('a VM whose QEMU dies at home: once, with what to do', async () => {
  const texts = await told('shutoff-crashed', vm(), vm(off), vm(off));
  expect(texts).toEqual([expect.stringMatching(/^work was not shut down: .* start work$/)]);
});

it('also where it had only just come home', async () => {
  const coming = { ...vm({ place: away }), moving: true };
  expect(await told('shutoff-failed', coming, { ...vm(off), moving: true }, vm(off))).toHaveLength(1);
});

it.each<[string, string, readonly Vm[]]>([
  ['one that was shut down', 'shutoff-shutdown', [vm(), vm(off)]],
  ['one that was off all the time', 'shutoff-crashed', [vm(off), vm(off)]],
  ['one that moved away', 'shutoff-migrated', [vm(), vm({ ...off, place: away })]],
  ['one whose end was told already', 'shutoff-crashed', [vm(), vm({ ...off, place: { kind: 'home', ended } })]],
])('nothing of %s', async (_what, reason, states) => {
  expect(await told(reason, ...states)).toEqual([]);
});
