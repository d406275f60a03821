import { describe, expect, it, onTestFinished } from 'vitest';
import type { Hosts } from '../../../main/engine/hosts.ts';
import { openSettings } from '../../../main/engine/settings.ts';
import { hashChain } from '../../../main/host/index.ts';
import type { HostHandlers } from '../../../main/link/index.ts';
import { PeerStore } from '../../../main/trust/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { handlers, makeBed, until, visit } from '../link/bed.ts';
import { facts } from '../samples.ts';
import { hostsOf } from './hosts-scene.ts';
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
  const hosts = await hostsOf({ peers, settings });
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

describe('a host that answers', () => {
  const pairedAt = '2026-11-20T10:00:00.000Z';

  async function linked(watched: () => boolean, answers: Partial<HostHandlers> = {}) {
    const bed = await makeBed({ handlers: () => ({ ...handlers, ...answers }) });
    const folder = await tempFolder();
    const peers = await PeerStore.open(`${folder}/peers.json`);
    await peers.add({ fingerprint: bed.host.fingerprint, name: 'tower', pairedAt, role: 'host' });
    const settings = await openSettings(`${folder}/settings.json`);
    await settings.update((now) => ({ ...now, manualHosts: [bed.address()] }));
    onTestFinished(() => bed.close());
    const hosts = await hostsOf({ identity: bed.laptop, peers, settings, watched });
    const asked: unknown[] = [];
    hosts.onHomeWanted(({ name }, of) => asked.push([name, of]));
    hosts.syncPeers();
    const tower = () => hosts.find('tower');
    await until(() => tower().reachable);
    return { bed, hosts, peers, tower, asked, settings };
  }

  it('and is renamed keeps its link, with what that carries; one that is revoked does not', async () => {
    const { bed, hosts, peers } = await linked(() => false);
    const { fingerprint } = bed.host;
    const before = hosts.need(fingerprint);
    const stream = await before.link.openStream({ kind: 'libvirt', visit });
    onTestFinished(() => void stream.destroy());
    await peers.rename(fingerprint, 'spire');
    hosts.syncPeers();
    expect([hosts.find('spire').reachable, before.name, hosts.need(fingerprint)]).toEqual([true, 'spire', before]);
    expect(() => hosts.find('tower')).toThrow(expect.objectContaining({ code: 'unknown-host' }));
    expect([before.link.state, stream.destroyed]).toEqual(['up', false]);
    await peers.revoke(fingerprint);
    hosts.syncPeers();
    await until(() => before.link.state !== 'up');
    expect(() => hosts.need(fingerprint)).toThrow(expect.objectContaining({ code: 'not-paired' }));
  });

  it('is measured: the link at once, the machine when it has nothing to do', async () => {
    let atWork = true;
    const scores = { cpuSingleOpsPerSec: 5, memcpyBytesPerSec: 5, diskWriteBytesPerSec: 5, takenAt: pairedAt };
    const { hosts, tower } = await linked(() => false, {
      'host.facts': () => facts({ name: 'tower' }),
      'host.benchmark': () => {
        if (atWork) throw new HomewardError('refused', 'At work.');
        return scores;
      },
    });
    await until(() => tower().benchmark?.linkHomeBytesPerSec !== undefined);
    expect(tower().benchmark).toEqual({
      linkOutBytesPerSec: expect.any(Number),
      linkHomeBytesPerSec: expect.any(Number),
    });
    await expect(hosts.measure(hosts.usable('tower'))).rejects.toMatchObject({ code: 'refused', message: 'At work.' });
    atWork = false;
    expect(await hosts.measure(hosts.usable('tower'))).toMatchObject({
      ...scores,
      linkOutBytesPerSec: expect.any(Number),
    });
    expect(tower().benchmark).toMatchObject(scores);
  });

  it('has its link measured again when that comes up anew: it may lead over another network', async () => {
    const { bed, tower } = await linked(() => false, { 'host.facts': () => facts({ name: 'tower' }) });
    await until(() => tower().benchmark?.linkHomeBytesPerSec !== undefined);
    const before = tower().benchmark?.linkHomeBytesPerSec;
    bed.server.peer(bed.laptop.fingerprint)?.drop(new HomewardError('host-unreachable', 'the network went away'));
    await until(() => !tower().reachable);
    await until(() => tower().reachable);
    await until(() => tower().benchmark?.linkHomeBytesPerSec !== before);
  });

  it.each([
    ['that makes the chain of hashes is believed what it shows', hashChain, 1_000],
    ['that answers something else has shown nothing', () => 'b'.repeat(64), 0],
  ])('%s', async (_what, end, least) => {
    const { tower } = await linked(() => false, {
      'host.facts': () => facts({ name: 'tower', cores: 4, busyCores: 0 }),
      'host.hashChain': async (chain) => ({ end: await end(chain) }),
    });
    await until(() => tower().benchmark?.shownOpsPerSec !== undefined);
    const { shownOpsPerSec = 0, cpuSingleOpsPerSec } = tower().benchmark ?? {};
    expect(cpuSingleOpsPerSec).toBe(shownOpsPerSec);
    expect(shownOpsPerSec > 10).toBe(least > 10);
  });

  it('is met again where something else was in the way, and not while it does not answer', async () => {
    const { bed, hosts, tower } = await linked(() => false);
    const met: string[] = [];
    hosts.onUp(({ name }) => met.push(name));
    const { fingerprint = '' } = tower();
    hosts.meetAgain(fingerprint);
    expect(met).toEqual(['tower', 'tower']);
    await bed.server.close();
    await until(() => !tower().reachable);
    hosts.meetAgain(fingerprint);
    expect(met).toHaveLength(2);
  });

  it('may be paired anew once it does not know this computer any more, and not while it is only gone', async () => {
    const { bed, tower } = await linked(() => false);
    const { port } = bed.address();
    await bed.server.close();
    await until(() => !tower().reachable);
    expect(tower().mayPairAnew).toBeUndefined();
    await bed.hostPeers.revoke(bed.laptop.fingerprint);
    await bed.listen({ port });
    await until(() => tower().mayPairAnew === true);
    expect(tower().obstacle).toBe('The workstation does not know this laptop (any more).');
  });

  it('and whose owner wants the room back is heard, by name', async () => {
    const { bed, asked } = await linked(() => false);
    bed.server.peer(bed.laptop.fingerprint)?.notify('home.wanted', { visit });
    await until(() => asked.length > 0);
    expect(asked).toEqual([['tower', visit]]);
  });

  it('and then does not: since when is told, until it does again', async () => {
    const { bed, tower } = await linked(() => false);
    expect(tower().unreachableSince).toBeUndefined();
    const before = Date.now();
    await bed.server.close();
    await until(() => !tower().reachable);
    const since = Date.parse(tower().unreachableSince ?? '');
    expect(since).toBeGreaterThanOrEqual(before);
    expect(since).toBeLessThanOrEqual(Date.now());
  });

  it('is looked for where it answered last, also where nothing announces it any more', async () => {
    const { bed, tower, settings } = await linked(() => false);
    await settings.update((now) => ({ ...now, manualHosts: [] }));
    bed.server.peer(bed.laptop.fingerprint)?.drop(new HomewardError('host-unreachable', 'the network went away'));
    await until(() => !tower().reachable);
    await until(() => tower().reachable);
  });

  it('does not stand in the way of another that is off, at the address both may be at', async () => {
    const { hosts, peers } = await linked(() => false);
    await peers.add({ fingerprint: fingerprint('c'), name: 'rack', pairedAt, role: 'host' });
    hosts.syncPeers();
    await until(() => hosts.need(fingerprint('c')).link.obstacle !== undefined);
    expect(hosts.find('rack')).toMatchObject({ obstacle: 'No address of the workstation is known.' });
    expect(hosts.find('rack').mayPairAnew).toBeUndefined();
  });

  it('tells what its link carries while somebody looks on, and only then', async () => {
    let watched = true;
    const { hosts, tower } = await linked(() => watched);
    expect(tower().traffic).toBeUndefined();
    const stream = await hosts.usable('tower').link.openStream({ kind: 'libvirt', visit });
    stream.resume().write(Buffer.alloc(100_000));
    await expect.poll(() => tower().traffic?.outBytesPerSec ?? 0, { timeout: 5_000 }).toBeGreaterThan(10_000);
    expect(tower().traffic?.homeBytesPerSec, 'it was echoed').toBeGreaterThan(10_000);
    watched = false;
    expect(tower().traffic).toBeUndefined();
    stream.destroy();
  });
});
