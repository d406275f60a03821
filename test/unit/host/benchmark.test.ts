import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { benchmark } from '../../../main/host/benchmark.ts';
import { Benchmark } from '../../../shared/model/host.ts';

describe('the short benchmark', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp('/var/tmp/hw-bench-');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is taken once, kept for that version, and taken anew on request', async () => {
    const times = [1, 2, 3, 4].map((hour) => new Date(hour * 3_600_000));
    const options = { folder, version: '1', now: () => times.shift() ?? new Date() };
    const first = await benchmark(false, options);
    expect(Benchmark.parse(first)).toEqual(first);
    for (const score of [first.cpuSingleOpsPerSec, first.memcpyBytesPerSec, first.diskWriteBytesPerSec]) {
      expect(score).toBeGreaterThan(0);
    }
    expect(await benchmark(false, options)).toEqual(first);
    expect((await benchmark(true, options)).takenAt).not.toBe(first.takenAt);
    expect((await benchmark(false, { ...options, version: '2' })).takenAt).not.toBe(first.takenAt);
    expect(await readdir(folder)).toEqual(['benchmark.json']);
  });

  it('replaces a cached result that cannot be read', async () => {
    await writeFile(join(folder, 'benchmark.json'), '{"version":"1","benchmark":{}}');
    const taken = await benchmark(false, { folder, version: '1', now: () => new Date() });
    expect(JSON.parse(await readFile(join(folder, 'benchmark.json'), 'utf8'))).toEqual({
      version: '1',
      benchmark: taken,
    });
  });
});
