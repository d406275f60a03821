import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../../shared/model/host.ts';
import { type PreflightInput, type PreflightVm, preflight } from '../../../shared/plan/preflight.ts';
import { facts as anyFacts } from '../samples.ts';

const gib = 1024 ** 3;

const facts = (name: string, over: Partial<HostFacts> = {}): HostFacts =>
  anyFacts({ name, freeMemoryBytes: 8 * gib, machineTypes: ['pc-q35-7.1', 'pc-q35-7.2'], ...over });
const laptop = facts('laptop');
const big = facts('big');

const vm = (over: Partial<PreflightVm> = {}): PreflightVm => ({
  name: 'work',
  virtType: 'kvm',
  arch: 'x86_64',
  machine: 'pc-q35-7.2',
  cpuMode: 'custom',
  vcpus: 2,
  memoryBytes: 2 * gib,
  disks: [
    { target: 'vda', device: 'disk', sourceType: 'network' },
    { target: 'sda', device: 'cdrom' },
  ],
  interfaces: [{ type: 'client' }],
  hostdevs: [],
  filesystems: [],
  shmem: 0,
  balloon: { model: 'virtio' },
  graphics: [{ type: 'vnc' }],
  redirdevs: 0,
  accel3d: false,
  uefi: false,
  snapshots: 0,
  ...over,
});

const input = (over: Partial<PreflightInput> = {}): PreflightInput => ({
  vm: vm(),
  state: 'running',
  adopted: true,
  direction: 'out',
  source: laptop,
  destination: big,
  cpuVerdict: 'superset',
  ...over,
});

const home = { direction: 'home', source: big, destination: laptop } as const;

interface Case {
  readonly says: string;
  readonly given: Partial<PreflightInput>;
  readonly because: RegExp;
}

const obstacles: readonly Case[] = [
  { says: 'a VM that is off', given: { state: 'shutoff' }, because: /not running: start it first/ },
  { says: 'to bring home what has ended', given: { ...home, state: 'crashed' }, because: /nothing to bring home/ },
  { says: 'a VM that was not adopted', given: { adopted: false }, because: /not ready: run "homeward adopt work"/ },
  {
    says: 'a disk added since, in a file of the laptop',
    given: { vm: vm({ disks: [{ target: 'vdb', device: 'disk', sourceType: 'file' }] }) },
    because: /Disk vdb of work is not served/,
  },
  {
    says: 'a medium in a drive',
    given: { vm: vm({ disks: [{ target: 'sda', device: 'cdrom', sourceType: 'file' }] }) },
    because: /medium in drive sda.*eject/,
  },
  {
    says: 'a transient disk',
    given: { vm: vm({ disks: [{ target: 'vda', device: 'disk', sourceType: 'network', transient: true }] }) },
    because: /vda of work is transient/,
  },
  {
    says: 'KVM to a machine without',
    given: { destination: facts('big', { accels: ['tcg'] }) },
    because: /under KVM.*big/,
  },
  {
    says: 'emulation to a machine without',
    given: { vm: vm({ virtType: 'qemu' }), destination: facts('big', { accels: ['kvm'] }) },
    because: /emulated \(TCG\).*big/,
  },
  {
    says: 'another architecture',
    given: { destination: facts('big', { arch: 'aarch64' }) },
    because: /x86_64 VM and big is aarch64/,
  },
  {
    says: 'a machine type the host does not know',
    given: { destination: facts('big', { machineTypes: ['pc-q35-7.1'] }) },
    because: /QEMU on big does not know machine type pc-q35-7\.2/,
  },
  {
    says: 'a machine type home does not know, so that the VM could not come back',
    given: { source: facts('laptop', { machineTypes: [] }) },
    because: /QEMU on laptop does not know/,
  },
  { says: 'a CPU that lacks something', given: { cpuVerdict: 'incompatible' }, because: /CPU of big lacks something/ },
  {
    says: 'a CPU of another maker with a host model',
    given: { vm: vm({ cpuMode: 'host-model' }), destination: facts('big', { cpuModel: 'AMD Ryzen 9' }) },
    because: /different makers/,
  },
  {
    says: 'too little memory',
    given: { destination: facts('big', { freeMemoryBytes: gib }) },
    because: /2\.0 GiB of memory and big only 1\.0/,
  },
  { says: 'too few cores', given: { destination: facts('big', { cores: 1 }) }, because: /2 vCPUs and big only 1/ },
  { says: 'a snapshot', given: { vm: vm({ snapshots: 1 }) }, because: /has a snapshot.*delete/ },
  { says: 'several snapshots', given: { vm: vm({ snapshots: 3 }) }, because: /has 3 snapshots/ },
  {
    says: 'a device of the laptop',
    given: { vm: vm({ hostdevs: [{ type: 'usb' }] }) },
    because: /\(usb\), which cannot move: detach/,
  },
  { says: 'shared memory', given: { vm: vm({ shmem: 1 }) }, because: /shmem/ },
  {
    says: 'a shared folder',
    given: { vm: vm({ filesystems: [{ driver: 'virtiofs' }] }) },
    because: /shares a folder.*virtiofs/,
  },
  { says: "the laptop's TPM", given: { vm: vm({ tpm: 'passthrough' }) }, because: /own TPM/ },
  { says: '3D', given: { vm: vm({ accel3d: true }) }, because: /turn 3D acceleration off/ },
  {
    says: 'an old libvirt',
    given: { source: facts('laptop', { libvirtVersion: 6_007_000 }) },
    because: /libvirt on laptop is older than 6\.8/,
  },
];

const warnings: readonly Case[] = [
  {
    says: 'a network card that is not relayed',
    given: { vm: vm({ interfaces: [{ type: 'network' }] }) },
    because: /\(network\).*connections would break/,
  },
  { says: 'no balloon', given: { vm: vm({ balloon: undefined }) }, because: /no memory balloon/ },
  { says: 'an emulated TPM', given: { vm: vm({ tpm: 'emulator' }) }, because: /TPM.*swtpm/ },
  { says: 'UEFI', given: { vm: vm({ uefi: true }) }, because: /OVMF/ },
  { says: 'a SPICE screen', given: { vm: vm({ graphics: [{ type: 'spice' }] }) }, because: /SPICE/ },
  { says: 'redirected USB devices', given: { vm: vm({ redirdevs: 2 }) }, because: /unplugged/ },
  { says: 'host-passthrough', given: { vm: vm({ cpuMode: 'host-passthrough' }) }, because: /host-passthrough/ },
  { says: 'a CPU nobody compared', given: { cpuVerdict: undefined }, because: /was not checked/ },
  {
    says: 'a named CPU model between makers',
    given: { destination: facts('big', { cpuModel: 'AMD Ryzen 9' }) },
    because: /different makers.*nobody guarantees/,
  },
  {
    says: 'little memory at home',
    given: { ...home, destination: facts('laptop', { freeMemoryBytes: gib }) },
    because: /laptop only 1\.0 GiB free: close/,
  },
  {
    says: 'few cores at home',
    given: { ...home, destination: facts('laptop', { cores: 1 }) },
    because: /run slower there/,
  },
  {
    says: 'libvirt 10.0 against 9.0 on Intel',
    given: { destination: facts('big', { libvirtVersion: 10_000_000 }) },
    because: /big is between 9\.10 and 10\.1.*vmx/,
  },
  {
    says: 'QEMU 10 under an older libvirt',
    given: { destination: facts('big', { qemuVersion: 10_000_000, libvirtVersion: 11_003_000 }) },
    because: /QEMU 10\.0\.0 with libvirt 11\.3\.0 on big/,
  },
  {
    says: 'an emulated VM whose writes QEMU 7.2 may not see',
    given: { vm: vm({ virtType: 'qemu' }), cpuVerdict: undefined },
    because: /emulated.*QEMU 7\.2\.22 on laptop can miss/,
  },
];

const noPostcopy: readonly Case[] = [
  { says: 'for a paused VM', given: { state: 'paused' }, because: /post-copy needs a running VM/ },
  {
    says: 'without userfaultfd at the destination',
    given: { destination: facts('big', { postcopy: false, postcopyObstacle: 'The sysctl says no.' }) },
    because: /^The sysctl says no\.$/,
  },
  {
    says: 'without userfaultfd and without words',
    given: { destination: facts('big', { postcopy: false }) },
    because: /sysctl vm\.unprivileged/,
  },
  {
    says: 'where libvirt cannot recover it',
    given: { source: facts('laptop', { libvirtVersion: 8_004_000 }) },
    because: /laptop is older than 8\.5/,
  },
  {
    says: 'where libvirt crashes on recovery',
    given: { destination: facts('big', { libvirtVersion: 11_003_000 }) },
    because: /11\.3\.0 on big crashes/,
  },
];

describe('preflight', () => {
  it('has nothing to say of a VM that is ready', () => {
    const clean = { possible: true, obstacles: [], warnings: [], postcopy: true };
    expect(preflight(input())).toEqual(clean);
    expect(preflight(input({ ...home, cpuVerdict: undefined }))).toEqual(clean);
    const source = facts('laptop', { qemuVersion: 9_000_000 });
    expect(preflight(input({ vm: vm({ virtType: 'qemu' }), cpuVerdict: undefined, source }))).toEqual(clean);
  });

  it.each(obstacles)('refuses $says', ({ given, because }) => {
    const verdict = preflight(input(given));
    expect(verdict.possible).toBe(false);
    expect(verdict.obstacles).toEqual([expect.stringMatching(because)]);
  });

  it.each(warnings)('warns of $says', ({ given, because }) => {
    const verdict = preflight(input(given));
    expect(verdict.possible).toBe(true);
    expect(verdict.warnings).toContainEqual(expect.stringMatching(because));
  });

  it.each(noPostcopy)('rules post-copy out $says', ({ given, because }) => {
    const verdict = preflight(input(given));
    expect(verdict).toMatchObject({ possible: true, postcopy: false });
    expect(verdict.postcopyObstacle).toMatch(because);
  });

  it('speaks in sentences, each with its remedy', () => {
    for (const { given } of [...obstacles, ...warnings, ...noPostcopy]) {
      const { obstacles: no, warnings: careful, postcopyObstacle } = preflight(input(given));
      for (const text of [...no, ...careful, postcopyObstacle ?? 'None.']) expect(text).toMatch(/^[A-Z\w].*\.$/);
    }
  });

  it('names several obstacles at once', () => {
    expect(preflight(input({ adopted: false, vm: vm({ snapshots: 2, accel3d: true }) })).obstacles).toHaveLength(3);
  });
});
