import { z } from 'zod';

export const visitEndReasons = [
  /** The guest was shut down, from inside or by libvirt's shutdown. */
  'shutdown',
  /** Somebody, or something, ended it at the host by force. */
  'destroyed',
  'crashed',
  /** The host was started anew, and all that ran on it is gone. */
  'host-restarted',
  /** Its sandbox ended while nobody looked: killed, or its host was out of memory. */
  'died',
  /** Its home was not heard from for as long as the host's owner keeps a visitor. */
  'lease',
  /** It took more than it was admitted with. */
  'limits',
  /** The pairing was revoked at the host. */
  'revoked',
  /** Its home took the disk back while the host could not be reached, and went on without it. */
  'fenced',
  /** Its host answers and knows nothing of it. */
  'forgotten',
  /** Its memory was split between both machines when one of them was lost. */
  'lost-moving',
  'unknown',
] as const;

/** Why a visit ended, where it did not end by the VM coming home. */
export const VisitEndReason = z.enum(visitEndReasons);
export type VisitEndReason = z.infer<typeof VisitEndReason>;

export const VisitEnd = z.object({
  /** What a newer peer calls by another name counts as `unknown`. */
  why: VisitEndReason.catch('unknown'),
  at: z.iso.datetime(),
});
export type VisitEnd = z.infer<typeof VisitEnd>;
