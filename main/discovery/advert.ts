import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import type { HostAddress } from '../../shared/model/host.ts';
import { DisplayName, Fingerprint, Port } from '../../shared/model/identifiers.ts';

/** DNS-SD type, `_homeward._tcp`. */
export const serviceType = 'homeward';
const version = '1';

/** A TXT string holds 255 bytes, `n=` included (RFC 6763 §6.1). */
const maxNameBytes = 253;
const maxAddresses = 16;

/** What a host says of itself; static while it runs, since readers miss changes. */
const Txt = z.object({ id: Fingerprint, v: z.string().regex(/^\d{1,4}$/), n: DisplayName });

const Found = z.object({
  fqdn: z.string().min(1).max(255),
  port: Port,
  txt: Txt,
  addresses: z.array(z.string()).max(100).default([]),
  referer: z.object({ address: z.string() }).optional(),
});

export interface Advert {
  readonly fingerprint: string;
  readonly name: string;
  /** Likeliest first. */
  readonly addresses: readonly HostAddress[];
}

/** An answer from the network, or undefined for what no host of ours would say. */
export function advertOf(service: unknown): Advert | undefined {
  const parsed = Found.safeParse(service);
  if (!parsed.success) return undefined;
  const { txt, port, addresses, referer } = parsed.data;
  // Where the answer came from surely leads there; what it lists may be its container bridges.
  const usable = [
    ...(referer ? [referer.address] : []),
    ...addresses.filter(isIPv4),
    ...addresses.filter(isGlobalIPv6),
  ];
  const unique = [...new Set(usable)].filter(isDiallable).slice(0, maxAddresses);
  if (unique.length === 0) return undefined;
  return { fingerprint: txt.id, name: txt.n, addresses: unique.map((address) => ({ address, port })) };
}

/** The service to publish. Its names derive from the key: unique, and no other program's. */
export function serviceOf({ fingerprint, name, port }: { fingerprint: string; name: string; port: number }) {
  const label = `homeward-${fingerprint.slice(0, 16)}`;
  return {
    name: label,
    type: serviceType,
    protocol: 'tcp' as const,
    port,
    host: `${label}.local`,
    txt: { id: fingerprint, v: version, n: shortened(name) },
    // The same service speaks on every interface; probing would take one for another's rival.
    probe: false,
  };
}

/** `name` cut between characters so that it fits. */
function shortened(name: string): string {
  let short = '';
  let bytes = 0;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > maxNameBytes) break;
    short += character;
  }
  return short;
}

function isDiallable(address: string): boolean {
  return isIPv6(address) || (isIPv4(address) && !/^(?:0|127|2(?:2[4-9]|[345]\d))\./.test(address));
}

/** Link-local addresses come without the interface they belong to, so nobody could dial them. */
function isGlobalIPv6(address: string): boolean {
  return isIPv6(address) && /^(?:2|3|f[cd])/i.test(address);
}
