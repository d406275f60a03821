import { z } from 'zod';
import { Bytes, DisplayName, Fingerprint, Millis, Token, VmUuid } from './identifiers.ts';

export const ConnectionName = z.enum(['session', 'system']);
export type ConnectionName = z.infer<typeof ConnectionName>;

export const VmState = z.enum(['running', 'paused', 'shutoff', 'crashed', 'unknown']);
export type VmState = z.infer<typeof VmState>;

/** How far Homeward may go by itself. */
export const Level = z.enum(['off', 'suggest', 'automatic']);
export type Level = z.infer<typeof Level>;

export const Place = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('home') }),
  z.object({
    kind: z.literal('away'),
    host: Fingerprint,
    hostName: DisplayName,
    visit: Token,
    since: z.iso.datetime(),
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
  /** From the guest agent. */
  guestLoad1: z.number().min(0).optional(),
  guestIowait: z.number().min(0).max(1).optional(),
});
export type Sample = z.infer<typeof Sample>;

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
});
export type Vm = z.infer<typeof Vm>;
