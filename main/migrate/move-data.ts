import { z } from 'zod';
import type { MoveState } from '../../shared/machine/move-machine.ts';
import { Bytes, Token } from '../../shared/model/identifiers.ts';
import { Direction, Phase } from '../../shared/model/move.ts';
import { MigrationFolder, SocketName } from '../../shared/wire.ts';

const StateSchema = z.object({
  phase: Phase,
  direction: Direction,
  flipAsked: z.boolean().optional(),
  flipped: z.boolean(),
  handedOver: z.boolean().optional(),
  deaf: z.boolean().optional(),
  cancelAsked: z.boolean(),
  looking: z.boolean(),
  outcome: z.enum(['done', 'failed', 'lost']).optional(),
  resumeSource: z.boolean().optional(),
  cancelReason: z.string().optional(),
  failure: z.string().optional(),
  givenUp: z.boolean().optional(),
});

/** What a visit leaves with home for as long as the VM is away: enough to bring it back. */
export const VisitRecord = z.object({
  visit: Token,
  migrationFolder: MigrationFolder,
  /**
   * The live definition the VM left with. Its host-side parts are home's, so it is also the only definition
   * it may come back under: nothing a host says about paths on this machine is ever believed.
   */
  homeXml: z.string(),
  /** What the guest may have, written before any of it is taken: its balloon is smaller while it is away. */
  balloonBytes: Bytes.exactOptional(),
});
export type VisitRecord = z.infer<typeof VisitRecord>;

/** What the journal keeps of a move so that another engine can finish it. */
export const MoveData = z.object({
  state: StateSchema,
  record: VisitRecord,
  /**
   * Boot of this computer in which it began: no copy of the VM at home outlives it. Absent in what an earlier version wrote,
   * which a storage daemon that begins anew meets after a reboot.
   */
  bootId: z.uuid().optional(),
  /** Balloon size to restore, written before the balloon is touched. */
  balloonBytes: Bytes.optional(),
  /** The last migration socket: its stream may go on while no engine runs. */
  socketName: SocketName.optional(),
});
export type MoveData = Omit<z.infer<typeof MoveData>, 'state'> & { readonly state: MoveState };

/** A stored move's data; undefined where it is not what this version writes. */
export function parseMoveData(data: unknown): MoveData | undefined {
  const parsed = MoveData.safeParse(data);
  // Optional fields come back as absent, never as undefined: JSON has no undefined.
  return parsed.success ? (parsed.data as MoveData) : undefined;
}
