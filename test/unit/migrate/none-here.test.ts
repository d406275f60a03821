import { expect, it } from 'vitest';
import { type DomainState, LibvirtError, libvirtErrorCode } from '../../../main/libvirt/index.ts';
import { needNoneHere } from '../../../main/migrate/index.ts';
import type { LocalVm } from '../../../main/migrate/local-vm.ts';

const home = (state: DomainState | Error): LocalVm =>
  ({
    uuid: 'u',
    name: 'work',
    uri: 'qemu:///session',
    connection: {
      state: async () => {
        if (state instanceof Error) throw state;
        return state;
      },
    },
  }) as unknown as LocalVm;

it.each<[DomainState, string]>([
  [{ state: 'running', reason: 'running-booted' }, 'shutdown'],
  [{ state: 'paused', reason: 'paused-user' }, 'destroy'],
])('a VM does not come home to one that was started there: %o', async (state, command) => {
  await expect(needNoneHere(home(state))).rejects.toMatchObject({
    code: 'incompatible',
    hint: expect.stringContaining(`virsh -c qemu:///session ${command} work`),
  });
});

it.each<DomainState | Error>([
  { state: 'shutoff', reason: 'shutoff-migrated' },
  { state: 'crashed', reason: 'crashed-panicked' },
  // Left by an attempt that failed, for libvirt to end.
  { state: 'paused', reason: 'paused-migration' },
  // Undefined meanwhile.
  new LibvirtError({ kind: 'libvirt', code: libvirtErrorCode.NO_DOMAIN, message: 'no domain', domain: 10, level: 2 }),
  new Error('libvirt does not answer'),
])('it does where there is none, or libvirt has to say so itself: %o', async (state) => {
  await expect(needNoneHere(home(state))).resolves.toBeUndefined();
});
