import { Worker } from 'node:worker_threads';
import type { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import type { HashChain } from '../../shared/wire.ts';

/** What a worker measures, or reckons. */
export type Task = 'cpu' | 'memory' | HashChain;

/** Off the engine's thread, since heartbeats must not wait for it. */
export async function inWorker<Result>(task: Task, result: z.ZodType<Result>): Promise<Result> {
  const worker = new Worker(new URL('./benchmark-worker.ts', import.meta.url), { workerData: task });
  try {
    return result.parse(
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
