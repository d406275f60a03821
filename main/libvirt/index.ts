/**
 * A typed libvirt binding: connections, domains, statistics, events, live migration and domain XML. Stands alone.
 */

export {
  type Capabilities,
  type DomainCapabilities,
  parseCapabilities,
  parseDomainCapabilities,
} from './capabilities-xml.ts';
export type {
  CallOptions,
  DomainCapabilitiesRequest,
  DomainStatsRecord,
  DomainXmlOptions,
} from './connection.ts';
export { Connection } from './connection.ts';
export { isStoppedByDisk } from './disk-error.ts';
export {
  makeReady,
  type NbdPlace,
  type NicPlace,
  type Placement,
  placeDomain,
  type ReadyChanges,
} from './domain-edit.ts';
export {
  cpuElement,
  type DiskDescription,
  type DomainDescription,
  type InterfaceDescription,
  readDomain,
} from './domain-xml.ts';
export { LibvirtError, type LibvirtErrorKind, type LibvirtErrorReport, libvirtErrorCode } from './error.ts';
export type { LibvirtEvent, LibvirtEventListener } from './events.ts';
export type { JobMemory, JobStats, JobTotals, JobType } from './job.ts';
export { type ConnectOptions, Libvirt } from './libvirt.ts';
export type { MigrateFlag, MigrateRequest } from './migrate.ts';
export { reportFailure } from './open.ts';
export type { CpuComparison, CpuTarget, DomainSummary, NodeInfo, Versions } from './operations.ts';
export { type DomainReason, type DomainState, type DomainStateName, domainState } from './state.ts';
export type { BlockStats, DomainStats, MemoryStats, NetStats, StatsGroup, VcpuStats } from './stats.ts';
export { XmlError } from './xml.ts';
