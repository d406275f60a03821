import { z } from 'zod';
import { Bytes, DisplayName, Fingerprint, Millis, Token, VmUuid } from './identifiers.ts';

export const Direction = z.enum(['out', 'home']);
export type Direction = z.infer<typeof Direction>;

/** design §5. `failed` = safe, the VM runs where it was; `lost` = honest, physics took it. */
export const Phase = z.enum([
  'planned',
  'preparing',
  'copying',
  'postcopy',
  'paused',
  'recovering',
  'switched',
  'settling',
  'done',
  'failed',
  'lost',
]);
export type Phase = z.infer<typeof Phase>;

/** From virDomainGetJobStats; bytes of guest memory unless said otherwise. */
export const Progress = z.object({
  remainingBytes: Bytes,
  transferredBytes: Bytes,
  totalBytes: Bytes,
  rateBytesPerSec: z.number().min(0),
  dirtyBytesPerSec: z.number().min(0),
  /** Pre-copy rounds begun. */
  iteration: z.int().min(0),
  postcopyRequests: z.int().min(0),
  timeLeftMs: Millis.optional(),
  downtimeMs: Millis.optional(),
});
export type Progress = z.infer<typeof Progress>;

const PhaseTime = z.object({ name: Phase, ms: Millis });

/** What is planned for the rest of a move. */
export const Planned = z.object({
  mode: z.enum(['pre-copy', 'post-copy', 'safe-end']),
  /** From now, when it was said. */
  totalMs: Millis.optional(),
  bytes: Bytes.optional(),
  /** Chance that it is over in time, or at all in one go where nobody waits: 0..1. */
  confidence: z.number().min(0).max(1),
  /** Why so: a clause. */
  reason: z.string(),
});
export type Planned = z.infer<typeof Planned>;

export const Move = z.object({
  id: Token,
  vm: VmUuid,
  vmName: z.string(),
  direction: Direction,
  host: Fingerprint,
  hostName: DisplayName,
  phase: Phase,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  /** Why the move was begun: the user's word or the policy's reason. */
  reason: z.string(),
  /** `host`: the owner of the workstation sent the visitor home. */
  askedBy: z.enum(['user', 'policy', 'host']),
  /** What ended it, where it did not end well. */
  failure: z.string().optional(),
  cancellable: z.boolean(),
  progress: Progress.optional(),
  plan: Planned.optional(),
  /** The VM is to be there by then; otherwise it is paused where it is. */
  deadlineAt: z.iso.datetime().optional(),
  /** Nothing crosses at the moment: the other machine cannot be reached. */
  linkDown: z.literal(true).optional(),
  mode: z.enum(['precopy', 'postcopy']),
  phases: z.array(PhaseTime),
  /** Bytes that crossed the network for this move, TLS payload, both ways. */
  wireBytes: Bytes.optional(),
  /** Guest memory in use when the move began. */
  memoryBytes: Bytes.optional(),
  totalMs: Millis.optional(),
  /** As QEMU reports it; what the guest's users saw is for an outside observer to say. */
  downtimeMs: Millis.optional(),
});
export type Move = z.infer<typeof Move>;
