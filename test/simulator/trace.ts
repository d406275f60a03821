/** Traces of real work, as `npm run bench:workloads -- --record FOLDER` writes them: what a VM did at home, five seconds at a time. */
import { z } from 'zod';
import type { Sample } from '../../shared/model/vm.ts';
import { tasksIn } from '../../shared/policy/activity.ts';
import { tickS } from './world.ts';

const Share = z.number().min(0).max(1);
const Row = z.tuple([Share, Share, z.number().min(0), z.number().min(0), z.number().min(0)]);
/** Each row: CPU, disk (shares of the time), tasks on CPU, disk requests and bytes per second. */
export const Trace = z.object({ program: z.string(), rows: z.array(Row).min(1) });
export type Trace = z.infer<typeof Trace>;

export function traceOf(program: string, samples: readonly Sample[]): Trace {
  const rows: Trace['rows'] = [];
  const ticks = Map.groupBy(samples, ({ at }) => Math.floor((at - (samples[0]?.at ?? 0)) / (1_000 * tickS)));
  for (const [, within] of [...ticks].toSorted(([a], [b]) => a - b)) {
    const mean = (figure: (sample: Sample) => number) =>
      within.reduce((sum, sample) => sum + figure(sample), 0) / within.length;
    const wanted = mean(({ busyVcpus, waitingVcpus, vcpus }) => Math.min(vcpus, busyVcpus + waitingVcpus));
    const tasks = tasksIn(wanted);
    const cpu = Math.min(1, wanted / tasks);
    const disk = Math.min(
      1 - cpu,
      mean(({ diskBusy }) => diskBusy),
    );
    rows.push([
      rounded(cpu, 3),
      rounded(disk, 3),
      tasks,
      rounded(
        mean((sample) => sample.diskRequestsPerSec),
        1,
      ),
      Math.round(mean((sample) => sample.diskBytesPerSec)),
    ]);
  }
  return { program, rows };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
