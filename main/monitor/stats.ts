import type { Connection, DomainStatsRecord, StatsGroup } from '../libvirt/index.ts';

/** What samples are made of; each further group costs libvirtd a question to QEMU per second. */
const groups: readonly StatsGroup[] = ['state', 'balloon', 'vcpu', 'interface', 'block'];
/** A poll may stall for 2 s at a switchover (QEMU is between two states); longer means trouble. */
const deadlineMs = 8_000;

/** One bulk call for all running domains, which never waits for a busy one. */
export function pollStats(connection: Connection): Promise<readonly DomainStatsRecord[]> {
  return connection.allStats(groups, { nowait: true, deadlineMs });
}
