import { expect, it } from 'vitest';
import { BalloonKeeper } from '../../../main/engine/balloon-keeper.ts';
import type { Connection } from '../../../main/libvirt/index.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { vm, vmUuid } from '../samples.ts';
import { away } from './away-scene.ts';

const MiB = 1024 * 1024;

/** libvirt counts 128 MiB of 192 until the guest's driver says otherwise, which it does from its `speaksAt`th offer on. */
function keeper(one: Vm | undefined, given: { speaksAt?: number; moving?: boolean; nowMs?: () => number } = {}) {
  const offers: number[] = [];
  let counted = 128 * MiB;
  let changes = 0;
  const connection = {
    memoryStats: async () => ({ actualBytes: counted }),
    setMemory: async (_uuid: string, bytes: number) => {
      offers.push(bytes / MiB);
      changes += 1;
      if (changes / 2 >= (given.speaksAt ?? 1)) counted = bytes;
    },
  } as unknown as Connection;
  const balloons = new BalloonKeeper({
    fleet: { list: () => (one === undefined ? [] : [one]), connection: async () => connection },
    moves: { isMoving: () => given.moving ?? false },
    onFault: (what) => expect.fail(what),
    ...(given.nowMs === undefined ? {} : { nowMs: given.nowMs }),
  });
  balloons.given(vmUuid, 192 * MiB);
  return { balloons, offers };
}

it('offers memory by way of a little less until libvirt counts it', async () => {
  const { balloons, offers } = keeper(vm({ state: 'running' }), { speaksAt: 2 });
  for (let look = 0; look < 4; look += 1) await balloons.look();
  expect(offers).toEqual([191, 192, 191, 192]);
});

it.each<[string, Vm | undefined]>([
  ['off', vm({ state: 'shutoff' })],
  ['away', vm({ state: 'running', place: away })],
  ['no more', undefined],
])('has nothing to offer to one that is %s', async (_what, one) => {
  const { balloons, offers } = keeper(one);
  await balloons.look();
  expect(offers).toEqual([]);
});

it('leaves one alone that moves', async () => {
  const { balloons, offers } = keeper(vm({ state: 'running' }), { moving: true });
  await balloons.look();
  balloons.stop();
  expect(offers).toEqual([]);
});

it('gives up after a while', async () => {
  let nowMs = 0;
  const { balloons, offers } = keeper(vm({ state: 'running' }), { speaksAt: 99, nowMs: () => nowMs });
  await balloons.look();
  nowMs = 300_001;
  await balloons.look();
  await balloons.look();
  expect(offers).toEqual([191, 192]);
});
