import { chmod, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { DiskStory } from '../../../main/engine/disk-findings.ts';
import { Doctor, type DoctorOptions } from '../../../main/engine/doctor.ts';
import { Faults } from '../../../main/engine/faults.ts';
import type { HomeService } from '../../../main/engine/home-services.ts';
import { LibvirtError } from '../../../main/libvirt/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { Finding } from '../../../shared/rpc.ts';
import { facts, host, hostFingerprint, vm, vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

const well: DiskStory = { restarts: [], stopped: false };

const adoption = {
  vm: vmUuid,
  name: 'work',
  connection: 'session' as const,
  originalXml: '<domain/>',
  disks: [{ target: 'vda', file: '/images/work.qcow2', format: 'qcow2' as const }],
  nics: [],
};

/** A machine on which all is well, but for what a test changes. */
async function run(over: Partial<DoctorOptions> = {}): Promise<readonly Finding[]> {
  const doctor = new Doctor({
    fleet: { list: () => [vm()] },
    hosts: { list: () => [host({ facts: facts() })] },
    monitor: { agentTrouble: () => undefined },
    adoptions: { get: () => adoption },
    services: { refresh: () => Promise.resolve({} as HomeService) },
    disks: { story: () => well },
    homeFacts: () => Promise.resolve(facts()),
    ownName: () => Promise.resolve({ name: 'lap', known: true }),
    isHost: () => true,
    power: () => Promise.resolve([]),
    stateFolder: await tempFolder(),
    version: '0.1.0',
    noticed: () => [],
    ...over,
  });
  return doctor.run();
}

const byId = (findings: readonly Finding[], id: string): Finding | undefined =>
  findings.find((finding) => finding.id === id);

describe('the doctor', () => {
  it('names each program that is missing, what it is for and the package', async () => {
    const findings = await run({ searchPath: await tempFolder() });
    for (const tool of [
      'qemu-storage-daemon',
      'passt',
      'qemu-system-x86_64',
      'libvirtd',
      'bwrap',
      'nbdkit',
      'socat',
      'setfacl',
    ]) {
      const finding = byId(findings, `tool-${tool}`);
      expect(finding?.severity).toBe('problem');
      expect(finding?.title).toBe(`${tool} is missing`);
      expect(finding?.command).toMatch(/^sudo apt-get install \S+$/);
    }
  });

  it('takes what only visitors need for no problem where none may come', async () => {
    const searchPath = await tempFolder();
    const findings = await run({ searchPath, isHost: () => false });
    for (const tool of ['libvirtd', 'bwrap', 'nbdkit', 'socat']) {
      expect(byId(findings, `tool-${tool}`)).toMatchObject({ severity: 'note', title: `${tool} is missing` });
    }
    expect(byId(findings, 'tool-passt')?.severity).toBe('problem');
  });

  it('takes a program that cannot be executed for missing, and one that can for there', async () => {
    const folder = await tempFolder();
    await writeFile(`${folder}/passt`, '');
    expect(byId(await run({ searchPath: folder }), 'tool-passt')?.severity).toBe('problem');
    await chmod(`${folder}/passt`, 0o700);
    expect(byId(await run({ searchPath: folder }), 'tool-passt')?.severity).toBe('ok');
  });

  it('says how to let QEMU use userfaultfd, here and at a host', async () => {
    const none = { postcopy: false, postcopyObstacle: 'QEMU may not use userfaultfd here.' };
    const findings = await run({
      homeFacts: () => Promise.resolve(facts(none)),
      hosts: { list: () => [host({ facts: facts({ name: 'tower', ...none }) })] },
    });
    expect(byId(findings, 'postcopy')).toMatchObject({
      severity: 'problem',
      detail: 'QEMU may not use userfaultfd here.',
      command: 'sudo sysctl vm.unprivileged_userfaultfd=1',
    });
    expect(byId(findings, `postcopy-${hostFingerprint}`)?.title).toContain('tower');
  });

  it('says that without KVM the VMs are slow', async () => {
    const findings = await run({ homeFacts: () => Promise.resolve(facts({ accels: ['tcg'] })) });
    expect(byId(findings, 'kvm')?.detail).toContain('slower');
    expect(byId(await run(), 'kvm')).toBeUndefined();
  });

  it('says which host does not show how fast it is', async () => {
    const tower = host({ facts: facts(), benchmark: { claimedOpsPerSec: 900_000 } });
    const finding = byId(await run({ hosts: { list: () => [tower] } }), `speed-${tower.fingerprint}`);
    expect(finding?.title).toBe(`${tower.name} does not show how fast it is`);
  });

  it('says which host is slower than it says, and by how much', async () => {
    const benchmark = { cpuSingleOpsPerSec: 5_000, shownOpsPerSec: 5_000, claimedOpsPerSec: 40_000 };
    const tower = host({ facts: facts(), benchmark });
    const finding = byId(await run({ hosts: { list: () => [tower] } }), `speed-${tower.fingerprint}`);
    expect(finding?.title).toBe(`${tower.name} is slower than it says`);
    expect(finding?.detail).toContain(
      '40 thousand steps/s by its own account, and 5 thousand steps/s by the clock here',
    );
    expect((await run()).filter(({ id }) => id.startsWith('speed-'))).toEqual([]);
  });

  it('shows the line for /etc/hosts where the own name cannot be resolved', async () => {
    const findings = await run({ ownName: () => Promise.resolve({ name: 'lap', known: false }) });
    expect(byId(findings, 'own-name')).toMatchObject({ severity: 'problem' });
    expect(byId(findings, 'own-name')?.command).toBe('echo "127.0.1.1 lap" | sudo tee -a /etc/hosts');
  });

  it('goes on looking when libvirt does not answer, and says that it does not', async () => {
    const findings = await run({
      homeFacts: () => Promise.reject(new HomewardError('libvirt', 'No libvirt is running at qemu:///session.')),
    });
    const unseen = findings.find(({ title }) => title === 'Homeward could not look at this computer and its libvirt');
    expect(unseen?.detail).toContain('No libvirt is running');
    expect(byId(findings, 'own-name')?.severity).toBe('ok');
    expect(byId(findings, 'tool-passt')).toBeDefined();
  });

  it('tells of a disk that is not served, in the words of the reason', async () => {
    const findings = await run({
      services: {
        refresh: () =>
          Promise.reject(new HomewardError('permission', '/images/work.qcow2 may not be opened for writing')),
      },
    });
    expect(byId(findings, `disk-${vmUuid}`)?.detail).toMatch(/work\.qcow2 may not be opened for writing\. .+/);
  });

  it('says nothing of a disk that is served as it should be', async () => {
    expect((await run()).filter(({ id }) => id.startsWith('disk-'))).toEqual([]);
  });

  it('tells since when a disk could not be served, though the keeper waits with its next attempt', async () => {
    const down = { since: new Date('2026-11-20T10:00:00Z'), sentence: 'The drive is gone.' };
    const findings = await run({ disks: { story: () => ({ ...well, down }) } });
    expect(byId(findings, `disk-${vmUuid}`)).toMatchObject({
      severity: 'problem',
      title: 'The disk of work is not served',
      detail: 'The drive is gone. It has been down since 2026-11-20T10:00:00.000Z.',
    });
  });

  it('tells of a storage daemon that was started again, for a day', async () => {
    const hoursAgo = (hours: number): Date => new Date(Date.now() - hours * 3_600_000);
    const story = { ...well, restarts: [hoursAgo(30), hoursAgo(2), hoursAgo(1)] };
    const finding = byId(await run({ disks: { story: () => story } }), `disk-restarted-${vmUuid}`);
    expect(finding).toMatchObject({ severity: 'note' });
    expect(finding?.detail).toContain(`2 times in the last day, last noticed at ${story.restarts[2]?.toISOString()}`);
    const old = { ...well, restarts: [hoursAgo(30)] };
    expect(byId(await run({ disks: { story: () => old } }), `disk-restarted-${vmUuid}`)).toBeUndefined();
  });

  it('says how a VM goes on that its disk has stopped', async () => {
    const findings = await run({ disks: { story: () => ({ ...well, stopped: true }) } });
    expect(byId(findings, `disk-stopped-${vmUuid}`)).toMatchObject({
      severity: 'problem',
      command: 'virsh -c qemu:///session resume work',
    });
  });

  it('tells of a VM that is not ready, and how to make it so', async () => {
    const findings = await run({ adoptions: { get: () => undefined } });
    expect(byId(findings, `vm-${vmUuid}`)?.command).toBe('homeward adopt work --apply');
  });

  it.each([
    ['silent', 'does not answer'],
    ['nonsense', 'gives impossible answers'],
    ['refuses', 'is not allowed to answer'],
  ] as const)('tells of a guest agent that is %s', async (trouble, words) => {
    const findings = await run({ monitor: { agentTrouble: () => trouble } });
    expect(byId(findings, `agent-${vmUuid}`)).toMatchObject({
      severity: 'note',
      title: expect.stringContaining(words),
    });
    expect(byId(await run(), `agent-${vmUuid}`)).toBeUndefined();
  });

  it('tells of a VM whose host does not answer', async () => {
    const place = {
      kind: 'away',
      host: hostFingerprint,
      hostName: 'tower',
      visit: '0'.repeat(32),
      since: '2026-11-20T10:00:00.000Z',
    } as const;
    const findings = await run({
      fleet: { list: () => [vm({ place })] },
      hosts: { list: () => [host({ reachable: false, obstacle: 'The workstation has gone silent.' })] },
    });
    expect(byId(findings, `away-${vmUuid}`)).toMatchObject({
      severity: 'problem',
      title: 'work is away and tower does not answer',
    });
    expect(byId(findings, `host-${hostFingerprint}`)?.detail).toContain('gone silent');
  });

  it('says where to look when there is no host at all', async () => {
    expect(byId(await run({ hosts: { list: () => [] } }), 'hosts')?.remedy).toContain('homeward host');
  });

  it('notes a host of another version', async () => {
    const findings = await run({ version: '0.2.0' });
    expect(byId(findings, `version-${hostFingerprint}`)?.detail).toBe('Version 0.1.0 there, 0.2.0 here.');
    expect(byId(await run(), `version-${hostFingerprint}`)).toBeUndefined();
  });

  it('passes on what other rooms noticed', async () => {
    const noticed: Finding = { id: 'x', severity: 'note', title: 'Something', detail: 'of note' };
    expect(await run({ noticed: () => [noticed] })).toContainEqual(noticed);
  });

  it('says what to do about each problem', async () => {
    const findings = await run({
      searchPath: '/nowhere',
      homeFacts: () => Promise.resolve(facts({ postcopy: false, accels: [] })),
      ownName: () => Promise.resolve({ name: 'lap', known: false }),
      hosts: { list: () => [host({ reachable: false })] },
      stateFolder: '/nowhere',
    });
    const mute = findings.filter(({ severity, remedy }) => severity !== 'ok' && remedy === undefined);
    expect(mute).toEqual([]);
  });
});

describe('faults nobody waited for', () => {
  it('are told once each, with how often, for an hour', () => {
    let now = new Date('2026-11-20T10:00:00Z');
    const faults = new Faults(() => now);
    faults.heard('mDNS', new LibvirtError({ kind: 'timeout', message: 'slow', code: 0, domain: 0, level: 2 }));
    faults.heard('link', new HomewardError('host-unreachable', 'It hung up.'));
    faults.heard('link', new HomewardError('host-unreachable', 'It hung up.'));
    const [, link] = faults.findings();
    expect(link?.title).toBe('There was trouble lately: link');
    expect(link?.detail).toMatch(/^It hung up\. .+\(2 times, last at 2026-11-20T10:00/);
    now = new Date('2026-11-20T11:00:01Z');
    expect(faults.findings()).toEqual([]);
  });

  it('are ten at most', () => {
    const faults = new Faults();
    for (let number = 0; number < 30; number += 1) faults.heard(`fault ${number}`, new Error('x'));
    expect(faults.findings()).toHaveLength(10);
    expect(faults.findings().at(-1)?.title).toContain('fault 29');
  });
});
