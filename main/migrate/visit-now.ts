import type { VisitEnd } from '../../shared/model/visit-end.ts';
import type { VisitInfo } from '../../shared/wire.ts';
import type { HostLink } from '../link/index.ts';

export type VisitNow = Pick<VisitInfo, 'state'> & { readonly end?: Pick<VisitEnd, 'why'> | undefined };

/** What the host says of a visit: `gone` also where it knows none, undefined where it cannot be asked. */
export async function visitNow(link: Pick<HostLink, 'call' | 'state'>, visit: string): Promise<VisitNow | undefined> {
  if (link.state !== 'up') return undefined;
  const listed = await link.call('visit.list', {}).catch(() => undefined);
  if (listed === undefined) return undefined;
  return listed.visits.find((known) => known.visit === visit) ?? { state: 'gone', end: { why: 'forgotten' } };
}
