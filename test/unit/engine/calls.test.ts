import { describe, expect, it } from 'vitest';
import { callsOn, type Rooms } from '../../../main/engine/calls.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { host, hostFingerprint } from '../samples.ts';

describe('pairing with a host that is paired', () => {
  /** No address of it is known, so that whoever may pair fails at dialling it. */
  function pair(obstacle: HomewardError | undefined): Promise<unknown> {
    const known = host({ reachable: false, addresses: [] });
    const hosts = {
      find: () => known,
      linkTo: (fingerprint: string) => (fingerprint === hostFingerprint ? { obstacle } : undefined),
    };
    return Promise.resolve(callsOn({ hosts } as unknown as Rooms)['pair.start']({ host: 'tower' }));
  }

  it.each([
    ['that is up', undefined],
    ['that does not answer', new HomewardError('host-unreachable', 'It does not answer.')],
  ])('is refused for one %s', async (_what, obstacle) => {
    await expect(pair(obstacle)).rejects.toMatchObject({
      code: 'bad-input',
      message: 'tower is already paired with this computer.',
    });
  });

  it('is the way back to one that lost its pairings, which may have a VM of this computer', async () => {
    const forgotten = new HomewardError('not-paired', 'The workstation does not know this laptop (any more).');
    await expect(pair(forgotten)).rejects.toMatchObject({ code: 'host-unreachable' });
  });
});
