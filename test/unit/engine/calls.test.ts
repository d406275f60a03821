import { describe, expect, it } from 'vitest';
import { callsOn, type Rooms } from '../../../main/engine/calls.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { Host } from '../../../shared/model/host.ts';
import type { Direction, Move } from '../../../shared/model/move.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { host, hostFingerprint, move, vm } from '../samples.ts';
import { away } from './away-scene.ts';

describe('pairing with a host that is paired', () => {
  /** No address of it is known, so that whoever may pair fails at dialling it. */
  function pair(over: Partial<Host>): Promise<unknown> {
    const hosts = { find: () => host({ addresses: [], ...over }) };
    return Promise.resolve(callsOn({ hosts } as unknown as Rooms)['pair.start']({ host: 'tower' }));
  }

  it.each([
    ['that is up', {}],
    ['that does not answer', { reachable: false }],
  ])('is refused for one %s', async (_what, over) => {
    await expect(pair(over)).rejects.toMatchObject({
      code: 'bad-input',
      message: 'tower is already paired with this computer.',
    });
  });

  it('is the way back to one that lost its pairings, which may have a VM of this computer', async () => {
    await expect(pair({ reachable: false, mayPairAnew: true })).rejects.toMatchObject({ code: 'host-unreachable' });
  });
});

describe('revoking a host', () => {
  function revoke(moving: readonly Move[], vms: readonly Vm[] = []): { revoking: Promise<unknown>; revoked: string[] } {
    const revoked: string[] = [];
    const rooms = {
      peers: {
        list: () => [{ fingerprint: hostFingerprint, name: 'tower' }],
        revoke: async (fingerprint: string) => void revoked.push(fingerprint),
      },
      hosts: { syncPeers: () => undefined },
      moves: { underWay: () => moving },
      fleet: { list: () => vms },
    } as unknown as Rooms;
    return { revoking: Promise.resolve(callsOn(rooms)['peers.revoke']({ fingerprint: 'tower' })), revoked };
  }

  it.each<[Direction, string]>([
    ['out', 'work is being moved there.'],
    ['home', 'work is being moved home from there.'],
  ])('is refused while a VM moves %s: nobody could finish that', async (direction, message) => {
    const { revoking, revoked } = revoke([move({ direction, host: hostFingerprint })]);
    await expect(revoking).rejects.toMatchObject({ code: 'vm-busy', message });
    expect(revoked).toEqual([]);
  });

  it('is refused while a VM is there', async () => {
    await expect(revoke([], [vm({ place: away })]).revoking).rejects.toMatchObject({ code: 'vm-away' });
  });

  it('is done otherwise, whatever moves elsewhere', async () => {
    const { revoking, revoked } = revoke([move({ host: 'f'.repeat(64) })], [vm()]);
    await revoking;
    expect(revoked).toEqual([hostFingerprint]);
  });
});

describe.each(['vm.adopt', 'vm.release'] as const)('%s', (call) => {
  function ask(busy: boolean): { asking: Promise<unknown>; did: string[] } {
    const did: string[] = [];
    const rooms = {
      fleet: { need: () => vm({ state: 'shutoff' }) },
      adopter: { adopt: async () => void did.push('vm.adopt'), release: async () => void did.push('vm.release') },
      moves: {
        exclusively: async (_vm: unknown, act: () => Promise<unknown>) => {
          if (busy) throw new HomewardError('vm-busy', 'work is already being moved.');
          did.push('alone');
          return act();
        },
      },
      onChange: () => undefined,
    } as unknown as Rooms;
    return { asking: Promise.resolve(callsOn(rooms)[call]({ vm: 'work' })), did };
  }

  it('is not done in the middle of a move: shut off at home, the VM may run at its host, from the disk served here', async () => {
    const { asking, did } = ask(true);
    await expect(asking).rejects.toMatchObject({ code: 'vm-busy' });
    expect(did).toEqual([]);
  });

  it('is done with nothing else', async () => {
    const { asking, did } = ask(false);
    await asking;
    expect(did).toEqual(['alone', call]);
  });
});
