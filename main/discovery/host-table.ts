import type { HostAddress } from '../../shared/model/host.ts';
import type { Advert } from './advert.ts';

/** A host that announces itself. That it answers is for the link to find out. */
export interface FoundHost {
  readonly fingerprint: string;
  readonly name: string;
  /** Likeliest first. */
  readonly addresses: readonly HostAddress[];
}

interface Known {
  name: string;
  /** `address port` → when it was last heard, and the address. */
  readonly heard: Map<string, { atMs: number; address: HostAddress }>;
  /** After a goodbye: when it counts as gone unless it is heard again. */
  goneAtMs: number | undefined;
}

/** Far above any home or office; a flood of invented hosts ends here. */
const maxHosts = 256;
const maxAddresses = 16;

/**
 * Who was heard of, on whichever interface, merged by fingerprint. Time is milliseconds of a monotonic
 * clock, given with each call.
 */
export class HostTable {
  readonly #hosts = new Map<string, Known>();
  readonly #silenceMs: number;
  readonly #goodbyeGraceMs: number;

  /** `silenceMs` without a word and an address is forgotten; a host that said goodbye has `goodbyeGraceMs` to return. */
  constructor(limits: { silenceMs: number; goodbyeGraceMs: number }) {
    this.#silenceMs = limits.silenceMs;
    this.#goodbyeGraceMs = limits.goodbyeGraceMs;
  }

  /** The host, where this told anything new of it. */
  heard(advert: Advert, nowMs: number): FoundHost | undefined {
    const known = this.#hosts.get(advert.fingerprint);
    if (!known && this.#hosts.size >= maxHosts) return undefined;
    const host = known ?? { name: advert.name, heard: new Map(), goneAtMs: undefined };
    const before = known && JSON.stringify(found(advert.fingerprint, host));
    host.name = advert.name;
    host.goneAtMs = undefined;
    // A host has one port: with a new one it was started anew, and what led to the old one leads nowhere.
    const port = advert.addresses[0]?.port;
    for (const [key, { address }] of host.heard) if (address.port !== port) host.heard.delete(key);
    for (const address of advert.addresses) {
      const key = `${address.address} ${address.port}`;
      if (host.heard.has(key) || host.heard.size < maxAddresses) host.heard.set(key, { atMs: nowMs, address });
    }
    this.#hosts.set(advert.fingerprint, host);
    const after = found(advert.fingerprint, host);
    return JSON.stringify(after) === before ? undefined : after;
  }

  saidGoodbye(fingerprint: string, nowMs: number): void {
    const host = this.#hosts.get(fingerprint);
    if (host) host.goneAtMs = nowMs + this.#goodbyeGraceMs;
  }

  /** Forgets what was not heard of for too long. */
  expire(nowMs: number): { gone: string[]; changed: FoundHost[] } {
    const gone: string[] = [];
    const changed: FoundHost[] = [];
    for (const [fingerprint, host] of this.#hosts) {
      const silent = [...host.heard].filter(([, { atMs }]) => nowMs - atMs > this.#silenceMs);
      for (const [key] of silent) host.heard.delete(key);
      if (host.heard.size === 0 || (host.goneAtMs !== undefined && nowMs >= host.goneAtMs)) {
        this.#hosts.delete(fingerprint);
        gone.push(fingerprint);
      } else if (silent.length > 0) {
        changed.push(found(fingerprint, host));
      }
    }
    return { gone, changed };
  }
}

function found(fingerprint: string, { name, heard }: Known): FoundHost {
  return { fingerprint, name, addresses: [...heard.values()].map(({ address }) => address) };
}
