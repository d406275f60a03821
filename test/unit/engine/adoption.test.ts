import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Adopter } from '../../../main/engine/adoption.ts';
import { AdoptionStore } from '../../../main/engine/adoption-store.ts';
import { type Connection, Libvirt } from '../../../main/libvirt/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { hostFingerprint, vm, vmUuid } from '../samples.ts';
import { away } from './away-scene.ts';
import { tempFolder } from './temp-folder.ts';

const image = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/images/work.qcow2'/><target dev='vda' bus='virtio'/></disk>`;

const definition = (devices: string): string => `<domain type='test'>
  <name>work</name><uuid>${vmUuid}</uuid><memory unit='GiB'>1</memory><vcpu>1</vcpu>
  <os><type arch='i686' machine='pc-q35-7.2'>hvm</type></os>
  <devices>${devices}<memballoon model='virtio'/></devices>
</domain>`;

const shutOff = vm({ state: 'shutoff', adopted: false });

/** libvirt's own test driver holds the definition; the storage daemon is the one part that is not real. */
describe('making a VM ready', () => {
  let libvirt: Libvirt;
  let connection: Connection;

  beforeAll(async () => {
    libvirt = await Libvirt.start();
    connection = await libvirt.connect('test:///default');
  });

  afterAll(async () => {
    await connection.close();
    await libvirt.stop();
  });

  async function adopterFor(devices: string, found = shutOff) {
    await connection.defineXml(definition(devices));
    const adoptions = await AdoptionStore.open(`${await tempFolder()}/vms`);
    const stopped: string[] = [];
    const adopter = new Adopter({
      fleet: { connection: () => Promise.resolve(connection), settled: () => Promise.resolve(found) },
      hosts: { reachable: () => [] },
      adoptions,
      services: {
        folder: () => '/run/homeward/vm',
        ensure: () =>
          Promise.reject(new HomewardError('missing-tool', 'The program qemu-storage-daemon is not installed.')),
        stop: async ({ vm: uuid }) => void stopped.push(uuid),
      },
    });
    const defined = (): Promise<string> => connection.domainXml(vmUuid, { inactive: true });
    return { adopter, adoptions, stopped, defined };
  }

  it('shows what would change and changes nothing', async () => {
    const { adopter, adoptions, defined } = await adopterFor(image);
    const before = await defined();
    const preview = await adopter.preview(shutOff);
    expect(preview.after).toContain('/run/homeward/vm/nbd.sock');
    expect(preview.changes).toContainEqual(expect.stringMatching(/^- .*work\.qcow2/));
    expect(preview.changes).toContainEqual(expect.stringMatching(/^\+ .*nbd\.sock/));
    expect(await defined()).toBe(before);
    expect(adoptions.all()).toEqual([]);
  });

  it('leaves definition and records as they were where the disk cannot be served', async () => {
    const { adopter, adoptions, stopped, defined } = await adopterFor(image);
    const before = await defined();
    await expect(adopter.adopt(shutOff)).rejects.toMatchObject({ code: 'missing-tool' });
    expect(await defined()).toBe(before);
    expect(adoptions.all()).toEqual([]);
    expect(stopped).toEqual([vmUuid]);
  });

  const disks = [{ target: 'vda', file: '/images/work.qcow2', format: 'qcow2' as const }];
  const record = {
    vm: vmUuid,
    name: 'work',
    connection: 'session' as const,
    originalXml: '<domain/>',
    disks,
    nics: [],
  };
  const served = `<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nbd' name='home-vda'><host transport='unix' socket='/run/homeward/vm/nbd.sock'/></source><target dev='vda' bus='virtio'/></disk>`;

  it.each([
    [
      'defined with its own disk, as where an engine died half-way: it is not ready, and its disk is let go',
      image,
      shutOff,
      0,
    ],
    ['defined to be served: it stays ready', served, shutOff, 1],
    ['running: it is left alone', image, vm({ state: 'running' }), 1],
    ['away: it is left alone', image, vm({ state: 'shutoff', place: away }), 1],
  ])('when an engine begins, one that is %s', async (_what, devices, found, left) => {
    const { adopter, adoptions, stopped } = await adopterFor(devices, found);
    await adoptions.put(record);
    await adopter.reconcile();
    expect(adoptions.all()).toHaveLength(left);
    expect(stopped).toHaveLength(1 - left);
  });

  it('not while the VM runs', async () => {
    const { adopter } = await adopterFor(image);
    await expect(adopter.adopt(vm({ adopted: false }))).rejects.toMatchObject({
      code: 'vm-busy',
      hint: 'Shut it down first, for example: virsh -c qemu:///session shutdown work',
    });
  });

  it.each([
    ['no disk', '', /has no disk/],
    [
      'a disk that is a device',
      `<disk type='block' device='disk'><source dev='/dev/sdz'/><target dev='vda'/></disk>`,
      /vda of work is not an image file/,
    ],
    [
      'an image of another format',
      `<disk type='file' device='disk'><driver name='qemu' type='vmdk'/><source file='/images/a.vmdk'/><target dev='vda'/></disk>`,
      /has the format vmdk/,
    ],
    [
      'a read-only disk',
      `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/images/a.raw'/><target dev='vda'/><readonly/></disk>`,
      /shared or read-only/,
    ],
  ])('%s: it says so and what to do', async (_what, devices, sentence) => {
    const { adopter } = await adopterFor(devices);
    await expect(adopter.preview(shutOff)).rejects.toMatchObject({
      code: 'not-ready',
      message: expect.stringMatching(sentence),
      hint: expect.stringMatching(/\w/),
    });
  });

  it('is not undone for a VM that is away, or was never made ready', async () => {
    const { adopter, adoptions } = await adopterFor(image);
    await expect(adopter.release(shutOff)).rejects.toMatchObject({ code: 'not-ready' });
    await adoptions.put({
      vm: vmUuid,
      name: 'work',
      connection: 'session',
      originalXml: definition(image),
      disks: [{ target: 'vda', file: '/images/work.qcow2', format: 'qcow2' }],
      nics: [],
    });
    const away = {
      kind: 'away',
      host: hostFingerprint,
      hostName: 'tower',
      visit: '0'.repeat(32),
      since: '2026-11-20T10:00:00.000Z',
    } as const;
    await expect(adopter.release(vm({ place: away }))).rejects.toMatchObject({
      code: 'vm-away',
      hint: 'homeward home work',
    });
  });
});

describe('what is written of VMs that were made ready', () => {
  it('one damaged file is named and keeps no other from being read', async () => {
    const folder = await tempFolder();
    const store = await AdoptionStore.open(folder);
    await store.put({
      vm: vmUuid,
      name: 'work',
      connection: 'session',
      originalXml: definition(image),
      disks: [{ target: 'vda', file: '/images/work.qcow2', format: 'qcow2' }],
      nics: [],
    });
    await writeFile(`${folder}/broken.json`, '{"vm":');
    const again = await AdoptionStore.open(folder);
    expect(again.get(vmUuid)?.name).toBe('work');
    expect(again.findings).toMatchObject([
      { id: 'adoption-broken.json', severity: 'problem', detail: expect.stringContaining('broken.json') },
    ]);
    expect(again.findings[0]?.remedy).toContain('backup');
  });
});
