import { expect, it, vi } from 'vitest';
import type { Visit } from '../../../main/host/visit.ts';
import { VisitWatch } from '../../../main/host/watch.ts';
import type { Connection, DomainReason, DomainStateName, LibvirtEvent } from '../../../main/libvirt/index.ts';

const vm = '3b7e3c52-6f1f-4d36-9f0c-6b1f3f6f0a11';

/** A visit whose libvirtd shows one domain, which stops again each time it is resumed. */
function visitIn(state: DomainStateName, reason: DomainReason, status = 'paused') {
  const resumed: string[] = [];
  let tell: (event: LibvirtEvent) => void = () => undefined;
  let states = 0;
  const visit = {
    state: 'running',
    pid: undefined,
    request: { vm, vmName: 'worker', vcpus: 1, memoryBytes: 1024 },
    isUp: async () => true,
    setState: async () => {
      states += 1;
    },
  };
  const connection = {
    listDomains: async () => [{ uuid: vm, state, reason }],
    allStats: async () => [],
    qemuMonitorCommand: async () => ({ status }),
    onEvent: (listener: (event: LibvirtEvent) => void) => {
      tell = listener;
    },
    resume: async (uuid: string) => {
      resumed.push(uuid);
    },
    close: async () => undefined,
  };
  const watch = new VisitWatch({
    visit: visit as unknown as Visit,
    libvirt: { connect: async () => connection as unknown as Connection },
    onChange: () => undefined,
    onAbuse: () => undefined,
    onFault: (error) => expect.fail(String(error)),
  });
  const looks = () => states;
  const event = () => tell({ kind: 'lifecycle', uuid: vm, name: 'worker', event: 'suspended', detail: 'ioerror' });
  return { watch, resumed, looks, event };
}

it.each([
  ['paused-ioerror', 'io-error'],
  // What libvirt says of one that was stopped so as it arrived.
  ['paused-user', 'io-error'],
] as const)(
  'has a guest that was stopped for a disk’s error go on, and not at every word of it: %s',
  async (reason, status) => {
    const { watch, resumed, looks, event } = visitIn('paused', reason, status);
    watch.start();
    await vi.waitFor(() => expect(looks()).toBe(1));
    event();
    await vi.waitFor(() => expect(looks()).toBe(2));
    expect(resumed).toEqual([vm]);
    await watch.stop();
  },
);

it.each([
  ['paused', 'paused-user'],
  ['paused', 'paused-migration'],
  ['paused', 'paused-postcopy-failed'],
  ['running', 'running-booted'],
] as const)('leaves a guest alone that is %s for another reason: %s', async (state, reason) => {
  const { watch, resumed, looks } = visitIn(state, reason);
  watch.start();
  await vi.waitFor(() => expect(looks()).toBe(1));
  expect(resumed).toEqual([]);
  await watch.stop();
});
