/** What VMs do all day: the thesis's four workloads (Muda §7.2), and what else a policy has to get right. */
import { Random } from './random.ts';
import {
  hourS,
  inQueues,
  largeReads,
  type MakeJob,
  oneByOne,
  type Shape,
  scenarioOf,
  smallFiles,
  stage,
} from './surroundings.ts';
import type { Scenario, Stage } from './world.ts';

const encode =
  (vcpus: number): MakeJob =>
  (random) => {
    const isPreview = random.chance(0.3);
    const lengthS = isPreview ? random.between(8, 40) : random.logNormal(400, 0.8);
    return {
      program: isPreview ? 'ffprobe' : 'ffmpeg',
      stages: [stage(lengthS, { cpu: 0.95, disk: 0.03, threads: vcpus, ...largeReads })],
    };
  };

const copyLarge: MakeJob = (random) => ({
  program: 'cp',
  stages: [stage(random.logNormal(200, 0.6), { cpu: 0.1, disk: 0.88, ...largeReads })],
});

const copyMany: MakeJob = (random) => ({
  program: 'cp',
  stages: [stage(random.logNormal(200, 0.6), { cpu: 0.18, disk: 0.8, ...smallFiles })],
});

/** Compilers side by side, then one linker; some rounds of it. */
function building(random: Random, vcpus: number, totalS: number): Stage[] {
  const stages: Stage[] = [];
  for (let atS = 0; atS < totalS; ) {
    const compileS = Math.min(totalS, random.between(8, 40));
    const linkS = random.between(1, 5);
    stages.push(
      stage(compileS, { cpu: 0.9, disk: 0.08, threads: vcpus, ...smallFiles }),
      stage(linkS, { cpu: 0.55, disk: 0.4, ...largeReads }),
    );
    atS += compileS + linkS;
  }
  return stages;
}

const build =
  (vcpus: number): MakeJob =>
  (random) => {
    const totalS = random.chance(0.4) ? random.between(5, 40) : random.logNormal(300, 0.7);
    return { program: 'make', stages: building(random, vcpus, totalS) };
  };

/** A person types, reads and clicks. */
function session(random: Random, lengthS: number): Stage[] {
  const stages: Stage[] = [];
  for (let atS = 0; atS < lengthS; ) {
    const thinkS = random.exponential(15);
    const answerS = random.pareto(0.2, 20, 1.2);
    stages.push(stage(thinkS, { cpu: 0.02 }), stage(answerS, { cpu: 0.8, disk: 0.1 }));
    atS += thinkS + answerS;
  }
  return stages;
}

/** Mail, text, the web; between them something that computes, mostly briefly (Harchol-Balter and Downey's tail). */
const interactive: MakeJob = (random) => {
  if (random.chance(0.35)) return { program: 'firefox', stages: session(random, random.between(300, 1_800)) };
  const lengthS = random.pareto(1, 2 * hourS);
  return { program: random.pick(['python3', 'octave', 'gzip']), stages: [stage(lengthS, { cpu: 0.97 })] };
};

/** A programmer's day: edits, small builds after each, tests, a full build now and then. */
const developer =
  (vcpus: number): MakeJob =>
  (random) => {
    const kind = random.next();
    if (kind < 0.5) return { program: 'make', stages: building(random, vcpus, random.pareto(3, 120, 0.8)) };
    if (kind < 0.75) {
      return {
        program: 'pytest',
        stages: [stage(random.logNormal(120, 0.8), { cpu: 0.7, disk: 0.1, threads: 1, ...smallFiles })],
      };
    }
    if (kind < 0.85) return { program: 'ninja', stages: building(random, vcpus, random.logNormal(800, 0.5)) };
    return { program: 'code', stages: session(random, random.between(200, 1_200)) };
  };

const batchJob =
  (vcpus: number): MakeJob =>
  (random) => ({
    program: 'simulate',
    stages: [
      stage(random.between(0.5, 3), { cpu: 0.3, disk: 0.7, ...largeReads }),
      stage(random.pareto(15, 1_800, 1.1), { cpu: 0.96, disk: 0.02, threads: random.chance(0.5) ? vcpus : 1 }),
    ],
  });

/** As long as a threshold wants to see, or a little longer, and then nothing. */
const burst =
  (vcpus: number): MakeJob =>
  (random) => {
    const lengthS = random.chance(0.04)
      ? random.between(300, 1_500)
      : random.pick([random.between(12, 30), random.between(20, 60), random.between(80, 150)]);
    return { program: 'worker', stages: [stage(lengthS, { cpu: 0.97, threads: random.chance(0.5) ? vcpus : 1 })] };
  };

const either =
  (vcpus: number): MakeJob =>
  (random) =>
    random.chance(0.5) ? encode(vcpus)(random) : build(vcpus)(random);

/** The thesis's four in one VM, where what suits one harms the next. */
const anyOfTheFour =
  (vcpus: number): MakeJob =>
  (random) =>
    random.pick([encode(vcpus), copyLarge, copyMany, build(vcpus)])(random);

/** Those that the policy was tuned with. */
export const families: readonly Shape[] = [
  { family: 'encode', jobs: (random, vcpus) => oneByOne(random, encode(vcpus), (gaps) => gaps.exponential(900)) },
  { family: 'copy-large', jobs: (random) => oneByOne(random, copyLarge, (gaps) => gaps.exponential(600)) },
  { family: 'copy-many', jobs: (random) => oneByOne(random, copyMany, (gaps) => gaps.exponential(600)) },
  { family: 'build', jobs: (random, vcpus) => oneByOne(random, build(vcpus), (gaps) => gaps.exponential(600)) },
  {
    family: 'thesis-four',
    jobs: (random, vcpus) => oneByOne(random, anyOfTheFour(vcpus), (gaps) => gaps.exponential(300)),
  },
  { family: 'interactive', jobs: (random) => oneByOne(random, interactive, (gaps) => gaps.exponential(120)) },
  { family: 'developer', jobs: (random, vcpus) => oneByOne(random, developer(vcpus), (gaps) => gaps.logNormal(90, 1)) },
  { family: 'batch', jobs: (random, vcpus) => inQueues(random, batchJob(vcpus), (queue) => queue.whole(5, 40)) },
  { family: 'bursts', jobs: (random, vcpus) => oneByOne(random, burst(vcpus), (gaps) => gaps.between(15, 90)) },
  {
    family: 'flapping-link',
    flappingLink: true,
    jobs: (random, vcpus) => oneByOne(random, either(vcpus), (gaps) => gaps.exponential(600)),
  },
  {
    family: 'busy-host',
    busyHosts: true,
    jobs: (random, vcpus) => oneByOne(random, either(vcpus), (gaps) => gaps.exponential(600)),
  },
];

export function scenario(shape: Shape, seed: number): Scenario {
  return scenarioOf(shape, seed, new Random(seed));
}
