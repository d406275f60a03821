/** What a domain's XML says, as far as moving it is concerned. */
import { attribute, elements, find, parseXml, serializeXml, textOf, type XmlElement, XmlError } from './xml.ts';

interface NbdSource {
  readonly exportName: string;
  /** Path of the server's UNIX socket; absent for TCP. */
  readonly socket?: string | undefined;
}

export interface DiskDescription {
  /** E.g. vda. */
  readonly target: string;
  /** disk, lun, cdrom or floppy. */
  readonly device: string;
  /** file, block, network, volume, …; says nothing about whether a drive has a medium. */
  readonly type: string;
  /** `type`, where there is a medium. */
  readonly sourceType?: string | undefined;
  /** qcow2, raw, … */
  readonly format?: string | undefined;
  readonly file?: string | undefined;
  readonly nbd?: NbdSource | undefined;
  readonly readonly: boolean;
  readonly shareable: boolean;
  readonly transient: boolean;
  readonly encrypted: boolean;
  readonly cache?: string | undefined;
  readonly errorPolicy?: string | undefined;
  readonly rerrorPolicy?: string | undefined;
  readonly serial?: string | undefined;
}

export interface InterfaceDescription {
  /** Position among the domain's interfaces. */
  readonly index: number;
  readonly type: string;
  readonly mac: string;
  readonly model?: string | undefined;
  /** What it is plugged into, for a person: `network default`, `bridge br0`. */
  readonly sourceSummary: string;
  /** Of types client, server, udp, mcast. */
  readonly source?: { readonly address: string; readonly port: number } | undefined;
}

export interface DomainDescription {
  readonly uuid: string;
  readonly name: string;
  /** `kvm`, or `qemu` for emulation. */
  readonly virtType: string;
  readonly arch: string;
  readonly machine: string;
  readonly emulator?: string | undefined;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly currentMemoryBytes: number;
  readonly cpuXml?: string | undefined;
  readonly cpuMode?: string | undefined;
  readonly disks: readonly DiskDescription[];
  readonly interfaces: readonly InterfaceDescription[];
  /** Absent where there is none, also where it says so (`model='none'`). */
  readonly balloon?:
    | {
        readonly model: string;
        readonly statsPeriodS?: number | undefined;
        readonly freePageReporting: boolean;
        /** The guest takes memory back by itself before it would kill a process (deflate-on-oom). */
        readonly autodeflate: boolean;
      }
    | undefined;
  readonly graphics: readonly { readonly type: string; readonly port?: number | undefined }[];
  /** usb, pci, mdev, … */
  readonly hostdevs: readonly { readonly type: string }[];
  /** virtiofs, path, … */
  readonly filesystems: readonly { readonly driver: string }[];
  readonly channels: readonly { readonly type: string; readonly targetName?: string | undefined }[];
  readonly shmem: number;
  readonly redirdevs: number;
  readonly tpm?: 'emulator' | 'passthrough' | 'external' | undefined;
  readonly uefi: boolean;
  readonly loader?: string | undefined;
  readonly nvram?: string | undefined;
  readonly videoModel?: string | undefined;
  readonly accel3d: boolean;
}

const unitBytes: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KB: 1e3,
  k: 1024,
  KiB: 1024,
  MB: 1e6,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  GB: 1e9,
  G: 1024 ** 3,
  GiB: 1024 ** 3,
  TB: 1e12,
  T: 1024 ** 4,
  TiB: 1024 ** 4,
};

function bytesOf(element: XmlElement | undefined): number | undefined {
  const value = numberOf(textOf(element));
  return value === undefined ? undefined : value * (unitBytes[attribute(element, 'unit') ?? 'KiB'] ?? 1024);
}

function numberOf(text: string | undefined): number | undefined {
  const value = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

export function parseDomain(xml: string): XmlElement {
  return parseXml(xml, 'domain');
}

function nbdSource(source: XmlElement | undefined): NbdSource | undefined {
  if (attribute(source, 'protocol') !== 'nbd') {
    return undefined;
  }
  return { exportName: attribute(source, 'name') ?? '', socket: attribute(find(source, 'host'), 'socket') };
}

function readDisk(disk: XmlElement): DiskDescription {
  const driver = find(disk, 'driver');
  const source = find(disk, 'source');
  const type = attribute(disk, 'type') ?? 'file';
  return {
    target: attribute(find(disk, 'target'), 'dev') ?? '',
    device: attribute(disk, 'device') ?? 'disk',
    type,
    sourceType: source === undefined ? undefined : type,
    format: attribute(driver, 'type'),
    file: attribute(source, 'file'),
    nbd: nbdSource(source),
    readonly: find(disk, 'readonly') !== undefined,
    shareable: find(disk, 'shareable') !== undefined,
    transient: find(disk, 'transient') !== undefined,
    encrypted: isEncrypted(disk),
    cache: attribute(driver, 'cache'),
    errorPolicy: attribute(driver, 'error_policy'),
    rerrorPolicy: attribute(driver, 'rerror_policy'),
    serial: textOf(find(disk, 'serial')),
  };
}

/** libvirt accepts the element in both places. */
export function isEncrypted(disk: XmlElement): boolean {
  return find(disk, 'encryption') !== undefined || find(disk, 'source', 'encryption') !== undefined;
}

function readInterface(nic: XmlElement, index: number): InterfaceDescription {
  const source = find(nic, 'source');
  const type = attribute(nic, 'type') ?? '';
  const address = attribute(source, 'address');
  const port = numberOf(attribute(source, 'port'));
  const place = ['network', 'bridge', 'dev', 'path', 'address'].map((name) => attribute(source, name));
  const where = place.find((value) => value !== undefined);
  return {
    index,
    type,
    mac: attribute(find(nic, 'mac'), 'address') ?? '',
    model: attribute(find(nic, 'model'), 'type'),
    sourceSummary: where === undefined ? type : `${type} ${where}${port === undefined ? '' : `:${port}`}`,
    source: address === undefined || port === undefined ? undefined : { address, port },
  };
}

function readBalloon(balloon: XmlElement | undefined): DomainDescription['balloon'] {
  const model = attribute(balloon, 'model');
  if (model === undefined || model === 'none') {
    return undefined;
  }
  return {
    model,
    statsPeriodS: numberOf(attribute(find(balloon, 'stats'), 'period')),
    freePageReporting: attribute(balloon, 'freePageReporting') === 'on',
    autodeflate: attribute(balloon, 'autodeflate') === 'on',
  };
}

function readGraphics(graphics: XmlElement): DomainDescription['graphics'][number] {
  const port = numberOf(attribute(graphics, 'port'));
  return { type: attribute(graphics, 'type') ?? '', port: port === undefined || port < 0 ? undefined : port };
}

const tpmBackends = ['emulator', 'passthrough', 'external'] as const;

function readTpm(devices: XmlElement | undefined): DomainDescription['tpm'] {
  const backend = attribute(find(devices, 'tpm', 'backend'), 'type');
  return tpmBackends.find((known) => known === backend);
}

/** @throws XmlError for what is not a domain */
export function readDomain(xml: string): DomainDescription {
  const domain = parseDomain(xml);
  const devices = find(domain, 'devices');
  const os = find(domain, 'os');
  const cpu = find(domain, 'cpu');
  const loader = find(os, 'loader');
  const memoryBytes = bytesOf(find(domain, 'memory'));
  const vcpu = find(domain, 'vcpu');
  const name = textOf(find(domain, 'name'));
  if (memoryBytes === undefined || name === undefined || name === '') {
    throw new XmlError('the domain has no name or no memory size');
  }
  const maximum = numberOf(textOf(vcpu)) ?? 1;
  const devicesNamed = (tag: string) => elements(devices, tag);
  return {
    uuid: textOf(find(domain, 'uuid')) ?? '',
    name,
    virtType: attribute(domain, 'type') ?? '',
    arch: attribute(find(os, 'type'), 'arch') ?? '',
    machine: attribute(find(os, 'type'), 'machine') ?? '',
    emulator: textOf(find(devices, 'emulator')),
    vcpus: numberOf(attribute(vcpu, 'current')) ?? maximum,
    memoryBytes,
    currentMemoryBytes: bytesOf(find(domain, 'currentMemory')) ?? memoryBytes,
    cpuXml: cpu === undefined ? undefined : serializeXml(cpu),
    cpuMode: attribute(cpu, 'mode') ?? (find(cpu, 'model') === undefined ? undefined : 'custom'),
    disks: devicesNamed('disk').map(readDisk),
    interfaces: devicesNamed('interface').map(readInterface),
    balloon: readBalloon(find(devices, 'memballoon')),
    graphics: devicesNamed('graphics').map(readGraphics),
    hostdevs: devicesNamed('hostdev').map((device) => ({ type: attribute(device, 'type') ?? '' })),
    filesystems: devicesNamed('filesystem').map((device) => ({
      driver: attribute(find(device, 'driver'), 'type') ?? 'path',
    })),
    channels: devicesNamed('channel').map((channel) => ({
      type: attribute(channel, 'type') ?? '',
      targetName: attribute(find(channel, 'target'), 'name'),
    })),
    shmem: devicesNamed('shmem').length,
    redirdevs: devicesNamed('redirdev').length,
    tpm: readTpm(devices),
    uefi: attribute(os, 'firmware') === 'efi' || attribute(loader, 'type') === 'pflash',
    loader: textOf(loader),
    nvram: textOf(find(os, 'nvram')),
    videoModel: attribute(find(devices, 'video', 'model'), 'type'),
    accel3d: devicesNamed('video').some(
      (video) => attribute(find(video, 'model', 'acceleration'), 'accel3d') === 'yes',
    ),
  };
}

/** The `<cpu>` element as it stands; undefined where QEMU's default CPU is used. */
export function cpuElement(xml: string): string | undefined {
  const cpu = find(parseDomain(xml), 'cpu');
  return cpu === undefined ? undefined : serializeXml(cpu);
}
