/** Rough scores of this machine (Muda §6.2): CPU, memory, disk. Under two seconds, one core, 64 MiB written. */
import { hash } from 'node:crypto';
import { open, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { Benchmark } from '../../shared/model/host.ts';

const CachedBenchmark = z.object({ version: z.string(), benchmark: Benchmark });
const Scores = z.object({ cpuSingleOpsPerSec: z.number(), memcpyBytesPerSec: z.number() });

const writtenBytes = 64 * 1024 * 1024;
const leastFreeBytes = 1024 ** 3;

export interface BenchmarkOptions {
  /** Holds the cached result and, for a moment, what is written. */
  readonly folder: string;
  /** A cached result of another version does not count. */
  readonly version: string;
  readonly now: () => Date;
}

/**
 * The cached benchmark, or a new one where there is none or `fresh` is asked for. Throws `disk-full` where less than
 * 1 GiB is free.
 */
export async function benchmark(fresh: boolean, options: BenchmarkOptions): Promise<Benchmark> {
  const file = join(options.folder, 'benchmark.json');
  const cached = fresh ? undefined : await readCached(file, options.version);
  if (cached) return cached;
  const diskWriteBytesPerSec = await diskWrite(options.folder);
  const taken: Benchmark = { ...(await computeInWorker()), diskWriteBytesPerSec, takenAt: options.now().toISOString() };
  await writeFile(`${file}.new`, JSON.stringify({ version: options.version, benchmark: taken }), { mode: 0o600 });
  await rename(`${file}.new`, file);
  return taken;
}

async function readCached(file: string, version: string): Promise<Benchmark | undefined> {
  try {
    const cached = CachedBenchmark.parse(JSON.parse(await readFile(file, 'utf8')));
    return cached.version === version ? cached.benchmark : undefined;
  } catch {
    // Nothing there, or nothing usable: it is taken anew and replaced.
    return undefined;
  }
}

/** Off the engine's thread: heartbeats must not wait for a benchmark. */
async function computeInWorker(): Promise<z.infer<typeof Scores>> {
  const worker = new Worker(new URL('./benchmark-worker.ts', import.meta.url));
  try {
    return Scores.parse(
      await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
        worker.once('exit', (code) =>
          reject(new HomewardError('internal', `The benchmark ended early (code ${code}).`)),
        );
      }),
    );
  } finally {
    await worker.terminate();
  }
}

async function diskWrite(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < leastFreeBytes) {
    throw new HomewardError('disk-full', `Less than 1 GiB is free where Homeward keeps its files (${folder}).`, {
      hint: 'Make room there; the benchmark writes 64 MiB.',
    });
  }
  const path = join(folder, `benchmark-${process.pid}.tmp`);
  // Not zeroes: some file systems would not write them.
  const block = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < block.length; at += 32) hash('sha256', String(at), 'buffer').copy(block, at);
  const handle = await open(path, 'wx', 0o600);
  try {
    const startMs = performance.now();
    for (let written = 0; written < writtenBytes; written += block.length) await handle.write(block);
    await handle.sync();
    return writtenBytes / ((performance.now() - startMs) / 1_000);
  } finally {
    await handle.close();
    await rm(path, { force: true });
  }
}
