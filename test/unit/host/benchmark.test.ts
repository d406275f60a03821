import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MachineBenchmark, type MachineBenchmarkOptions } from '../../../main/host/benchmark.ts';
import { MachineScores } from '../../../shared/model/host.ts';

const dayMs = 24 * 3_600_000;

describe('the short benchmark', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp('/var/tmp/hw-bench-');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  function own(over: Partial<MachineBenchmarkOptions> = {}): MachineBenchmark {
    return new MachineBenchmark({
      folder,
      version: '1',
      load: async () => ({ cores: 4, busyCores: 0.1 }),
      now: () => dayMs,
      ...over,
    });
  }

  it('is taken once, by however many ask, kept for that version, and taken anew when it is old', async () => {
    const one = own();
    const [first, second] = await Promise.all([one.read(), one.read()]);
    expect(MachineScores.parse(first)).toEqual(first);
    for (const [name, score] of Object.entries(first ?? {})) if (name !== 'takenAt') expect(score).toBeGreaterThan(0);
    expect(second).toBe(first);
    const kept = await own({ now: () => 7 * dayMs }).read();
    expect(kept?.takenAt).toBe(new Date(dayMs).toISOString());
    expect((await own({ now: () => 9 * dayMs }).read())?.takenAt).toBe(new Date(9 * dayMs).toISOString());
    expect((await own({ now: () => 10 * dayMs, version: '2' }).read())?.takenAt).toBe(
      new Date(10 * dayMs).toISOString(),
    );
    expect(await readdir(folder)).toEqual(['benchmark.json']);
  });

  it('is not taken while somebody works, and what there is holds longer then', async () => {
    const load = async () => ({ cores: 4, busyCores: 1 });
    expect(await own({ load }).read()).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
    const taken = await own().read();
    expect(await own({ load, now: () => 30 * dayMs }).read()).toEqual(taken);
  });

  it('replaces a cached result that cannot be read', async () => {
    await writeFile(join(folder, 'benchmark.json'), '{"version":"1","benchmark":{}}');
    const taken = await own().read();
    expect(JSON.parse(await readFile(join(folder, 'benchmark.json'), 'utf8'))).toEqual({
      version: '1',
      benchmark: taken,
    });
  });
});
