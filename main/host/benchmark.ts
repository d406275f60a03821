/** Rough scores of this machine (Muda §6.2): CPU, memory, disk. Under two seconds, and 64 MiB written. */
import { hash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { type HostFacts, MachineScores } from '../../shared/model/host.ts';
import { areScoresDue, isIdle } from '../../shared/policy/measuring.ts';
import { inWorker } from './in-worker.ts';
import { loadOver } from './machine.ts';

const CachedScores = z.object({ version: z.string(), benchmark: MachineScores });

/** Longer than the gaps in what a person does. */
const loadLookMs = 3_000;
const writtenBytes = 64 * 1024 * 1024;
const leastFreeBytes = 1024 ** 3;

export interface MachineBenchmarkOptions {
  /** Holds the cached scores and, for a moment, what is written. */
  readonly folder: string;
  /** Cached scores of another version do not count. */
  readonly version: string;
  /** How busy this machine is now; else it is looked at for a moment. */
  readonly load?: () => Promise<Pick<HostFacts, 'busyCores' | 'cores'>>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** This machine's own scores: taken while it has nothing to do, kept for this version, and taken anew when they are old. */
export class MachineBenchmark {
  readonly #options: MachineBenchmarkOptions;
  #reading: Promise<MachineScores | undefined> | undefined;

  constructor(options: MachineBenchmarkOptions) {
    this.#options = options;
  }

  /**
   * The newest there are; undefined where there are none and somebody works here.
   * @throws HomewardError `disk-full` where they are due and less than 1 GiB is free
   */
  read(): Promise<MachineScores | undefined> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<MachineScores | undefined> {
    const { folder, version, load = () => loadOver(loadLookMs), now = Date.now } = this.#options;
    const file = join(folder, 'benchmark.json');
    const cached = await readCached(file, version);
    const takenAtMs = cached === undefined ? undefined : Date.parse(cached.takenAt);
    if (!areScoresDue(takenAtMs, now()) || !isIdle(await load())) return cached;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const taken: MachineScores = {
      diskWriteBytesPerSec: await diskWrite(folder),
      cpuSingleOpsPerSec: await inWorkers('cpu', 1),
      cpuMultiOpsPerSec: await inWorkers('cpu', availableParallelism()),
      memcpyBytesPerSec: await inWorkers('memory', 1),
      takenAt: new Date(now()).toISOString(),
    };
    await writeFile(`${file}.new`, JSON.stringify({ version, benchmark: taken }), { mode: 0o600 });
    await rename(`${file}.new`, file);
    return taken;
  }
}

async function readCached(file: string, version: string): Promise<MachineScores | undefined> {
  try {
    const cached = CachedScores.parse(JSON.parse(await readFile(file, 'utf8')));
    return cached.version === version ? cached.benchmark : undefined;
  } catch {
    // Nothing there, or nothing usable: it is taken anew and replaced.
    return undefined;
  }
}

/** So many at once, and what they reach together. */
async function inWorkers(task: 'cpu' | 'memory', count: number): Promise<number> {
  const rates = await Promise.all(Array.from({ length: count }, () => inWorker(task, z.number())));
  return rates.reduce((sum, rate) => sum + rate, 0);
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
