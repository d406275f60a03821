import { beforeEach, expect, it, vi } from 'vitest';
import type { FoundHost } from '../../../main/discovery/index.ts';
import type { Hosts } from '../../../main/engine/hosts.ts';
import { openSettings } from '../../../main/engine/settings.ts';
import { PeerStore } from '../../../main/trust/index.ts';
import { hostsOf } from './hosts-scene.ts';
import { tempFolder } from './temp-folder.ts';

let announce: (host: FoundHost) => void;
vi.mock('../../../main/discovery/index.ts', () => ({
  Discovery: class {
    constructor({ onFound }: { onFound: (host: FoundHost) => void }) {
      announce = onFound;
    }

    stop(): void {}
  },
}));

const own = 'a'.repeat(64);
const stranger = 'b'.repeat(64);
const address = { address: '192.0.2.9', port: 4_000 };
let hosts: Hosts;

/** A host called tower is paired, and does not answer. */
beforeEach(async () => {
  const folder = await tempFolder();
  const peers = await PeerStore.open(`${folder}/peers.json`);
  await peers.add({ fingerprint: own, name: 'tower', pairedAt: '2026-11-20T10:00:00.000Z', role: 'host' });
  hosts = await hostsOf({ peers, settings: await openSettings(`${folder}/settings.json`) });
  hosts.syncPeers();
});

it.each([
  ['its name', 'tower', 'tower'],
  ['its fingerprint for a name', own, own],
])('a stranger that announces %s does not come between this computer and its host', (_what, name, key) => {
  announce({ fingerprint: stranger, name, addresses: [address] });
  expect(() => hosts.usable(key)).toThrow(
    expect.objectContaining({ code: 'host-unreachable', message: 'tower does not answer.' }),
  );
  expect(() => hosts.usable(own)).toThrow(expect.objectContaining({ code: 'host-unreachable' }));
});

it('a name is shared with a stranger: which one is to be paired, the fingerprint says', () => {
  announce({ fingerprint: stranger, name: 'tower', addresses: [address] });
  expect(() => hosts.find('tower')).toThrow(
    expect.objectContaining({ code: 'bad-input', hint: 'Use the fingerprint: aaaaaaaaaaaa or bbbbbbbbbbbb' }),
  );
  expect(hosts.find(stranger).paired).toBe(false);
});

it('one that was found is also known by its address', () => {
  announce({ fingerprint: stranger, name: 'rack', addresses: [address] });
  expect(hosts.find('192.0.2.9:4000').name).toBe('rack');
});
