import { z } from 'zod';
import { Bytes, DisplayName, Fingerprint, Millis, Port } from './identifiers.ts';

/** `kvm` only where a kernel really booted under it (a usable /dev/kvm proves nothing). */
export const Accel = z.enum(['kvm', 'tcg']);
export type Accel = z.infer<typeof Accel>;

/** What one machine says of itself; the plan compares two of these. */
export const HostFacts = z.object({
  name: DisplayName,
  homewardVersion: z.string().max(50),
  /** libvirt's and QEMU's numbers as libvirt gives them: major * 1,000,000 + minor * 1,000 + release. */
  libvirtVersion: z.int().min(0),
  qemuVersion: z.int().min(0),
  arch: z.string().max(30),
  cpuModel: z.string().max(200),
  /** Nominal clock of one core in MHz. */
  cpuMhz: z.number().min(0),
  cores: z.int().min(1),
  /** Cores' worth of work done by everything on the machine, averaged over some seconds: 0..cores. */
  busyCores: z.number().min(0),
  memoryBytes: Bytes,
  freeMemoryBytes: Bytes,
  accels: z.array(Accel),
  /** QEMU machine types, newest aliases resolved, e.g. pc-q35-7.2. */
  machineTypes: z.array(z.string().max(80)).max(500),
  /** Whether QEMU run by this user may use userfaultfd, which post-copy needs. */
  postcopy: z.boolean(),
  /** Why not, in words, where postcopy is false. */
  postcopyObstacle: z.string().max(300).optional(),
  /** How long a visitor is kept whose laptop is not heard from. */
  leaseHours: z.number().min(0).optional(),
});
export type HostFacts = z.infer<typeof HostFacts>;

/** What a machine found out about itself, while it had nothing to do: rough scores, cached (Muda §6.2). */
export const MachineScores = z.object({
  cpuSingleOpsPerSec: z.number().min(0),
  /** All cores together; older versions do not measure it. */
  cpuMultiOpsPerSec: z.number().min(0).optional(),
  memcpyBytesPerSec: z.number().min(0),
  diskWriteBytesPerSec: z.number().min(0),
  takenAt: z.iso.datetime(),
});
export type MachineScores = z.infer<typeof MachineScores>;

/** A host's scores, as far as it had a moment for them, and what the link to it carries. */
export const Benchmark = MachineScores.partial().extend({
  /** Payload bytes per second through the real link, each way; absent until measured. */
  linkOutBytesPerSec: z.number().min(0).optional(),
  linkHomeBytesPerSec: z.number().min(0).optional(),
  /** What one core did by this computer's clock, at best; absent until the host has shown it. */
  shownOpsPerSec: z.number().min(0).optional(),
  /** What it says one core does, where that is more than it has shown; then all figures of its CPU are cut down by the same share. */
  claimedOpsPerSec: z.number().min(0).optional(),
});
export type Benchmark = z.infer<typeof Benchmark>;

/** An IP address, with its zone where it needs one, or a DNS name. With its port it is the name of a host that has told none yet. */
export const HostAddress = z.object({
  address: z
    .string()
    .max(190)
    .regex(/^[^\p{C}\p{Z}/[\]]+$/u),
  port: Port,
});
export type HostAddress = z.infer<typeof HostAddress>;

/** A workstation as the laptop knows it. */
export const Host = z.object({
  /** Absent while a manually added address has not answered yet. */
  fingerprint: Fingerprint.optional(),
  name: DisplayName,
  addresses: z.array(HostAddress),
  found: z.enum(['mdns', 'manual', 'remembered']),
  paired: z.boolean(),
  reachable: z.boolean(),
  /** When the link to it broke; absent while it is up, and where it has not been up since the engine started. */
  unreachableSince: z.iso.datetime().optional(),
  /** Why it cannot be used now, in words; absent when it can. */
  obstacle: z.string().optional(),
  /** Paired, but the host does not know this computer (any more): a new pairing replaces the old. */
  mayPairAnew: z.boolean().optional(),
  facts: HostFacts.optional(),
  benchmark: Benchmark.optional(),
  roundTripMs: Millis.optional(),
  /** Payload over the link in the last second, away from and towards this computer. */
  traffic: z.object({ outBytesPerSec: z.number().min(0), homeBytesPerSec: z.number().min(0) }).optional(),
});
export type Host = z.infer<typeof Host>;
