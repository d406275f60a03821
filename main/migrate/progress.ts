import type { Progress } from '../../shared/model/move.ts';
import { dueStep, type MovePlan, outOfTime, planned } from '../../shared/plan/homecoming.ts';
import type { Connection, JobStats } from '../libvirt/index.ts';
import type { MoveRun } from './move-run.ts';

export interface FollowOptions {
  readonly run: MoveRun;
  readonly source: Connection;
  /** Not waited for: it may be behind a link that is down. */
  readonly destination: Promise<Connection>;
  readonly uuid: string;
  /** The plan from here on. */
  readonly plan: (progress: Progress) => MovePlan;
  readonly tick: () => void;
}

const everyMs = 250;
/** A poll stalls for a second or two at the switch (libvirt holds the domain); longer is not worth waiting for. */
const pollTimeoutMs = 3_000;

/** Watches a migration from its source: progress for people, the moment to flip for the machine. */
export function follow(options: FollowOptions): { stop(): Promise<void> } {
  const { run, source, uuid } = options;
  let stopped = false;
  const hears = [
    source.onEvent((event) => {
      if (event.kind !== 'lifecycle' || event.uuid !== uuid) return;
      if (event.event === 'suspended' && event.detail === 'postcopy') run.post({ kind: 'flipped' });
    }),
  ];
  options.destination.then(
    (destination) => {
      const hear = destination.onEvent((event) => {
        if (event.kind === 'connection' && event.state === 'lost') run.post({ kind: 'deaf' });
        if (event.kind !== 'lifecycle' || event.uuid !== uuid) return;
        if (event.event !== 'resumed') return;
        if (event.detail === 'migrated') run.post({ kind: 'handed-over' });
        if (event.detail === 'postcopy') run.post({ kind: 'taken-over' });
      });
      if (stopped) hear();
      else hears.push(hear);
    },
    () => run.post({ kind: 'deaf' }),
  );
  const loop = (async () => {
    while (!stopped) {
      const stats = await source.jobStats(uuid, { deadlineMs: pollTimeoutMs }).catch(() => undefined);
      if (stopped) break;
      if (stats?.memory !== undefined) {
        const progress = progressOf(stats);
        run.note({ progress });
        // Before the job begins, and once it has been aborted, QEMU tells of a memory of nothing.
        if (run.state.phase === 'copying' && progress.totalBytes > 0) {
          const plan = options.plan(progress);
          run.note({ plan: planned(plan) });
          const due = dueStep(plan);
          if (due?.do === 'flip') run.post({ kind: 'flip-wanted' });
          if (due?.do === 'pause') run.post({ kind: 'cancel', reason: outOfTime });
        }
      }
      options.tick();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return {
    async stop() {
      stopped = true;
      for (const stopHearing of hears) stopHearing();
      await loop;
    },
  };
}

/** virDomainGetJobStats in the words people see. */
function progressOf(stats: JobStats): Progress {
  const memory = stats.memory;
  const rate = memory?.bytesPerSec ?? 0;
  const remainingBytes = memory?.remainingBytes ?? 0;
  const pageBytes = memory?.pageSizeBytes ?? 4096;
  return {
    remainingBytes,
    transferredBytes: memory?.processedBytes ?? 0,
    totalBytes: memory?.totalBytes ?? 0,
    rateBytesPerSec: rate,
    dirtyBytesPerSec: (memory?.dirtyPagesPerSec ?? 0) * pageBytes,
    iteration: memory?.iteration ?? 0,
    postcopyRequests: memory?.postcopyRequests ?? 0,
    ...(rate > 0 ? { timeLeftMs: (remainingBytes / rate) * 1_000 } : {}),
    ...(stats.downtimeMs === undefined ? {} : { downtimeMs: stats.downtimeMs }),
  };
}
