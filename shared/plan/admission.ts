/** Whether a workstation takes one more visitor. Pure; who calls it says what the machine looks like now. */
import type { ErrorReport } from '../errors.ts';
import type { Accel } from '../model/host.ts';
import type { HostSettings } from '../rpc.ts';
import type { VisitRequest } from '../wire.ts';

/** Free memory must hold the VM and this much more: QEMU's own memory and the owner's next program. */
const memoryHeadroom = 1.2;

/** A visitor that is already there. */
interface PresentVisitor {
  readonly memoryBytes: number;
  readonly vcpus: number;
  /** What it has touched so far; the rest of its memory is promised though it still looks free. */
  readonly residentBytes: number;
}

export interface Room {
  readonly freeMemoryBytes: number;
  readonly cores: number;
  readonly accels: readonly Accel[];
  readonly visitors: readonly PresentVisitor[];
}

export type Admission = { readonly admitted: true } | { readonly admitted: false; readonly why: ErrorReport };

export type VisitDemand = Pick<VisitRequest, 'vmName' | 'vcpus' | 'memoryBytes' | 'accel'>;

export function admit(demand: VisitDemand, room: Room, limits: HostSettings): Admission {
  const why =
    refusedByOwner(demand, room, limits) ?? impossibleHere(demand, room) ?? noMemory(demand, room) ?? undefined;
  return why === undefined ? { admitted: true } : { admitted: false, why };
}

function refusedByOwner(demand: VisitDemand, room: Room, limits: HostSettings): ErrorReport | undefined {
  if (!limits.enabled) {
    return {
      code: 'refused',
      message: 'This workstation does not take visitors at the moment.',
      hint: 'Turn it on there with: homeward host on',
    };
  }
  const visitors = room.visitors.length;
  if (visitors >= limits.maxVisitors) {
    return {
      code: 'host-full',
      message: `This workstation takes ${count(limits.maxVisitors, 'visitor')} at most and has ${visitors}.`,
      hint: 'Bring another VM home first, or let its owner raise the limit.',
    };
  }
  const promisedBytes = sum(room.visitors, (visitor) => visitor.memoryBytes);
  if (promisedBytes + demand.memoryBytes > limits.maxMemoryBytes) {
    return {
      code: 'host-full',
      message: `${demand.vmName} has ${gib(demand.memoryBytes)} of memory; this workstation gives visitors ${gib(limits.maxMemoryBytes)} together and ${gib(promisedBytes)} are taken.`,
      hint: 'Bring another VM home first, or let its owner raise the limit.',
    };
  }
  const promisedVcpus = sum(room.visitors, (visitor) => visitor.vcpus);
  if (promisedVcpus + demand.vcpus > limits.maxVcpus) {
    return {
      code: 'host-full',
      message: `${demand.vmName} has ${count(demand.vcpus, 'vCPU')}; this workstation gives visitors ${count(limits.maxVcpus, 'vCPU')} together and ${promisedVcpus} are taken.`,
      hint: 'Bring another VM home first, or let its owner raise the limit.',
    };
  }
  return undefined;
}

function impossibleHere(demand: VisitDemand, room: Room): ErrorReport | undefined {
  if (!room.accels.includes(demand.accel)) {
    return {
      code: 'incompatible',
      message:
        demand.accel === 'kvm'
          ? `${demand.vmName} runs under KVM, and no kernel boots under KVM on this workstation.`
          : `${demand.vmName} is emulated (TCG), which QEMU on this workstation cannot do.`,
      hint: 'A running VM cannot change its kind of acceleration; both machines need the same.',
    };
  }
  if (demand.vcpus > room.cores) {
    return {
      code: 'incompatible',
      message: `${demand.vmName} has ${count(demand.vcpus, 'vCPU')}, this workstation only ${count(room.cores, 'core')}.`,
      hint: 'Choose a larger workstation, or give the VM fewer vCPUs.',
    };
  }
  return undefined;
}

function noMemory(demand: VisitDemand, room: Room): ErrorReport | undefined {
  const spokenForBytes = sum(room.visitors, (visitor) => Math.max(0, visitor.memoryBytes - visitor.residentBytes));
  const availableBytes = Math.max(0, room.freeMemoryBytes - spokenForBytes);
  const neededBytes = demand.memoryBytes * memoryHeadroom;
  if (neededBytes <= availableBytes) return undefined;
  return {
    code: 'host-full',
    message: `${demand.vmName} needs ${gib(neededBytes)} of free memory (its own and a fifth more); this workstation has ${gib(availableBytes)} to give.`,
    hint: 'Close programs there, or bring another VM home first.',
  };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
