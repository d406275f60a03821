import { describe, expect, it } from 'vitest';
import { families, scenario } from '../../simulator/families.ts';
import { optimum } from '../../simulator/optimum.ts';
import { cooldownMs, runNever, runPolicy } from '../../simulator/run.ts';
import { scoreOf } from '../../simulator/score.ts';
import type { Scenario, Stage } from '../../simulator/world.ts';

function family(name: string) {
  const shape = families.find((one) => one.family === name);
  if (shape === undefined) throw new Error(`There is no family ${name}`);
  return shape;
}

const computing: Stage = { lengthS: 1_000, cpu: 1, disk: 0, wait: 0, threads: 1, requestsPerSec: 0, bytesPerSec: 0 };

/** One job of 1,000 s from the first second on, a host twice as fast, and moves of 10 s that cost nothing else. */
function simple(over: Partial<Scenario> = {}): Scenario {
  const ticks = 1_000;
  return {
    family: 'simple',
    seed: 1,
    ticks,
    vcpus: 1,
    memoryBytes: 1e9,
    usedMemoryBytes: 1e9,
    homeCores: 4,
    homeOthers: new Float64Array(ticks),
    hosts: [{ name: 'fast', cores: 8, coreRatio: 2, benchmarkedRatio: 2, others: new Float64Array(ticks) }],
    link: new Float64Array(ticks).fill(1e9),
    roundTripMs: 1,
    diskOverlap: 0,
    near: new Uint8Array(ticks).fill(1),
    slowdown: 0,
    downtimeS: 0,
    handoverS: 7,
    sentOut: 1,
    sentHome: 1,
    saidToLeaveS: [],
    jobs: [{ program: 'job', arrivesS: 0, stages: [computing] }],
    hasAgent: false,
    ...over,
  };
}

describe('the simulated world', () => {
  it('a job at home takes its length', () => {
    expect(runNever(simple()).busyS).toBeCloseTo(1_000, 6);
  });

  it('the optimum moves at once and gains what can be reckoned by hand', () => {
    // 10 s of moving at home’s speed, and 990 s of work at twice of it.
    expect(optimum(simple()).busyS).toBeCloseTo(10 + 495, 6);
  });

  it('the optimum stays where a move does not pay', () => {
    const short = { ...computing, lengthS: 8 };
    const best = optimum(simple({ slowdown: 0.2, jobs: [{ program: 'job', arrivesS: 0, stages: [short] }] }));
    expect(best.busyS).toBeCloseTo(8, 6);
    expect(best.moves).toBe(0);
  });

  it('a laptop that leaves takes its VM along', () => {
    const near = new Uint8Array(1_000).fill(1).fill(0, 40);
    // Away from 10 s to 200 s, 10 s of coming home at the host’s speed, the rest at home.
    expect(optimum(simple({ near })).busyS).toBeCloseTo(210 + (1_000 - 10 - 400), 6);
  });

  it('without a link, disk work that is away stands still', () => {
    const link = new Float64Array(1_000).fill(1e9).fill(0, 10, 20);
    const disk = { ...computing, cpu: 0.5, disk: 0.5 };
    const trace = simple({ link, jobs: [{ program: 'job', arrivesS: 0, stages: [disk] }] });
    const never = runNever(trace);
    expect(never.busyS).toBeCloseTo(1_000, 6);
    expect(optimum(trace).busyS).toBeLessThan(never.busyS);
  });
});

describe('policies in it', () => {
  it.each(['encode', 'thesis-four', 'busy-host', 'flapping-link'])(
    '%s: nobody beats the optimum, all jobs end, and nothing plays ping-pong',
    (name) => {
      const trace = scenario(family(name), 77);
      const never = runNever(trace);
      const best = optimum(trace);
      for (const policy of ['homeward', 'muda'] as const) {
        const way = runPolicy(trace, policy);
        expect(way.busyS).toBeGreaterThanOrEqual(best.busyS - 1e-6);
        expect(scoreOf(trace, never, way, cooldownMs / 1_000)).toMatchObject({ jobs: trace.jobs.length, pingPong: 0 });
      }
    },
    20_000,
  );

  it('the same seed gives the same week', () => {
    const once = runPolicy(scenario(family('batch'), 5), 'homeward');
    expect(runPolicy(scenario(family('batch'), 5), 'homeward').busyS).toBe(once.busyS);
  });

  it('work that waits for its disk never leaves it', () => {
    for (const name of ['copy-large', 'copy-many']) {
      expect(runPolicy(scenario(family(name), 3), 'homeward').past).not.toHaveProperty('move');
    }
  });
});
