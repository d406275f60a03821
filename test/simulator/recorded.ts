/**
 * Real work, recorded (trace.ts) and played again in any order. The benchmark that records keeps its inputs short; here each piece
 * is repeated, mostly to some minutes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from './random.ts';
import { type MakeJob, oneByOne, type Shape } from './surroundings.ts';
import { Trace } from './trace.ts';
import { type Stage, tickS } from './world.ts';

/** Less than this at the disk in five seconds is no more than a log's line. */
const leastDisk = 0.02;

const folder = join(import.meta.dirname, 'recorded');
const [first, ...others] = readdirSync(folder).map((file) =>
  Trace.parse(JSON.parse(readFileSync(join(folder, file), 'utf8'))),
);
if (first === undefined) throw new Error(`There are no traces in ${folder}.`);
const traces = [first, ...others] as const;

const replayed: MakeJob = (random) => {
  const { program, rows } = random.pick(traces);
  const count = Math.max(2, Math.round(rows.length * random.logNormal(8, 0.8)));
  return { program, stages: Array.from({ length: count }, (_, index) => stageOf(rows[index % rows.length])) };
};

function stageOf(row: Trace['rows'][number] | undefined): Stage {
  const [cpu, disk, threads, requestsPerSec, bytesPerSec] = row ?? [0, 0, 1, 0, 0];
  const share = disk < leastDisk ? 0 : disk;
  return {
    lengthS: tickS,
    cpu,
    disk: share,
    wait: Math.max(0, 1 - cpu - share),
    threads,
    requestsPerSec: share === 0 ? 0 : requestsPerSec / share,
    bytesPerSec: share === 0 ? 0 : bytesPerSec / share,
  };
}

export const recorded: Shape = {
  family: 'recorded',
  jobs: (random: Random) => oneByOne(random, replayed, (gaps) => gaps.exponential(400)),
};
