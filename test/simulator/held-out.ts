/**
 * The family that nothing was tuned with: notebooks on a machine in another room, over Wi-Fi. Cells of very unlike
 * length, each loading data before it computes, with thoughts in between, and now and then a training run.
 */
import type { Random } from './random.ts';
import { type MakeJob, oneByOne, type Shape, stage } from './surroundings.ts';
import type { Stage } from './world.ts';

const cell = (random: Random, vcpus: number): Stage[] => {
  const lengthS = random.pareto(1, 1_500, 0.9);
  const loadingS = Math.min(30, lengthS * random.between(0.05, 0.3));
  return [
    stage(loadingS, { cpu: 0.35, disk: 0.6, requestsPerSec: 300, bytesPerRequest: 128 * 1024 }),
    stage(lengthS, { cpu: 0.97, disk: 0.01, threads: random.chance(0.3) ? vcpus : 1 }),
  ];
};

const notebook =
  (vcpus: number): MakeJob =>
  (random) => {
    if (random.chance(0.06)) {
      return {
        program: 'train',
        stages: [stage(random.logNormal(1_500, 0.6), { cpu: 0.9, disk: 0.08, threads: vcpus })],
      };
    }
    return { program: 'python3', stages: cell(random, vcpus) };
  };

export const heldOut: Shape = {
  family: 'held-out',
  onlyWiFi: true,
  jobs: (random, vcpus) => oneByOne(random, notebook(vcpus), (gaps) => gaps.logNormal(60, 1)),
};
