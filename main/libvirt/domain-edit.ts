/**
 * Changing a domain's XML: only what is asked for changes, everything else stays as it was written. Guest-visible parts
 * (addresses, models, MACs, serials) are never touched by placeDomain, since libvirt's ABI check would refuse the move.
 */
import { isEncrypted, parseDomain } from './domain-xml.ts';
import {
  attribute,
  elements,
  find,
  makeElement,
  parseXml,
  putElement,
  removeElements,
  serializeXml,
  setAttribute,
  setText,
  type XmlElement,
  XmlError,
} from './xml.ts';

export interface NbdPlace {
  /** Path of the NBD server's UNIX socket as the QEMU that runs the domain sees it. */
  readonly socket: string;
  readonly exportName: string;
}

export interface NicPlace {
  /** A numeric address; QEMU connects there. */
  readonly address: string;
  readonly port: number;
}

export interface Placement {
  /** By target, e.g. vda. */
  readonly disks: Readonly<Record<string, NbdPlace>>;
  /** The n-th interface of type `client` connects to the n-th of these. */
  readonly nics?: readonly NicPlace[];
  /** null lets the destination choose its own QEMU. */
  readonly emulator?: string | null;
  /** Each display listens on 127.0.0.1 only, at a port the destination chooses. */
  readonly graphicsListenLoopback?: boolean;
}

export interface ReadyChanges {
  readonly disks: Readonly<Record<string, NbdPlace>>;
  /** By position among the domain's interfaces. */
  readonly nics?: Readonly<Record<number, NicPlace>>;
  /** Left alone where the domain has its balloon switched off. */
  readonly balloonStatsPeriodS: number;
  readonly freePageReporting: boolean;
  readonly cpuXml?: string;
  readonly machine?: string;
  readonly errorPolicy: 'stop';
}

/** Ends like what libvirt gives. */
function serializeDomain(domain: XmlElement): string {
  return `${serializeXml(domain)}\n`;
}

function devicesOf(domain: XmlElement): XmlElement {
  const devices = find(domain, 'devices');
  if (devices === undefined) {
    throw new XmlError('the domain has no devices');
  }
  return devices;
}

function diskByTarget(devices: XmlElement, target: string): XmlElement {
  const disk = elements(devices, 'disk').find((candidate) => attribute(find(candidate, 'target'), 'dev') === target);
  if (disk === undefined) {
    throw new XmlError(`the domain has no disk ${target}`);
  }
  return disk;
}

/** The child of that name, made if need be. */
function ensure(parent: XmlElement, name: string): XmlElement {
  const existing = find(parent, name);
  if (existing !== undefined) {
    return existing;
  }
  const made = makeElement(name, {});
  putElement(parent, made, undefined);
  return made;
}

function nicSource({ address, port }: NicPlace): XmlElement {
  return makeElement('source', { address, port: String(port) });
}

function placeDisk(disk: XmlElement, target: string, place: NbdPlace): void {
  const source = find(disk, 'source');
  if (source === undefined || attribute(source, 'protocol') !== 'nbd') {
    throw new XmlError(`disk ${target} is not reached over NBD`);
  }
  setAttribute(source, 'name', place.exportName);
  const [first, ...more] = elements(source, 'host');
  removeElements(source, (element) => more.includes(element));
  putElement(source, makeElement('host', { transport: 'unix', socket: place.socket }), first);
}

function placeNics(devices: XmlElement, places: readonly NicPlace[]): void {
  const nics = elements(devices, 'interface').filter((nic) => attribute(nic, 'type') === 'client');
  if (nics.length !== places.length) {
    throw new XmlError(`the domain has ${nics.length} relayed interfaces, ${places.length} places are given`);
  }
  for (const [index, nic] of nics.entries()) {
    const place = places[index];
    if (place !== undefined) {
      putElement(nic, nicSource(place), find(nic, 'source'));
    }
  }
}

function placeEmulator(devices: XmlElement, emulator: string | null): void {
  if (emulator === null) {
    removeElements(devices, ({ name }) => name === 'emulator');
  } else {
    setText(ensure(devices, 'emulator'), emulator);
  }
}

function listenOnLoopback(graphics: XmlElement): void {
  for (const name of ['port', 'tlsPort', 'websocket', 'socket']) {
    setAttribute(graphics, name, undefined);
  }
  setAttribute(graphics, 'autoport', 'yes');
  setAttribute(graphics, 'listen', '127.0.0.1');
  removeElements(graphics, ({ name }) => name === 'listen');
  putElement(graphics, makeElement('listen', { type: 'address', address: '127.0.0.1' }), undefined);
}

/** Where libvirt puts the sockets of channels whose owner gave no path; each daemon has its own folder. */
const ownChannelPath = /\/libvirt\/qemu\/(run\/)?channel\//;

/** Labels, cgroups, log files and libvirt's own sockets belong to the machine left behind; the destination makes its own. */
function dropHostTraces(domain: XmlElement, devices: XmlElement): void {
  removeElements(domain, ({ name }) => name === 'seclabel' || name === 'resource');
  for (const device of elements(devices)) {
    removeElements(device, ({ name }) => name === 'log' || name === 'seclabel');
    const source = find(device, 'source');
    if (source !== undefined) {
      removeElements(source, ({ name }) => name === 'seclabel');
    }
    if (device.name === 'channel' && ownChannelPath.test(attribute(source, 'path') ?? '')) {
      removeElements(device, ({ name }) => name === 'source');
    }
  }
}

/**
 * A destination definition: the same guest with its host-side ends elsewhere.
 * @throws XmlError where the domain lacks a disk or an interface of the placement, or reaches it otherwise
 */
export function placeDomain(xml: string, placement: Placement): string {
  const domain = parseDomain(xml);
  const devices = devicesOf(domain);
  dropHostTraces(domain, devices);
  for (const [target, place] of Object.entries(placement.disks)) {
    placeDisk(diskByTarget(devices, target), target, place);
  }
  if (placement.nics !== undefined) {
    placeNics(devices, placement.nics);
  }
  if (placement.emulator !== undefined) {
    placeEmulator(devices, placement.emulator);
  }
  if (placement.graphicsListenLoopback === true) {
    for (const graphics of elements(devices, 'graphics')) {
      listenOnLoopback(graphics);
    }
  }
  return serializeDomain(domain);
}

function readyDisk(disk: XmlElement, target: string, place: NbdPlace, errorPolicy: 'stop'): void {
  if (isEncrypted(disk)) {
    throw new XmlError(`disk ${target} is encrypted by libvirt`);
  }
  setAttribute(disk, 'type', 'network');
  const driver = ensure(disk, 'driver');
  setAttribute(driver, 'name', 'qemu');
  setAttribute(driver, 'type', 'raw');
  setAttribute(driver, 'cache', 'none');
  setAttribute(driver, 'error_policy', errorPolicy);
  setAttribute(driver, 'rerror_policy', errorPolicy);
  // Ways of reading an image file, which this QEMU no longer opens.
  setAttribute(driver, 'io', undefined);
  setAttribute(driver, 'copy_on_read', undefined);
  removeElements(driver, ({ name }) => name === 'metadata_cache');
  const host = makeElement('host', { transport: 'unix', socket: place.socket });
  const source = makeElement('source', { protocol: 'nbd', name: place.exportName }, [host]);
  putElement(disk, source, find(disk, 'source'));
  removeElements(disk, ({ name }) => name === 'backingStore' || name === 'mirror');
}

/** All that QEMU's socket backend knows; libvirt refuses most of the rest for it. */
const keptOfNic = ['mac', 'model', 'driver', 'boot', 'address', 'alias', 'link', 'rom', 'acpi'];
const tapOnlyDriverAttributes = ['name', 'queues', 'tx_queue_size'];

function readyNic(nic: XmlElement, place: NicPlace): void {
  setAttribute(nic, 'type', 'client');
  setAttribute(nic, 'trustGuestRxFilters', undefined);
  putElement(nic, nicSource(place), find(nic, 'source'));
  removeElements(nic, ({ name }) => name !== 'source' && !keptOfNic.includes(name));
  const driver = find(nic, 'driver');
  if (driver !== undefined) {
    for (const name of tapOnlyDriverAttributes) {
      setAttribute(driver, name, undefined);
    }
    if (driver.attributes.size === 0 && elements(driver).length === 0) {
      removeElements(nic, (element) => element === driver);
    }
  }
}

function readyBalloon(devices: XmlElement, periodS: number, freePageReporting: boolean): void {
  const balloon = ensure(devices, 'memballoon');
  if (attribute(balloon, 'model') === 'none') {
    return;
  }
  setAttribute(balloon, 'model', attribute(balloon, 'model') ?? 'virtio');
  // A guest that runs out of memory takes it back from the balloon by itself, unless its owner decided otherwise.
  setAttribute(balloon, 'autodeflate', attribute(balloon, 'autodeflate') ?? 'on');
  setAttribute(balloon, 'freePageReporting', freePageReporting ? 'on' : 'off');
  setAttribute(ensure(balloon, 'stats'), 'period', String(periodS));
}

/**
 * A definition that can move smoothly: disks over NBD, interfaces as sockets, a balloon that reports.
 * @throws XmlError where the domain lacks a disk or an interface of the changes, or a disk is encrypted
 */
export function makeReady(xml: string, changes: ReadyChanges): string {
  const domain = parseDomain(xml);
  const devices = devicesOf(domain);
  for (const [target, place] of Object.entries(changes.disks)) {
    readyDisk(diskByTarget(devices, target), target, place, changes.errorPolicy);
  }
  const nics = elements(devices, 'interface');
  for (const [index, place] of Object.entries(changes.nics ?? {})) {
    const nic = nics[Number(index)];
    if (nic === undefined) {
      throw new XmlError(`the domain has no interface number ${index}`);
    }
    readyNic(nic, place);
  }
  readyBalloon(devices, changes.balloonStatsPeriodS, changes.freePageReporting);
  if (changes.cpuXml !== undefined) {
    putElement(domain, parseXml(changes.cpuXml, 'cpu'), find(domain, 'cpu'));
  }
  const osType = find(domain, 'os', 'type');
  if (changes.machine !== undefined && osType !== undefined) {
    setAttribute(osType, 'machine', changes.machine);
  }
  return serializeDomain(domain);
}
