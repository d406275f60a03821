/**
 * How long moves were said to take, and how long they took: guests of different sizes and habits go there and back over links
 * of different rates, and each time Homeward is asked beforehand (`homeward offload --dry-run`), as a person would.
 *
 *   node test/bench/prediction.ts [--report FILE] [--trips N]
 *
 * Writes {"moves":n,"median_error":n,"p95_error":n,"journeys":[…]}; an error is |said − took| ÷ took. What is learnt from a
 * move corrects what is said of the next of the same VM, as it does in life; the first of each are counted like all others.
 * Exit status 1 where the median is above 0.2, the 95th percentile above 0.6, or fewer than 50 moves were made.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Direction, Move } from '../../shared/model/move.ts';
import { Scene } from '../testbed/index.ts';

const mostMedian = 0.2;
const mostP95 = 0.6;
const leastMoves = 50;
const atItMs = 12_000;

interface Journey {
  readonly name: string;
  readonly linkMbit: number;
  readonly guestMiB: number;
  /** Commands to the guest. */
  readonly workloads: readonly string[];
}

const journeys: readonly Journey[] = [
  { name: 'small and idle, slow link', linkMbit: 60, guestMiB: 128, workloads: [] },
  { name: 'holds much, middling link', linkMbit: 200, guestMiB: 512, workloads: ['hold 300'] },
  { name: 'writes its memory, middling link', linkMbit: 200, guestMiB: 256, workloads: ['hold 64', 'memory 64 20'] },
  { name: 'writes its disk, fast link', linkMbit: 600, guestMiB: 256, workloads: ['hold 128', 'disk 20'] },
  { name: 'holds much, fast link', linkMbit: 600, guestMiB: 512, workloads: ['hold 300'] },
];

interface Made {
  readonly journey: string;
  readonly direction: Direction;
  readonly mode: Move['mode'];
  readonly said_s: number;
  readonly took_s: number;
  readonly error: number;
}

async function make(journey: Journey, trips: number): Promise<Made[]> {
  const { name, linkMbit, guestMiB, workloads } = journey;
  const scene = await Scene.set({ rateMbit: linkMbit, guest: { memoryMiB: guestMiB } });
  try {
    const { laptop, observer, guest } = scene;
    for (const workload of workloads) await observer.command(workload);
    // A VM that has been at it for a while, as most that are moved.
    await sleep(atItMs);
    const made: Made[] = [];
    for (let trip = 0; trip < trips; trip += 1)
      for (const direction of ['out', 'home'] as const) {
        const said = await laptop.until('a time to be said', 60_000, async () => {
          const plan = await laptop.client.call('move.plan', { vm: guest.name, direction });
          return plan.expectedMs;
        });
        const move = await laptop.move(direction, guest.name);
        if (move.phase !== 'done' || move.totalMs === undefined)
          throw new Error(`${name}: a move ${direction} ended as ${move.phase}: ${move.failure ?? ''}`);
        const took = move.totalMs;
        const error = Math.abs(said - took) / took;
        made.push({
          journey: name,
          direction,
          mode: move.mode,
          said_s: Number((said / 1_000).toFixed(2)),
          took_s: Number((took / 1_000).toFixed(2)),
          error: Number(error.toFixed(3)),
        });
        process.stderr.write(
          `${name}, ${direction}: said ${(said / 1_000).toFixed(1)} s, took ${(took / 1_000).toFixed(1)} s\n`,
        );
      }
    return made;
  } finally {
    await scene.close();
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const { values } = parseArgs({ options: { report: { type: 'string' }, trips: { type: 'string', default: '6' } } });
const all: Made[] = [];
for (const journey of journeys) all.push(...(await make(journey, Math.max(1, Number(values.trips)))));
const errors = all.map(({ error }) => error).sort((one, other) => one - other);
const report = {
  moves: all.length,
  median_error: quantile(errors, 0.5),
  p95_error: quantile(errors, 0.95),
  journeys: all,
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
if (values.report !== undefined) await writeFile(values.report, `${JSON.stringify(report, null, 2)}\n`);
const isGood = report.median_error <= mostMedian && report.p95_error <= mostP95 && report.moves >= leastMoves;
process.exitCode = isGood ? 0 : 1;
