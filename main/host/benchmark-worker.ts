/** Worker thread of benchmark.ts: measures what it is given to measure, posts the rate, ends. */
import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { Task } from './benchmark.ts';

const measureMs = 300;
/** Larger than the last-level cache of most machines. */
const copyBytes = 64 * 1024 * 1024;

/** Runs `batch` again and again; returns how often per second. */
function ratePerSec(batch: () => void): number {
  batch();
  const startMs = performance.now();
  let batches = 0;
  let elapsedMs = 0;
  while (elapsedMs < measureMs) {
    batch();
    batches += 1;
    elapsedMs = performance.now() - startMs;
  }
  return batches / (elapsedMs / 1_000);
}

/** SHA-256 over 64 KiB, per second. */
function cpu(): number {
  const block = Buffer.alloc(64 * 1024, 7);
  return ratePerSec(() => hash('sha256', block));
}

/** Bytes copied per second. */
function memory(): number {
  const from = Buffer.alloc(copyBytes, 7);
  const to = Buffer.alloc(copyBytes);
  return copyBytes * ratePerSec(() => from.copy(to));
}

const task: Task = workerData;
parentPort?.postMessage(task === 'cpu' ? cpu() : memory());
