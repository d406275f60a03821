import { HomewardError } from '../../shared/errors.ts';
import type { Direction } from '../../shared/model/move.ts';
import { type HostLink, measureLink } from '../link/index.ts';

/** Enough payload to see past TCP's slow start, little enough to be short on a slow link. */
const probeBytes = 512 * 1024;
const longProbeBytes = 8 * 1024 * 1024;
const probeShortMs = 150;

/**
 * What the link carries now, in bytes per second; undefined where it is up and cannot be measured.
 * @throws HomewardError `host-unreachable`
 */
export async function probe(link: HostLink, direction: Direction): Promise<number | undefined> {
  try {
    const first = await measureLink(link, direction, probeBytes);
    if ((probeBytes / first) * 1_000 > probeShortMs) return first;
    return await measureLink(link, direction, longProbeBytes);
  } catch (cause) {
    if (link.state !== 'up') {
      throw new HomewardError('host-unreachable', 'The host stopped answering before the move began.', { cause });
    }
    return undefined;
  }
}
