import { z } from 'zod';
import { Bytes, DisplayName, Fingerprint, Millis, Token, VmUuid } from './identifiers.ts';
import { VisitEnd } from './visit-end.ts';

export const ConnectionName = z.enum(['session', 'system']);
export type ConnectionName = z.infer<typeof ConnectionName>;

export const VmState = z.enum(['running', 'paused', 'shutoff', 'crashed', 'unknown']);
export type VmState = z.infer<typeof VmState>;

/** How far Homeward may go by itself. */
export const Level = z.enum(['off', 'suggest', 'automatic']);
export type Level = z.infer<typeof Level>;

export const Place = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('home'),
    /** How its last visit ended, where that was not by coming home; until the VM runs here again. */
    ended: VisitEnd.extend({ hostName: DisplayName }).optional(),
    /** Its start here was asked for and is not done yet. */
    starting: z.literal(true).optional(),
  }),
  z.object({
    kind: z.literal('away'),
    host: Fingerprint,
    hostName: DisplayName,
    visit: Token,
    since: z.iso.datetime(),
    /** It was given up there: its visitor is cut off for good, then home goes on from the disk, started or not. */
    restarting: z.object({ start: z.boolean() }).optional(),
    /** Homeward paused it there, since this computer had to leave. Written down before it is, and until it runs again. */
    pausedSince: z.iso.datetime().optional(),
  }),
]);
export type Place = z.infer<typeof Place>;

/** One second of one VM, from libvirt alone; the agent's figures only where it answers. */
export const Sample = z.object({
  at: Millis,
  vcpus: z.int().min(1),
  /** vCPU time used per wall second: 0..vcpus. */
  busyVcpus: z.number().min(0),
  /** Seconds per second vCPU threads were runnable but not running (steal/delay): 0..vcpus. */
  waitingVcpus: z.number().min(0),
  /** The busiest vCPU alone: 0..1. */
  busiestVcpu: z.number().min(0),
  diskBytesPerSec: z.number().min(0),
  diskRequestsPerSec: z.number().min(0),
  /** Share of wall time with a disk request in flight, summed over disks, clipped: 0..1. */
  diskBusy: z.number().min(0).max(1),
  netBytesPerSec: z.number().min(0),
  memoryBytes: Bytes,
  /** In use as the balloon driver reports it; the whole memory where it is silent. */
  usedMemoryBytes: Bytes,
  /** Memory rewritten, as QEMU last measured it (virDomainStartDirtyRateCalc); only while a window looks on or the VM works. */
  dirtyBytesPerSec: z.number().min(0).optional(),
  /** From the guest agent. */
  guestLoad1: z.number().min(0).optional(),
  guestIowait: z.number().min(0).max(1).optional(),
  /** The program that used most CPU, as the guest agent tells it. */
  guestProgram: z.string().max(100).optional(),
  /** Of its largest input file, what it has read. */
  guestProgress: z.number().min(0).max(1).optional(),
});
export type Sample = z.infer<typeof Sample>;

/**
 * `forgotten`: its host answers and knows nothing of it. `undefined-here`: libvirt here has lost its definition.
 * `renamed`: its definition here has another name than the one it left under. `runs-here`: a VM of its UUID runs
 * here as well, started by somebody else.
 */
export const AwayTrouble = z.enum(['forgotten', 'undefined-here', 'renamed', 'runs-here']);
export type AwayTrouble = z.infer<typeof AwayTrouble>;

export const Vm = z.object({
  uuid: VmUuid,
  name: z.string(),
  connection: ConnectionName,
  state: VmState,
  vcpus: z.int().min(1),
  memoryBytes: Bytes,
  place: Place,
  level: Level,
  /** Made ready by `adopt`: its disk is served by the home storage daemon. */
  adopted: z.boolean(),
  /** What stands in the way of a smooth move, in words; empty when ready. */
  obstacles: z.array(z.string()),
  sample: Sample.optional(),
  /** It comes home by itself as soon as it can, and why. */
  homeWanted: z.object({ reason: z.string(), since: z.iso.datetime() }).optional(),
  /** What was found amiss while it is away: each means something has to be done, or understood. */
  awayTroubles: z.array(AwayTrouble).optional(),
});
export type Vm = z.infer<typeof Vm>;
