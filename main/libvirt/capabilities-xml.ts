/** virConnectGetCapabilities and virConnectGetDomainCapabilities, as far as moving guests is concerned. */
import { attribute, elements, find, makeElement, parseXml, serializeXml, textOf, type XmlElement } from './xml.ts';

interface GuestCapabilities {
  readonly arch: string;
  readonly emulator?: string | undefined;
  /** Machine types, aliases such as `q35` included. */
  readonly machines: readonly string[];
  /** kvm, qemu. */
  readonly virtTypes: readonly string[];
}

export interface Capabilities {
  /** libvirt refuses to migrate between hosts that give the same. */
  readonly hostUuid?: string | undefined;
  readonly arch: string;
  /** The host's `<cpu>`. */
  readonly cpuXml: string;
  readonly guests: readonly GuestCapabilities[];
  readonly secmodels: readonly {
    readonly model: string;
    /** By domain type; for `dac` it is the user and group QEMU runs as, `+1000:+1000`. */
    readonly baselabels: Readonly<Record<string, string>>;
  }[];
}

export interface DomainCapabilities {
  /** The QEMU binary asked about. */
  readonly emulator: string;
  readonly virtType: string;
  /** Its full name where an alias was asked for. */
  readonly machine: string;
  readonly arch: string;
  readonly maxVcpus?: number | undefined;
  /** A `<cpu mode='custom'>` that is what host-model means here: fit for a baseline. Absent where unsupported. */
  readonly hostModelCpuXml?: string | undefined;
  readonly hostPassthrough: boolean;
}

function readGuest(guest: XmlElement): GuestCapabilities {
  const arch = find(guest, 'arch');
  const machineNames = elements(arch, 'machine').map((machine) => textOf(machine) ?? '');
  return {
    arch: attribute(arch, 'name') ?? '',
    emulator: textOf(find(arch, 'emulator')),
    machines: [...new Set(machineNames)],
    virtTypes: elements(arch, 'domain').map((domain) => attribute(domain, 'type') ?? ''),
  };
}

/** @throws XmlError */
export function parseCapabilities(xml: string): Capabilities {
  const capabilities = parseXml(xml, 'capabilities');
  const host = find(capabilities, 'host');
  const cpu = find(host, 'cpu');
  return {
    hostUuid: textOf(find(host, 'uuid')),
    arch: textOf(find(cpu, 'arch')) ?? '',
    cpuXml: cpu === undefined ? '' : serializeXml(cpu),
    guests: elements(capabilities, 'guest').map(readGuest),
    secmodels: elements(host, 'secmodel').map((secmodel) => ({
      model: textOf(find(secmodel, 'model')) ?? '',
      baselabels: Object.fromEntries(
        elements(secmodel, 'baselabel').map((label) => [attribute(label, 'type') ?? '', textOf(label) ?? '']),
      ),
    })),
  };
}

/** @throws XmlError */
export function parseDomainCapabilities(xml: string): DomainCapabilities {
  const root = parseXml(xml, 'domainCapabilities');
  const mode = (name: string) =>
    elements(find(root, 'cpu'), 'mode').find(
      (candidate) => attribute(candidate, 'name') === name && attribute(candidate, 'supported') === 'yes',
    );
  const hostModel = mode('host-model');
  const maxVcpus = attribute(find(root, 'vcpu'), 'max');
  return {
    emulator: textOf(find(root, 'path')) ?? '',
    virtType: textOf(find(root, 'domain')) ?? '',
    machine: textOf(find(root, 'machine')) ?? '',
    arch: textOf(find(root, 'arch')) ?? '',
    maxVcpus: maxVcpus === undefined ? undefined : Number(maxVcpus),
    hostModelCpuXml:
      hostModel === undefined
        ? undefined
        : serializeXml(makeElement('cpu', { mode: 'custom', match: 'exact' }, hostModel.children)),
    hostPassthrough: mode('host-passthrough') !== undefined,
  };
}
