import { expect, it } from 'vitest';
import type { DomainState } from '../../../main/libvirt/index.ts';
import { wakeStopped } from '../../../main/migrate/wake.ts';

const uuid = '00000000-0000-4000-8000-000000000001';

/** As libvirt: what runs already is not resumed, but refused, and what it takes for half-way gone is resumed by QEMU alone. */
function libvirtWith(state: DomainState) {
  let now = state;
  return {
    now: () => now.state,
    state: async () => now,
    resume: async () => {
      if (now.state === 'running') throw new Error('domain is already running');
      if (now.reason === 'paused-postcopy-failed') throw new Error('did not answer resume within 10000 ms');
      now = { state: 'running', reason: 'running-unpaused' };
    },
    qemuMonitorCommand: async (_uuid: string, command: object) => {
      expect(command).toEqual({ execute: 'cont' });
      now = { state: 'running', reason: 'running-unpaused' };
      return {};
    },
  };
}

it('wakes a source that the handover stopped, also when asked again', async () => {
  const libvirt = libvirtWith({ state: 'paused', reason: 'paused-migration' });
  await wakeStopped(libvirt, uuid);
  await wakeStopped(libvirt, uuid);
  expect(libvirt.now()).toBe('running');
});

it('wakes a source whose flip failed, also when asked again', async () => {
  const libvirt = libvirtWith({ state: 'paused', reason: 'paused-postcopy-failed' });
  await wakeStopped(libvirt, uuid);
  await wakeStopped(libvirt, uuid);
  expect(libvirt.now()).toBe('running');
});

it('leaves a VM alone that somebody paused before the move', async () => {
  const libvirt = libvirtWith({ state: 'paused', reason: 'paused-user' });
  await wakeStopped(libvirt, uuid);
  expect(libvirt.now()).toBe('paused');
});
