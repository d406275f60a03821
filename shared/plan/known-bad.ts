/**
 * Versions of libvirt and QEMU that are known to get in the way of a move (libvirt's NEWS.rst, by release). Refused is only
 * what cannot work or could lose a VM; a move that libvirt may decline at its start leaves the VM where it is.
 */
import type { HostFacts } from '../model/host.ts';

/** As libvirt and QEMU number themselves: major * 1,000,000 + minor * 1,000 + release. */
function version(major: number, minor: number, release = 0): number {
  return major * 1_000_000 + minor * 1_000 + release;
}

function versionWords(number: number): string {
  return `${Math.floor(number / 1_000_000)}.${Math.floor(number / 1_000) % 1_000}.${number % 1_000}`;
}

/** What of the VM itself decides whether a version gets in its way. */
interface MovingVm {
  readonly name: string;
  /** libvirt's domain type: `kvm`, or `qemu` for emulation. */
  readonly virtType: string;
}

export interface KnownBad {
  readonly effect: 'obstacle' | 'warning' | 'no-postcopy';
  readonly applies: (source: HostFacts, destination: HostFacts, vm: MovingVm) => boolean;
  readonly sentence: (source: HostFacts, destination: HostFacts, vm: MovingVm) => string;
}

/** The first of two machines of which `test` is true, for a sentence that names it. */
function named(test: (facts: HostFacts) => boolean, ...machines: readonly HostFacts[]): string {
  return machines.find(test)?.name ?? '';
}

const beforeUnixMigration = (facts: HostFacts): boolean => facts.libvirtVersion < version(6, 8);
const beforeRecovery = (facts: HostFacts): boolean => facts.libvirtVersion < version(8, 5);
const brokenVmx = (facts: HostFacts): boolean =>
  facts.libvirtVersion >= version(9, 10) && facts.libvirtVersion < version(10, 2);
const isIntel = (facts: HostFacts): boolean => /intel/i.test(facts.cpuModel);

export const knownBad: readonly KnownBad[] = [
  {
    // NEWS 6.8.0: migration over UNIX sockets
    effect: 'obstacle',
    applies: (source, destination) => beforeUnixMigration(source) || beforeUnixMigration(destination),
    sentence: (source, destination) =>
      `libvirt on ${named(beforeUnixMigration, source, destination)} is older than 6.8 and cannot move a VM over UNIX sockets: upgrade it.`,
  },
  {
    // NEWS 8.5.0: VIR_MIGRATE_POSTCOPY_RESUME
    effect: 'no-postcopy',
    applies: (source, destination) => beforeRecovery(source) || beforeRecovery(destination),
    sentence: (source, destination) =>
      `libvirt on ${named(beforeRecovery, source, destination)} is older than 8.5 and could not recover a post-copy move whose link broke: upgrade it.`,
  },
  {
    // NEWS 11.4.0: crash of the destination daemon when post-copy is resumed, since 11.2.0
    effect: 'no-postcopy',
    applies: (_source, { libvirtVersion }) => libvirtVersion >= version(11, 2) && libvirtVersion < version(11, 4),
    sentence: (_source, destination) =>
      `libvirt ${versionWords(destination.libvirtVersion)} on ${destination.name} crashes when a broken post-copy move is resumed: upgrade it to 11.4.`,
  },
  {
    // NEWS 10.2.0: migration between versions that disagree on vmx-* features, since 9.10.0
    effect: 'warning',
    applies: (source, destination) =>
      source.libvirtVersion !== destination.libvirtVersion &&
      (brokenVmx(source) || brokenVmx(destination)) &&
      isIntel(source) &&
      isIntel(destination),
    sentence: (source, destination) =>
      `libvirt on ${named(brokenVmx, source, destination)} is between 9.10 and 10.1 and may refuse the VM's CPU (vmx features): should the move fail at its start, upgrade it to 10.2.`,
  },
  {
    // NEWS 11.10.0: QEMU 10.0 reports `ht` differently
    effect: 'warning',
    applies: (source, destination) =>
      destination.qemuVersion >= version(10, 0) &&
      destination.libvirtVersion < version(11, 10) &&
      source.libvirtVersion < destination.libvirtVersion,
    sentence: (_source, destination) =>
      `QEMU ${versionWords(destination.qemuVersion)} with libvirt ${versionWords(destination.libvirtVersion)} on ${destination.name} may refuse the VM's CPU (ht feature): should the move fail at its start, upgrade libvirt there to 11.10.`,
  },
  {
    // QEMU before 9.0: a sync of the migration bitmap in whole 64-page words leaves the emulated CPU's TLB as it is, so
    // later writes through it are not seen as dirty. Measured with QEMU alone, docs/decisions.md. KVM tracks in hardware.
    effect: 'warning',
    applies: (source, _destination, vm) => vm.virtType === 'qemu' && source.qemuVersion < version(9, 0),
    sentence: (source, _destination, vm) =>
      `${vm.name} is emulated (TCG), and QEMU ${versionWords(source.qemuVersion)} on ${source.name} can miss an emulated VM's last writes to memory during a move: upgrade QEMU to 9.0, or run the VM under KVM, before you trust it with a move.`,
  },
];
