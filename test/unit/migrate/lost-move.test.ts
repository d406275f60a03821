import { expect, it } from 'vitest';
import type { DomainState } from '../../../main/libvirt/index.ts';
import { MoveEffects, type MoveRun } from '../../../main/migrate/index.ts';
import type { Direction } from '../../../shared/model/move.ts';

/** Settles a move that lost its VM, with `atHome` what home's libvirt still shows; what was done, in order. */
async function settleLost(direction: Direction, atHome: DomainState, flipped = true): Promise<readonly string[]> {
  const did: string[] = [];
  const note = (what: string) => async (): Promise<void> => {
    did.push(what);
  };
  const effects = new MoveEffects({
    link: { state: 'down' },
    visitLink: { visit: 'v', fence: note('fence') },
    vm: {
      uuid: 'u',
      disk: { revoke: note('revoke the visit'), allow: note('allow home') },
      connection: { state: async () => atHome, destroy: note('destroy') },
    },
    recordPlace: note('record the place'),
    visitEnded: note('end the visit'),
  } as unknown as ConstructorParameters<typeof MoveEffects>[0]);
  const state = { phase: 'settling', direction, flipped, outcome: 'lost' };
  await effects.settle({ data: {}, state } as unknown as MoveRun);
  return did;
}

const tidied = ['fence', 'revoke the visit', 'allow home', 'destroy', 'record the place', 'end the visit'];
const leftAlone = tidied.filter((step) => step !== 'destroy');

it.each([
  ['out', { state: 'paused', reason: 'paused-postcopy-failed' }],
  ['out', { state: 'paused', reason: 'paused-user' }],
  ['home', { state: 'running', reason: 'running-postcopy-failed' }],
  ['home', { state: 'running', reason: 'running-postcopy' }],
  ['home', { state: 'paused', reason: 'paused-postcopy-failed' }],
  ['home', { state: 'paused', reason: 'paused-migration' }],
] as const)('a VM lost on its way %s leaves no part of it at home: %o', async (direction, atHome) => {
  expect(await settleLost(direction, atHome)).toEqual(tidied);
});

it.each([
  ['out', { state: 'shutoff', reason: 'shutoff-destroyed' }],
  // Started again meanwhile, by hand.
  ['out', { state: 'running', reason: 'running-booted' }],
  ['home', { state: 'running', reason: 'running-booted' }],
] as const)(
  'a VM lost on its way %s that is whole at home, or not there, is left alone: %o',
  async (direction, atHome) => {
    expect(await settleLost(direction, atHome)).toEqual(leftAlone);
  },
);
