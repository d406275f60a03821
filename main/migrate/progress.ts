import type { Progress } from '../../shared/model/move.ts';
import { decideFlip, type FlipQuestion } from '../../shared/plan/flip.ts';
import type { Connection, JobStats } from '../libvirt/index.ts';
import type { MoveRun } from './move-run.ts';

export interface FollowOptions {
  readonly run: MoveRun;
  readonly source: Connection;
  readonly uuid: string;
  readonly question: () => Omit<FlipQuestion, 'progress'>;
  readonly tick: () => void;
}

const everyMs = 250;
/** A poll stalls for a second or two at the switch (libvirt holds the domain); longer is not worth waiting for. */
const pollTimeoutMs = 3_000;

/** Watches a migration from its source: progress for people, the moment to flip for the machine. */
export function follow(options: FollowOptions): { stop(): Promise<void> } {
  const { run, source, uuid } = options;
  let stopped = false;
  const dispose = source.onEvent((event) => {
    if (event.kind !== 'lifecycle' || event.uuid !== uuid) return;
    if (event.event === 'suspended' && event.detail === 'postcopy') run.post({ kind: 'flipped' });
  });
  const loop = (async () => {
    while (!stopped) {
      const stats = await source.jobStats(uuid, { deadlineMs: pollTimeoutMs }).catch(() => undefined);
      if (stopped) break;
      if (stats?.memory !== undefined) {
        const progress = progressOf(stats);
        run.note({ progress });
        if (run.state.phase === 'copying') {
          const decision = decideFlip({ ...options.question(), progress });
          if (decision.action === 'flip') run.post({ kind: 'flip-wanted' });
        }
      }
      options.tick();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return {
    async stop() {
      stopped = true;
      dispose();
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
