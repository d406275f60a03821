/** Worker thread of in-worker.ts: does the task it is given, posts what came of it, ends. */
import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { HashChain } from '../../shared/wire.ts';
import type { Task } from './in-worker.ts';

const measureMs = 300;
const blockBytes = 64 * 1024;
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
  const block = Buffer.alloc(blockBytes, 7);
  return ratePerSec(() => hash('sha256', block));
}

/** Bytes copied per second. */
function memory(): number {
  const from = Buffer.alloc(copyBytes, 7);
  const to = Buffer.alloc(copyBytes);
  return copyBytes * ratePerSec(() => from.copy(to));
}

/** Each hash is over a block that begins with the one before, so none can be had sooner; a step costs what it does in `cpu`. */
function chain({ seed, hashes }: HashChain): string {
  const block = Buffer.alloc(blockBytes, 7);
  let end = Buffer.from(seed, 'hex');
  for (let done = 0; done < hashes; done += 1) {
    end.copy(block);
    end = hash('sha256', block, 'buffer');
  }
  return end.toString('hex');
}

const task: Task = workerData;
parentPort?.postMessage(task === 'cpu' ? cpu() : task === 'memory' ? memory() : chain(task));
