/**
 * The link's contract: what a laptop and a workstation say to each other over the host's one port.
 *
 *   TLS 1.3, ALPN names what a connection is for:
 *     homeward-pair/1     strangers comparing a code (trust/)
 *     homeward-control/1  one per laptop: a StreamAnswer line from the host (known or not, and why), then
 *                         JSON-RPC lines, calls below, heartbeat. The first line the laptop sends makes it the
 *                         laptop's control connection in place of any earlier one.
 *     homeward-stream/1   one per byte stream: a StreamHello line, a StreamAnswer line, then raw bytes
 *
 * The laptop dials everything. A stream the host wants is asked for with `stream.wanted` on the control
 * connection and dialled by the laptop with the same token. Every message is parsed against a schema
 * before anything acts on it.
 */
import { z } from 'zod';
import { errorCodes } from './errors.ts';
import { Accel, HostFacts, MachineScores } from './model/host.ts';
import { Bytes, DisplayName, Hex256, Token, VmUuid } from './model/identifiers.ts';
import { VisitEnd, VisitEndReason } from './model/visit-end.ts';

export const alpn = {
  pair: 'homeward-pair/1',
  control: 'homeward-control/1',
  stream: 'homeward-stream/1',
} as const;

/** One JSON line; longer ones end the connection. */
export const maxLineBytes = 1024 * 1024;
export const heartbeatEveryMs = 1_000;
/** This many silent heartbeats and the link counts as lost. */
export const heartbeatMisses = 3;

/** A disk or migration file name inside a visit: no slash, no dot first. */
export const SocketName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/);

export const ErrorReportSchema = z.object({
  code: z.enum(errorCodes),
  message: z.string().max(2_000),
  hint: z.string().max(2_000).optional(),
});

export const StreamHello = z.discriminatedUnion('kind', [
  /** To the private libvirtd of one visit. */
  z.object({ kind: z.literal('libvirt'), visit: Token }),
  /** The same for the migrate call `name` alone: carried, so that neither end takes a lost link for a lost client. */
  z.object({ kind: z.literal('migrate'), visit: Token, name: SocketName }),
  /** To the migration socket `name` on which the visit's QEMU listens (a move out). */
  z.object({ kind: z.literal('migration'), visit: Token, name: SocketName }),
  /** The laptop's end of a stream the host asked for with `stream.wanted`. */
  z.object({ kind: z.literal('answer'), stream: Token }),
  /** Payload to measure the link with: the host sends or swallows `bytes`. */
  z.object({ kind: z.literal('measure'), direction: z.enum(['out', 'home']), bytes: Bytes.max(256 * 1024 * 1024) }),
]);
export type StreamHello = z.infer<typeof StreamHello>;

export const StreamAnswer = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), error: ErrorReportSchema }),
]);
export type StreamAnswer = z.infer<typeof StreamAnswer>;

/** What the host asks the laptop to dial. */
export const WantedStream = z.discriminatedUnion('kind', [
  /** The visit's nbdkit wants the home disk `disk` (target name, e.g. vda). */
  z.object({ kind: z.literal('disk'), stream: Token, visit: Token, disk: SocketName }),
  /** The visit's QEMU connects to migration socket `name` (a move home). */
  z.object({ kind: z.literal('migration'), stream: Token, visit: Token, name: SocketName }),
  /** The visit's guest NIC number `nic` wants the frame relay at home. */
  z.object({ kind: z.literal('frames'), stream: Token, visit: Token, nic: z.int().min(0).max(7) }),
]);
export type WantedStream = z.infer<typeof WantedStream>;

/** Where things are inside a visit's sandbox, as its QEMU sees them: for the destination XML. */
export const VisitPaths = z.object({
  /** target name → path of nbdkit's UNIX socket. */
  disks: z.record(
    SocketName,
    z
      .string()
      .regex(/^(\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/)
      .max(100),
  ),
  /** NBD export name nbdkit offers, the same for each disk. */
  exportName: z.string().regex(/^[A-Za-z0-9-]{0,60}$/),
  /** Loopback TCP port of each guest NIC's frame end, by NIC number. */
  nicPorts: z.array(z.int().min(1).max(65_535)).max(8),
});
export type VisitPaths = z.infer<typeof VisitPaths>;

/**
 * The folder that holds migration sockets: the same string on the laptop and inside the sandbox, since
 * libvirt hands one path to both ends (docs/migration: "Migration over UNIX sockets").
 */
export const MigrationFolder = z.string().regex(/^\/tmp\/homeward-[A-Za-z0-9]{6,32}$/);

export const VisitRequest = z.object({
  visit: Token,
  vm: VmUuid,
  vmName: DisplayName,
  vcpus: z.int().min(1).max(1024),
  memoryBytes: Bytes,
  accel: Accel,
  migrationFolder: MigrationFolder,
  disks: z.array(SocketName).max(26),
  nics: z.int().min(0).max(8),
});
export type VisitRequest = z.infer<typeof VisitRequest>;

export const VisitInfo = z.object({
  visit: Token,
  vm: VmUuid,
  vmName: DisplayName,
  /** `empty`: prepared, no domain there; `gone`: the domain ended or its host restarted. */
  state: z.enum(['empty', 'incoming', 'running', 'paused', 'gone']),
  since: z.iso.datetime(),
  memoryBytes: Bytes,
  vcpus: z.int(),
  /** Of one that is gone: why, where the host knows. */
  end: VisitEnd.optional(),
  /** Its laptop has been silent since then, and if it stays so the visit is ended at `leaseEndsAt`. */
  silence: z.object({ since: z.iso.datetime(), leaseEndsAt: z.iso.datetime() }).optional(),
});
export type VisitInfo = z.infer<typeof VisitInfo>;

const Nothing = z.object({}).strict();

/** A second or two of a core. */
export const mostHashes = 50_000;
export const HashChain = z.object({ seed: Hex256, hashes: z.int().min(1).max(mostHashes) });
export type HashChain = z.infer<typeof HashChain>;

/** Calls the laptop makes on the host. */
export const hostCalls = {
  ping: { params: Nothing, result: Nothing },
  'host.facts': { params: Nothing, result: HostFacts },
  /** Refused where it was never taken and somebody works there. */
  'host.benchmark': { params: Nothing, result: MachineScores },
  /**
   * The end of a chain of so many hashes from `seed` on (main/host/hash-chain.ts), which only takes its time: what the host
   * says of its speed is checked by it. Refused while another one is under way.
   */
  'host.hashChain': { params: HashChain, result: z.object({ end: Hex256 }) },
  /** virConnectCompareHypervisorCPU of a live <cpu> element against this host. */
  'cpu.compare': {
    params: z.object({ cpuXml: z.string().max(65_536), accel: Accel, machine: z.string().max(80) }),
    result: z.object({ verdict: z.enum(['incompatible', 'identical', 'superset']), detail: z.string().max(2_000) }),
  },
  /** <cpu> element this host could run at most, for a baseline (virConnectGetDomainCapabilities). */
  'cpu.model': {
    params: z.object({ accel: Accel, machine: z.string().max(80) }),
    result: z.object({ cpuXml: z.string().max(65_536) }),
  },
  /** Whether the VM would be admitted; reserves nothing. */
  'visit.admit': { params: VisitRequest, result: Nothing },
  /** Admission, then a sandbox with its libvirtd, disk caches and NIC ends. Repeating it is harmless. */
  'visit.prepare': { params: VisitRequest, result: VisitPaths },
  /** The host listens at `name` in the migration folder; each connection becomes a `stream.wanted`. */
  'visit.listen': { params: z.object({ visit: Token, name: SocketName }), result: Nothing },
  'visit.list': { params: Nothing, result: z.object({ visits: z.array(VisitInfo) }) },
  /**
   * Ends the sandbox and everything in it, running VM included, and forgets the visit. Ending what is not there is
   * harmless. `why` is for the host's owner.
   */
  'visit.end': { params: z.object({ visit: Token, why: VisitEndReason.catch('unknown').optional() }), result: Nothing },
} as const;
export type HostCalls = typeof hostCalls;
export type HostCall = keyof HostCalls;

/** Notifications the host sends. */
export const hostNotices = {
  'stream.wanted': WantedStream,
  'visit.changed': VisitInfo,
  /** The owner of the workstation asks for a visitor to be brought home. */
  'home.wanted': z.object({ visit: Token }),
} as const;
export type HostNotices = typeof hostNotices;
export type HostNotice = keyof HostNotices;
