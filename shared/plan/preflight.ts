/**
 * What stands in the way of a move, found before anything starts. Pure: a VM, two machines, and the CPU
 * comparison libvirt made. Each note is a sentence and what to do about it.
 */
import type { HostFacts } from '../model/host.ts';
import type { Direction } from '../model/move.ts';
import type { VmState } from '../model/vm.ts';
import { knownBad } from './known-bad.ts';

/** The parts of a running VM's domain XML that matter here. */
export interface PreflightVm {
  readonly name: string;
  /** libvirt's domain type: `kvm`, or `qemu` for emulation. */
  readonly virtType: string;
  readonly arch: string;
  readonly machine: string;
  readonly cpuMode?: string | undefined;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly disks: readonly {
    readonly target: string;
    /** disk, lun, cdrom or floppy. */
    readonly device: string;
    /** file, block, network, …; absent for an empty drive. */
    readonly sourceType?: string | undefined;
    readonly transient?: boolean | undefined;
  }[];
  readonly interfaces: readonly { readonly type: string; readonly mac?: string | undefined }[];
  /** usb, pci, mdev, … */
  readonly hostdevs: readonly { readonly type: string }[];
  /** Shared folders: virtiofs, path (9p), … */
  readonly filesystems: readonly { readonly driver: string }[];
  readonly shmem: number;
  readonly tpm?: 'emulator' | 'passthrough' | 'external' | undefined;
  /** Absent: the VM has no balloon. */
  readonly balloon?: { readonly model: string } | undefined;
  readonly graphics: readonly { readonly type: string }[];
  /** USB devices redirected from a SPICE viewer. */
  readonly redirdevs: number;
  readonly accel3d: boolean;
  readonly uefi: boolean;
  /** Absent for a VM that does not leave its libvirt. */
  readonly snapshots?: number | undefined;
}

export interface PreflightInput {
  readonly vm: PreflightVm;
  /** Absent: running. */
  readonly state?: VmState | undefined;
  readonly adopted: boolean;
  readonly direction: Direction;
  readonly source: HostFacts;
  readonly destination: HostFacts;
  /** virConnectCompareHypervisorCPU of the VM's live CPU at the destination; absent when not asked. */
  readonly cpuVerdict?: 'incompatible' | 'identical' | 'superset' | undefined;
}

export interface Preflight {
  readonly possible: boolean;
  readonly obstacles: readonly string[];
  readonly warnings: readonly string[];
  readonly postcopy: boolean;
  /** Why post-copy is out of the question, where it is. */
  readonly postcopyObstacle?: string;
}

interface Note {
  readonly effect: 'obstacle' | 'warning' | 'no-postcopy';
  readonly text: string;
}

type Check = (input: PreflightInput) => readonly Note[];

export function preflight(input: PreflightInput): Preflight {
  const notes = checks.flatMap((check) => check(input));
  const texts = (effect: Note['effect']): string[] =>
    notes.filter((note) => note.effect === effect).map((note) => note.text);
  const obstacles = texts('obstacle');
  const [postcopyObstacle] = texts('no-postcopy');
  const verdict = { possible: obstacles.length === 0, obstacles, warnings: texts('warning') };
  return postcopyObstacle === undefined
    ? { ...verdict, postcopy: true }
    : { ...verdict, postcopy: false, postcopyObstacle };
}

const obstacle = (text: string): Note => ({ effect: 'obstacle', text });
const warning = (text: string): Note => ({ effect: 'warning', text });
const noPostcopy = (text: string): Note => ({ effect: 'no-postcopy', text });
const when = (condition: boolean, note: () => Note): readonly Note[] => (condition ? [note()] : []);

const versions: Check = ({ vm, source, destination }) =>
  knownBad
    .filter((bad) => bad.applies(source, destination, vm))
    .map((bad) => ({ effect: bad.effect, text: bad.sentence(source, destination, vm) }));

/** A paused VM moves as it is, but not by post-copy, for which it must run (qemu_migration.c). */
const runState: Check = ({ vm, state, direction }) => [
  ...when(state === 'shutoff' || state === 'crashed', () =>
    obstacle(
      direction === 'out'
        ? `${vm.name} is not running: start it first.`
        : `${vm.name} does not run there any more, so there is nothing to bring home: start it here.`,
    ),
  ),
  ...when(state === 'paused', () =>
    noPostcopy(`${vm.name} is paused, and post-copy needs a running VM: resume it first.`),
  ),
];

/** libvirt's ABI check compares the domain type: KVM and TCG cannot be mixed. */
const acceleration: Check = ({ vm, destination }) => {
  const accel = vm.virtType === 'kvm' ? 'kvm' : 'tcg';
  if (destination.accels.includes(accel)) return [];
  return [
    obstacle(
      accel === 'kvm'
        ? `${vm.name} runs under KVM, which does not work on ${destination.name}: turn on virtualisation in its firmware, or use a machine that has it.`
        : `${vm.name} is emulated (TCG), which QEMU on ${destination.name} cannot do: install QEMU for ${vm.arch} there.`,
    ),
  ];
};

const architecture: Check = ({ vm, destination }) =>
  when(vm.virtType === 'kvm' && vm.arch !== destination.arch, () =>
    obstacle(
      `${vm.name} is a ${vm.arch} VM and ${destination.name} is ${destination.arch}: choose a machine of its kind.`,
    ),
  );

/** The destination must know the machine type, and on the way out home must know it too, to take the VM back. */
const machineType: Check = ({ vm, direction, source, destination }) => {
  const unknownAt = (direction === 'out' ? [destination, source] : [destination]).filter(
    (facts) => !facts.machineTypes.includes(vm.machine),
  );
  return unknownAt
    .slice(0, 1)
    .map((facts) =>
      obstacle(
        `QEMU on ${facts.name} does not know machine type ${vm.machine}: run "homeward adopt ${vm.name}", which chooses one that both machines know, or upgrade QEMU there.`,
      ),
    );
};

const vendorOf = (facts: HostFacts): string | undefined => /intel|amd/i.exec(facts.cpuModel)?.[0].toLowerCase();

/** An emulated CPU is the same everywhere; a VM that comes home started there, so home's CPU has all it needs. */
const cpu: Check = ({ vm, direction, source, destination, cpuVerdict }) => {
  if (cpuVerdict === 'incompatible') {
    return [
      obstacle(
        `The CPU of ${destination.name} lacks something ${vm.name} was started with: run "homeward adopt ${vm.name}" to give it a CPU that both machines have.`,
      ),
    ];
  }
  if (vm.virtType !== 'kvm' || direction === 'home') return [];
  const hereVendor = vendorOf(source);
  const thereVendor = vendorOf(destination);
  if (hereVendor !== undefined && thereVendor !== undefined && hereVendor !== thereVendor) {
    const text = `${source.name} and ${destination.name} have CPUs of different makers`;
    return vm.cpuMode === 'custom'
      ? [warning(`${text}: a move may work with this VM's CPU model, but nobody guarantees it.`)]
      : [obstacle(`${text}: run "homeward adopt ${vm.name}" to give it a CPU model that both have.`)];
  }
  if (vm.cpuMode === 'host-passthrough' && cpuVerdict !== 'identical') {
    return [
      warning(
        `${vm.name} uses this computer's CPU as it is (host-passthrough), which is safe only between equal machines: run "homeward adopt ${vm.name}" to change it.`,
      ),
    ];
  }
  return when(cpuVerdict === undefined, () =>
    warning(
      `Whether the CPU of ${destination.name} has all that ${vm.name} needs was not checked: it will be before the move starts.`,
    ),
  );
};

/** Coming home is never refused for want of room: the alternative is a VM stranded away. */
const room: Check = ({ vm, direction, destination }) => {
  const note = direction === 'out' ? obstacle : warning;
  const gib = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  return [
    ...when(destination.freeMemoryBytes < vm.memoryBytes, () =>
      note(
        `${vm.name} has ${gib(vm.memoryBytes)} of memory and ${destination.name} only ${gib(destination.freeMemoryBytes)} free: close programs there first.`,
      ),
    ),
    ...when(destination.cores < vm.vcpus, () =>
      note(
        `${vm.name} has ${vm.vcpus} vCPUs and ${destination.name} only ${destination.cores} cores: ${direction === 'out' ? 'choose a larger machine' : 'it will run slower there'}.`,
      ),
    ),
  ];
};

const snapshots: Check = ({ vm: { name, snapshots: held = 0 } }) =>
  when(held > 0, () =>
    obstacle(
      `${name} has ${held === 1 ? 'a snapshot' : `${held} snapshots`}, and libvirt does not move such a VM: delete them ("virsh snapshot-delete").`,
    ),
  );

const hostDevices: Check = ({ vm }) => [
  ...when(vm.hostdevs.length > 0, () =>
    obstacle(
      `${vm.name} holds a device of this computer (${[...new Set(vm.hostdevs.map(({ type }) => type))].join(', ')}), which cannot move: detach it.`,
    ),
  ),
  ...when(vm.shmem > 0, () =>
    obstacle(`${vm.name} shares memory with this computer (shmem), which cannot move: remove that device.`),
  ),
  ...when(vm.filesystems.length > 0, () =>
    obstacle(
      `${vm.name} shares a folder with this computer (${[...new Set(vm.filesystems.map(({ driver }) => driver))].join(', ')}), which libvirt does not move: unmount it in the VM and remove the device, or share it over the network.`,
    ),
  ),
  ...when(vm.tpm === 'passthrough', () =>
    obstacle(`${vm.name} uses this computer's own TPM, which cannot move: give it an emulated one.`),
  ),
  ...when(vm.tpm === 'emulator' || vm.tpm === 'external', () =>
    warning(
      `${vm.name} has a TPM: its secrets cross to the other machine with it, and the machine needs swtpm installed.`,
    ),
  ),
  ...when(vm.uefi, () =>
    warning(`${vm.name} boots by UEFI: the other machine needs the same firmware package (OVMF) installed.`),
  ),
];

const screen: Check = ({ vm }) => [
  ...when(vm.accel3d, () =>
    obstacle(
      `${vm.name} has a 3D graphics card (virgl), which QEMU cannot move: turn 3D acceleration off and restart the VM.`,
    ),
  ),
  ...when(
    vm.graphics.some(({ type }) => type === 'spice'),
    () =>
      warning(
        `${vm.name} has a SPICE screen: the other machine's QEMU must have SPICE too, and viewers must connect again. VNC does without.`,
      ),
  ),
  ...when(vm.redirdevs > 0, () =>
    warning(`USB devices redirected into ${vm.name} will be unplugged by the move: plug them in again afterwards.`),
  ),
];

const removable = new Set(['cdrom', 'floppy']);

const disks: Check = ({ vm, adopted }) => {
  const present = vm.disks.filter(({ sourceType }) => sourceType !== undefined);
  const local = present.filter(({ device, sourceType }) => !removable.has(device) && sourceType !== 'network');
  const media = present.filter(({ device, sourceType }) => removable.has(device) && sourceType !== 'network');
  const transient = present.filter((disk) => disk.transient === true);
  const named = (list: readonly { readonly target: string }[]): string => list.map(({ target }) => target).join(', ');
  const notReady = `run "homeward adopt ${vm.name}"`;
  return [
    ...when(!adopted, () => obstacle(`${vm.name} is not ready: ${notReady}.`)),
    ...when(adopted && local.length > 0, () =>
      obstacle(
        `Disk ${named(local)} of ${vm.name} is not served by this computer's storage daemon, so the VM is not ready: ${notReady} again and restart the VM.`,
      ),
    ),
    ...when(media.length > 0, () =>
      obstacle(`There is a medium in drive ${named(media)} of ${vm.name}, which is on this computer only: eject it.`),
    ),
    ...when(transient.length > 0, () =>
      obstacle(`Disk ${named(transient)} of ${vm.name} is transient, which libvirt does not move: make it permanent.`),
    ),
  ];
};

/** QEMU's socket netdev of type client is what leads to the frame relay at home. */
const network: Check = ({ vm }) =>
  vm.interfaces
    .filter(({ type }) => type !== 'client')
    .slice(0, 1)
    .map(({ type }) =>
      warning(
        `The network card of ${vm.name} (${type}) does not lead through Homeward, so its open connections would break: run "homeward adopt ${vm.name}".`,
      ),
    );

const balloon: Check = ({ vm }) =>
  when(vm.balloon === undefined || vm.balloon.model === 'none', () =>
    warning(
      `${vm.name} has no memory balloon, so its free memory cannot be left out of the move: run "homeward adopt ${vm.name}".`,
    ),
  );

/** The destination is the side whose QEMU faults on missing pages. */
const userfault: Check = ({ destination }) =>
  when(!destination.postcopy, () =>
    noPostcopy(
      destination.postcopyObstacle ??
        `QEMU on ${destination.name} may not use userfaultfd: run there "sudo sysctl vm.unprivileged_userfaultfd=1".`,
    ),
  );

const checks: readonly Check[] = [
  runState,
  disks,
  acceleration,
  architecture,
  machineType,
  cpu,
  room,
  snapshots,
  hostDevices,
  screen,
  network,
  balloon,
  userfault,
  versions,
];
