import { z } from 'zod';

const hex256 = /^[0-9a-f]{64}$/;

/** 256 bits in lower-case hex: a hash, a nonce, a seed. */
export const Hex256 = z.string().regex(hex256);

/** SHA-256 of a peer's DER certificate, lower-case hex: a machine's identity. */
export const Fingerprint = z.string().regex(hex256);
export type Fingerprint = z.infer<typeof Fingerprint>;

/** libvirt's domain UUID, lower-case with dashes. */
export const VmUuid = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
export type VmUuid = z.infer<typeof VmUuid>;

/** Ours: moves, visits, streams. 128 random bits, lower-case hex. */
export const Token = z.string().regex(/^[0-9a-f]{32}$/);
export type Token = z.infer<typeof Token>;

/** A name a person chose, printable and bounded: domain names, host names. */
export const DisplayName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}/]+$/u);

export const Port = z.int().min(1).max(65_535);
export const Bytes = z.int().min(0);
export const Millis = z.number().min(0);
