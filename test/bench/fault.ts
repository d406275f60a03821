/**
 * Faults at every moment of a move: cases drawn by a seed, played one after another on one bed of two hosts.
 *
 *   node test/bench/fault.ts [--report FILE] [--cases N] [--seed S] [--only PART-OF-A-NAME]... [--list]
 *   node test/bench/fault.ts --random-moves N [--report FILE] [--seed S] [--only PART-OF-A-FAULT]...
 *
 * A case is called MOMENT/FAULT, e.g. home/post-copy/link-cut-30s. Random moves go there and back, with a fault at some
 * time of each. Exit status 1 where one did not end as declared
 * (test/fault/bed/ends.ts).
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { allCases, chooseCases, nameOf, randomMoves } from '../fault/bed/matrix.ts';
import { FaultRun } from '../fault/bed/run.ts';

const { values } = parseArgs({
  options: {
    report: { type: 'string' },
    cases: { type: 'string', default: '150' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
    'random-moves': { type: 'string' },
    list: { type: 'boolean', default: false },
  },
});
if (values.list) {
  process.stdout.write(`${allCases().map(nameOf).join('\n')}\n`);
} else {
  const seed = Number(values.seed);
  const moves = values['random-moves'];
  const chosen =
    moves === undefined
      ? chooseCases(seed, Number(values.cases), values.only)
      : randomMoves(seed, Number(moves), values.only);
  const run = new FaultRun((line) => process.stdout.write(`${line}\n`));
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void run.close().then(() => process.exit(1)));
  try {
    for (const one of chosen) {
      await run.play(one);
      // A long run that is cut short leaves what it has seen.
      if (values.report !== undefined) await writeFile(values.report, `${JSON.stringify(run.report(seed), null, 2)}\n`);
    }
  } finally {
    await run.close();
  }
  const report = run.report(seed);
  process.stdout.write(`${JSON.stringify({ ...report, failed: report.failed.map((one) => one.case) })}\n`);
  process.exitCode = report.cases > 0 && report.passed === report.cases ? 0 : 1;
}
