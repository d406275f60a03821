import type { Host } from '../../shared/model/host.ts';
import type { HostLink } from '../link/index.ts';

/** Whoever looks does so once a second or more often, a little early or late. */
const leastIntervalMs = 900;
/** Over a longer hole an average would not be the last second's. */
const longestIntervalMs = 3_000;

interface Carried {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

interface Reading extends Carried {
  readonly atMs: number;
}

/** What a link has carried in the last second, from its own counters, looked at only when somebody asks. */
export class LinkMeter {
  #reading: Reading | undefined;
  #rate: Host['traffic'];

  /** Undefined until it was asked twice, a second apart. */
  read(link: Pick<HostLink, 'traffic'>, nowMs: number): Host['traffic'] {
    const before = this.#reading;
    const sinceMs = before === undefined ? Number.POSITIVE_INFINITY : nowMs - before.atMs;
    if (before !== undefined && sinceMs < leastIntervalMs) return this.#rate;
    const now: Reading = { atMs: nowMs, ...carriedBytes(link) };
    this.#reading = now;
    this.#rate =
      before === undefined || sinceMs > longestIntervalMs
        ? undefined
        : {
            outBytesPerSec: ((now.sentBytes - before.sentBytes) * 1_000) / sinceMs,
            homeBytesPerSec: ((now.receivedBytes - before.receivedBytes) * 1_000) / sinceMs,
          };
    return this.#rate;
  }
}

/** Both ways since the link began. The control connection is left out: its heartbeat would make a link that rests look busy. */
export function carriedBytes(link: Pick<HostLink, 'traffic'>): Carried {
  let sentBytes = 0;
  let receivedBytes = 0;
  for (const count of link.traffic()) {
    if (count.kind === 'control') continue;
    sentBytes += count.sentBytes;
    receivedBytes += count.receivedBytes;
  }
  return { sentBytes, receivedBytes };
}
