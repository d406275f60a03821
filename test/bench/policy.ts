/**
 * Policies against each other, on simulated weeks: staying, Muda's rule, our own, and the best that somebody could have
 * done who knew everything beforehand. Needs no VM.
 *
 *   node test/bench/policy.ts [--report FILE] [--weeks N] [--seed N] [--family NAME]...
 *
 * Exit status 1 where `homeward` saves less than 85 % of what the optimum saves or less than 1.3 times what `muda`
 * saves, where 1 % of its jobs or more end over 2 % later than at home, where a VM goes out, home and out again within
 * the cooldown, or where a decision takes more than a millisecond.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { families, scenario } from '../simulator/families.ts';
import { heldOut } from '../simulator/held-out.ts';
import { optimum } from '../simulator/optimum.ts';
import { recorded } from '../simulator/recorded.ts';
import { cooldownMs, runNever, runPolicy } from '../simulator/run.ts';
import { added, noScore, type Score, scoreOf } from '../simulator/score.ts';
import { tickS } from '../simulator/world.ts';

const names = ['never', 'muda', 'homeward', 'optimum'] as const;
type Name = (typeof names)[number];
type Scores = Record<Name, Score>;

const leastOfOptimum = 0.85;
const leastOfMuda = 1.3;
const mostLostShare = 0.01;
const mostDecisionMs = 1;

const { values } = parseArgs({
  options: {
    report: { type: 'string' },
    weeks: { type: 'string', default: '20' },
    seed: { type: 'string', default: '20261126' },
    family: { type: 'string', multiple: true },
  },
});
const weeks = Math.max(1, Number(values.weeks));
const shapes = [...families, recorded, heldOut].filter(({ family }) => values.family?.includes(family) ?? true);

const decisionMs: number[] = [];
const perFamily = new Map<string, Scores>();
let hours = 0;
for (const shape of shapes) {
  let scores = noScores();
  for (let week = 0; week < weeks; week += 1) {
    const trace = scenario(shape, Number(values.seed) + week * 101 + shape.family.length * 10_007);
    hours += (trace.ticks * tickS) / 3_600;
    const never = runNever(trace);
    const ways = {
      never,
      muda: runPolicy(trace, 'muda'),
      homeward: runPolicy(trace, 'homeward', (ms) => decisionMs.push(ms)),
      optimum: optimum(trace),
    };
    scores = mapNames((name) => added(scores[name], scoreOf(trace, never, ways[name], cooldownMs / 1_000)));
  }
  perFamily.set(shape.family, scores);
  process.stderr.write(`${line(shape.family, scores)}\n`);
}
const total = [...perFamily.values()].reduce(
  (sum, scores) => mapNames((name) => added(sum[name], scores[name])),
  noScores(),
);
process.stderr.write(`${line('all', total)}\n`);
decisionMs.sort((a, b) => a - b);

const figures = {
  of_optimum: rounded(total.homeward.savedS / total.optimum.savedS, 3),
  of_muda: rounded(total.homeward.savedS / total.muda.savedS, 3),
  decision_ms: {
    median: rounded(quantile(0.5), 4),
    p999: rounded(quantile(0.999), 4),
  },
};
const report = {
  schema: 1,
  hours,
  seed: Number(values.seed),
  policies: mapNames((name) => printed(total[name])),
  families: Object.fromEntries(
    [...perFamily].map(([family, scores]) => [family, mapNames((name) => printed(scores[name]))]),
  ),
  held_out: heldOut.family,
  homeward: figures,
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
if (values.report !== undefined) await writeFile(values.report, `${JSON.stringify(report, null, 2)}\n`);

const misses = [
  figures.of_optimum < leastOfOptimum && `homeward saves ${figures.of_optimum} of the optimum, not ${leastOfOptimum}`,
  figures.of_muda < leastOfMuda && `homeward saves ${figures.of_muda} times what muda saves, not ${leastOfMuda}`,
  lostShare(total.homeward) >= mostLostShare && `homeward loses in ${lostShare(total.homeward)} of the jobs`,
  total.homeward.pingPong > 0 && `homeward went out, home and out again ${total.homeward.pingPong} times`,
  figures.decision_ms.p999 > mostDecisionMs && `a decision takes ${figures.decision_ms.p999} ms`,
].filter((miss) => miss !== false);
for (const miss of misses) process.stderr.write(`MISSED: ${miss}\n`);
process.exitCode = misses.length === 0 ? 0 : 1;

function noScores(): Scores {
  return mapNames(noScore);
}

function mapNames<T>(of: (name: Name) => T): Record<Name, T> {
  return { never: of('never'), muda: of('muda'), homeward: of('homeward'), optimum: of('optimum') };
}

function printed(score: Score) {
  return {
    saved_s: Math.round(score.savedS),
    jobs: score.jobs,
    lost_over_2pct_share: rounded(lostShare(score), 5),
    ping_pong: score.pingPong,
    moves: score.moves,
  };
}

function lostShare({ lost, jobs }: Score): number {
  return jobs === 0 ? 0 : lost / jobs;
}

function quantile(share: number): number {
  return decisionMs[Math.min(decisionMs.length - 1, Math.floor(share * decisionMs.length))] ?? 0;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function line(family: string, { muda, homeward, optimum: best }: Scores): string {
  const of = (part: number, whole: number): string => (whole === 0 ? '-' : (part / whole).toFixed(3));
  return [
    family.padEnd(14),
    `optimum ${Math.round(best.savedS)} s`.padEnd(20),
    `homeward ${of(homeward.savedS, best.savedS)} of it, lost ${lostShare(homeward).toFixed(4)} of ${homeward.jobs}, ${homeward.moves} moves`,
    `muda ${of(muda.savedS, best.savedS)}, lost ${lostShare(muda).toFixed(4)}, ${muda.moves} moves`,
  ].join('  ');
}
