import { describe, expect, it, onTestFinished } from 'vitest';
import { Hosts } from '../../../main/engine/hosts.ts';
import { openSettings } from '../../../main/engine/settings.ts';
import { makeIdentity, PeerStore } from '../../../main/trust/index.ts';
import { tempFolder } from './temp-folder.ts';

const fingerprint = (digit: string): string => digit.repeat(64);

/** Paired hosts that nobody answers for, and addresses added by hand; no network is asked. */
async function hostsWith(names: Readonly<Record<string, string>>): Promise<Hosts> {
  const folder = await tempFolder();
  const peers = await PeerStore.open(`${folder}/peers.json`);
  for (const [digit, name] of Object.entries(names)) {
    await peers.add({ fingerprint: fingerprint(digit), name, pairedAt: '2026-11-20T10:00:00.000Z', role: 'host' });
  }
  const settings = await openSettings(`${folder}/settings.json`);
  const hosts = new Hosts({
    identity: await makeIdentity(),
    peers,
    settings,
    onWanted: () => Promise.reject(new Error('nothing is wanted')),
    onChange: () => undefined,
    onFault: () => undefined,
  });
  onTestFinished(() => hosts.stop());
  hosts.syncPeers();
  await settings.update((now) => ({ ...now, manualHosts: [{ address: '192.0.2.9', port: 4_000 }] }));
  return hosts;
}

describe('which host is meant', () => {
  it('the name, the fingerprint, or a unique start of one', async () => {
    const hosts = await hostsWith({ a: 'tower', b: 'rack' });
    expect(hosts.find('rack').fingerprint).toBe(fingerprint('b'));
    expect(hosts.find('AAAA').name).toBe('tower');
    expect(hosts.find('192.0.2.9:4000').paired).toBe(false);
  });

  it('an unknown one: those there are, are named', async () => {
    const hosts = await hostsWith({ a: 'tower' });
    expect(() => hosts.find('towr')).toThrow(
      expect.objectContaining({ code: 'unknown-host', hint: expect.stringContaining('tower') }),
    );
  });

  it('two of one name: the fingerprint must say', async () => {
    const hosts = await hostsWith({ a: 'tower', b: 'tower' });
    expect(() => hosts.usable('tower')).toThrow(
      expect.objectContaining({ code: 'bad-input', hint: 'Use the fingerprint: aaaaaaaaaaaa or bbbbbbbbbbbb' }),
    );
  });

  it('one that does not answer, and none that does', async () => {
    const hosts = await hostsWith({ a: 'tower' });
    expect(() => hosts.usable('tower')).toThrow(
      expect.objectContaining({ code: 'host-unreachable', message: 'tower does not answer.' }),
    );
    expect(() => hosts.usable(undefined)).toThrow(
      expect.objectContaining({ code: 'host-unreachable', hint: expect.stringContaining('homeward pair') }),
    );
  });

  it('one that is not paired', async () => {
    const hosts = await hostsWith({ a: 'tower' });
    expect(() => hosts.usable('192.0.2.9:4000')).toThrow(
      expect.objectContaining({ code: 'not-paired', hint: 'Pair it: homeward pair 192.0.2.9:4000' }),
    );
    expect(() => hosts.need(fingerprint('c'))).toThrow(expect.objectContaining({ code: 'not-paired' }));
  });
});
