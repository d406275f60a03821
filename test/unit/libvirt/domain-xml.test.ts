import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  cpuElement,
  makeReady,
  parseCapabilities,
  parseDomainCapabilities,
  placeDomain,
  type ReadyChanges,
  readDomain,
} from '../../../main/libvirt/index.ts';

const sample = (name: string) => readFileSync(new URL(`samples/${name}.xml`, import.meta.url), 'utf8');
const desktop = sample('desktop');

const ready: ReadyChanges = {
  disks: { vda: { socket: '/run/hw/vda.sock', exportName: 'home-vda' } },
  nics: { 0: { address: '127.0.0.1', port: 4001 } },
  balloonStatsPeriodS: 2,
  freePageReporting: true,
  errorPolicy: 'stop',
};

/** The lines of the second text that the first has not, and the other way round, without their indentation. */
function changes(before: string, after: string): { gone: string[]; come: string[] } {
  const lines = (text: string) => text.split('\n').map((line) => line.trim());
  const [old, now] = [lines(before), lines(after)];
  return { gone: old.filter((line) => !now.includes(line)), come: now.filter((line) => !old.includes(line)) };
}

describe('readDomain', () => {
  test('describes a desktop guest', () => {
    const description = readDomain(desktop);
    expect(description).toMatchObject({
      uuid: 'c31d9bd8-4a0f-4ae8-b5ad-3e6b9d3f2f10',
      name: 'work & play',
      virtType: 'kvm',
      arch: 'x86_64',
      machine: 'pc-q35-7.2',
      emulator: '/usr/bin/qemu-system-x86_64',
      vcpus: 4,
      memoryBytes: 4 * 1024 ** 3,
      currentMemoryBytes: 4 * 1024 ** 3,
      cpuMode: 'host-passthrough',
      balloon: { model: 'virtio', statsPeriodS: 5, freePageReporting: false, autodeflate: false },
      graphics: [{ type: 'spice' }],
      hostdevs: [{ type: 'usb' }],
      filesystems: [{ driver: 'virtiofs' }],
      channels: [
        { type: 'unix', targetName: 'org.qemu.guest_agent.0' },
        { type: 'unix', targetName: 'mine' },
        { type: 'spicevmc', targetName: 'com.redhat.spice.0' },
      ],
      shmem: 0,
      redirdevs: 2,
      tpm: 'emulator',
      uefi: true,
      loader: '/usr/share/OVMF/OVMF_CODE_4M.ms.fd',
      nvram: '/home/me/.config/libvirt/qemu/nvram/work_VARS.fd',
      videoModel: 'virtio',
      accel3d: true,
    });
    expect(description.interfaces).toEqual([
      {
        index: 0,
        type: 'network',
        mac: '52:54:00:0a:0b:0c',
        model: 'virtio',
        sourceSummary: 'network default',
        source: undefined,
      },
      {
        index: 1,
        type: 'client',
        mac: '52:54:00:0a:0b:0d',
        model: 'e1000e',
        sourceSummary: 'client 127.0.0.1:4711',
        source: { address: '127.0.0.1', port: 4711 },
      },
    ]);
  });

  test('tells file disks, NBD disks and empty drives apart', () => {
    const [vda, vdb, sda] = readDomain(desktop).disks;
    expect(vda).toMatchObject({
      target: 'vda',
      device: 'disk',
      sourceType: 'file',
      format: 'qcow2',
      file: '/home/me/VMs/work "1" <main>.qcow2',
      readonly: false,
      cache: 'writeback',
      serial: 'HW-0001',
    });
    expect(vdb).toMatchObject({
      type: 'network',
      nbd: { exportName: 'home', socket: '/run/user/1000/hw/vdb.sock' },
      errorPolicy: 'stop',
      rerrorPolicy: 'report',
      shareable: true,
    });
    expect(sda).toMatchObject({ device: 'cdrom', type: 'file', sourceType: undefined, readonly: true });
  });

  test('understands every unit of memory, and vCPUs that are not all plugged in', () => {
    const domain = (memory: string) =>
      readDomain(`<domain type='qemu'><name>x</name>${memory}<vcpu current='2'>8</vcpu></domain>`);
    expect(domain("<memory unit='GiB'>2</memory>").memoryBytes).toBe(2 * 1024 ** 3);
    expect(domain('<memory>1024</memory>').memoryBytes).toBe(1024 ** 2);
    expect(domain("<memory unit='MB'>3</memory>").memoryBytes).toBe(3_000_000);
    expect(domain('<memory>1</memory>').vcpus).toBe(2);
  });

  test('cpuElement gives the element as it stands, or nothing', () => {
    expect(cpuElement(desktop)).toBe("<cpu mode='host-passthrough' check='none' migratable='on'/>");
    expect(cpuElement('<domain><name>x</name></domain>')).toBeUndefined();
  });
});

describe('makeReady', () => {
  test('changes the disk, the card and the balloon, and not a line more', () => {
    expect(changes(desktop, makeReady(desktop, ready))).toEqual({
      gone: [
        "<disk type='file' device='disk'>",
        "<driver name='qemu' type='qcow2' cache='writeback' io='threads' discard='unmap'>",
        "<metadata_cache><max_size unit='bytes'>4194304</max_size></metadata_cache>",
        '</driver>',
        "<source file='/home/me/VMs/work &quot;1&quot; &lt;main&gt;.qcow2'/>",
        "<backingStore type='file'>",
        "<format type='qcow2'/>",
        "<source file='/home/me/VMs/base.qcow2'/>",
        '<backingStore/>',
        '</backingStore>',
        "<interface type='network'>",
        "<source network='default'/>",
        "<driver name='vhost' queues='4' rx_queue_size='512'/>",
        "<mtu size='1400'/>",
        "<memballoon model='virtio'>",
        "<stats period='5'/>",
      ],
      come: [
        "<driver name='qemu' type='raw' cache='none' discard='unmap' error_policy='stop' rerror_policy='stop'/>",
        "<source protocol='nbd' name='home-vda'>",
        "<host transport='unix' socket='/run/hw/vda.sock'/>",
        "<source address='127.0.0.1' port='4001'/>",
        "<driver rx_queue_size='512'/>",
        "<memballoon model='virtio' autodeflate='on' freePageReporting='on'>",
        "<stats period='2'/>",
      ],
    });
  });

  test('keeps what the guest sees of the disk and the card', () => {
    const [before, after] = [readDomain(desktop), readDomain(makeReady(desktop, ready))];
    expect(after.disks[0]).toMatchObject({ target: 'vda', serial: 'HW-0001', nbd: { exportName: 'home-vda' } });
    expect(after.disks.slice(1)).toEqual(before.disks.slice(1));
    expect(after.interfaces[0]).toMatchObject({ type: 'client', mac: '52:54:00:0a:0b:0c', model: 'virtio' });
    expect(makeReady(desktop, ready)).toContain("<boot order='1'/>");
  });

  test('doing it twice changes nothing more', () => {
    const once = makeReady(desktop, ready);
    expect(makeReady(once, ready)).toBe(once);
  });

  test('replaces CPU and machine type where asked', () => {
    const cpuXml = "<cpu mode='custom' match='exact'><model>Nehalem</model></cpu>";
    const after = readDomain(makeReady(desktop, { ...ready, cpuXml, machine: 'pc-q35-6.2' }));
    expect(after).toMatchObject({ cpuMode: 'custom', machine: 'pc-q35-6.2' });
  });

  test('adds a balloon where there is none, and respects one switched off', () => {
    const bare = "<domain type='qemu'><name>x</name><memory>1</memory><devices/></domain>";
    const changesNothingElse = { ...ready, disks: {}, nics: {} };
    expect(makeReady(bare, changesNothingElse)).toContain(
      "<memballoon model='virtio' autodeflate='on' freePageReporting='on'>",
    );
    const off = bare.replace('<devices/>', "<devices><memballoon model='none'/></devices>");
    expect(makeReady(off, changesNothingElse)).toBe(`${off}\n`);
  });

  test('lets a guest without memory take it back from the balloon, unless its owner said no', () => {
    expect(readDomain(makeReady(desktop, ready)).balloon).toMatchObject({ autodeflate: true });
    const refused = desktop.replace("<memballoon model='virtio'>", "<memballoon model='virtio' autodeflate='off'>");
    expect(readDomain(makeReady(refused, ready)).balloon).toMatchObject({ autodeflate: false });
  });

  test('refuses a disk or a card that is not there, and an encrypted disk', () => {
    const missing = { sda9: { socket: '/x', exportName: 'y' } };
    expect(() => makeReady(desktop, { ...ready, disks: missing })).toThrow('no disk sda9');
    const tooMany = { 7: { address: '127.0.0.1', port: 1 } };
    expect(() => makeReady(desktop, { ...ready, nics: tooMany })).toThrow('no interface number 7');
    const encrypted = desktop.replace('<serial>', "<encryption format='luks'/><serial>");
    expect(() => makeReady(encrypted, ready)).toThrow('disk vda is encrypted');
  });
});

describe('placeDomain', () => {
  const home = makeReady(desktop, ready);
  const nics = [
    { address: '127.0.0.1', port: 1 },
    { address: '127.0.0.1', port: 2 },
  ];

  test('moves the host-side ends and leaves host traces behind', () => {
    const away = placeDomain(home, {
      disks: { vda: { socket: '/hw/vda.sock', exportName: 'visit' } },
      nics,
      emulator: null,
      graphicsListenLoopback: true,
    });
    expect(changes(home, away)).toEqual({
      gone: [
        '<emulator>/usr/bin/qemu-system-x86_64</emulator>',
        "<source protocol='nbd' name='home-vda'>",
        "<host transport='unix' socket='/run/hw/vda.sock'/>",
        "<source address='127.0.0.1' port='4001'/>",
        "<source address='127.0.0.1' port='4711'/>",
        "<log file='/var/log/serial.log' append='off'/>",
        "<source mode='bind' path='/home/me/.config/libvirt/qemu/channel/target/agent.0'/>",
        "<graphics type='spice' port='5901' autoport='no'>",
        "<listen type='none'/>",
        "<seclabel type='dynamic' model='dac' relabel='yes'/>",
      ],
      come: [
        "<source protocol='nbd' name='visit'>",
        "<host transport='unix' socket='/hw/vda.sock'/>",
        "<source address='127.0.0.1' port='1'/>",
        "<source address='127.0.0.1' port='2'/>",
        "<graphics type='spice' autoport='yes' listen='127.0.0.1'>",
        "<listen type='address' address='127.0.0.1'/>",
      ],
    });
  });

  test('keeps everything a guest can see', () => {
    const away = readDomain(placeDomain(home, { disks: {}, emulator: '/usr/libexec/qemu-kvm' }));
    expect(away).toEqual({ ...readDomain(home), emulator: '/usr/libexec/qemu-kvm' });
  });

  test('refuses a disk that is not reached over NBD and a wrong number of cards', () => {
    const disks = { vda: { socket: '/x', exportName: 'y' } };
    expect(() => placeDomain(desktop, { disks })).toThrow('disk vda is not reached over NBD');
    expect(() => placeDomain(home, { disks, nics: nics.slice(1) })).toThrow('2 relayed interfaces, 1 places');
  });
});

describe('capabilities', () => {
  test('of a host: CPU, machines, security models', () => {
    expect(parseCapabilities(sample('capabilities'))).toMatchObject({
      hostUuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      arch: 'x86_64',
      cpuXml: expect.stringMatching(/^<cpu>[\s\S]*<\/cpu>$/),
      guests: expect.arrayContaining([
        expect.objectContaining({
          arch: 'x86_64',
          emulator: '/usr/bin/qemu-system-x86_64',
          machines: expect.arrayContaining(['pc-q35-7.2', 'q35']),
          virtTypes: expect.arrayContaining(['qemu']),
        }),
      ]),
      secmodels: expect.arrayContaining([
        { model: 'dac', baselabels: { kvm: '+64055:+64055', qemu: '+64055:+64055' } },
      ]),
    });
  });

  test('of a QEMU: what host-model means there', () => {
    const capabilities = parseDomainCapabilities(sample('domain-capabilities'));
    expect(capabilities).toMatchObject({
      emulator: '/usr/bin/qemu-system-x86_64',
      virtType: 'qemu',
      machine: 'pc-q35-7.2',
      arch: 'x86_64',
      maxVcpus: 288,
      hostModelCpuXml: expect.stringMatching(/^<cpu mode='custom' match='exact'>[\s\S]*<model[\s\S]*<\/cpu>$/),
    });
  });
});
