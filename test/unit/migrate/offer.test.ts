import { describe, expect, it } from 'vitest';
import { needWhatWasAsked } from '../../../main/migrate/offer.ts';
import type { VisitPaths } from '../../../shared/wire.ts';
import { visitRequest } from '../samples.ts';

const request = visitRequest({ disks: ['vdb', 'vda'] });
const offer: VisitPaths = { disks: { vda: '/hw/a.sock', vdb: '/hw/b.sock' }, exportName: 'disk', nicPorts: [7_000] };

describe('what a host offers', () => {
  it('is taken where it is what was asked for, in any order', () => {
    expect(() => needWhatWasAsked(request, offer)).not.toThrow();
    const bare = { ...request, disks: [], nics: 0 };
    expect(() => needWhatWasAsked(bare, { disks: {}, exportName: 'disk', nicPorts: [] })).not.toThrow();
  });

  it.each<[string, Partial<VisitPaths>, string]>([
    ['a disk too few', { disks: { vda: '/hw/a.sock' } }, 'disk vda and 1 network card'],
    ['no disk', { disks: {} }, 'no disk and 1 network card'],
    ['a disk too many', { disks: { ...offer.disks, vdc: '/hw/c.sock' } }, 'disk vda, vdb, vdc and 1 network card'],
    ['another disk', { disks: { vda: '/hw/a.sock', sda: '/hw/b.sock' } }, 'disk sda, vda and 1 network card'],
    ['no network card', { nicPorts: [] }, 'disk vda, vdb and 0 network cards'],
    ['a network card too many', { nicPorts: [7_000, 7_001] }, 'disk vda, vdb and 2 network cards'],
  ])('%s: refused, with a sentence', (_what, change, got) => {
    expect(() => needWhatWasAsked(request, { ...offer, ...change })).toThrow(
      expect.objectContaining({
        code: 'incompatible',
        message: `The host was asked for disk vda, vdb and 1 network card and offers ${got}.`,
        hint: expect.stringContaining('homeward peers revoke'),
      }),
    );
  });
});
