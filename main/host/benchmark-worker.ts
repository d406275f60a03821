/** Worker thread of benchmark.ts: measures, posts the scores, ends. */
import { hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

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

const block = Buffer.alloc(64 * 1024, 7);
const from = Buffer.alloc(copyBytes, 7);
const to = Buffer.alloc(copyBytes);
parentPort?.postMessage({
  /** SHA-256 over 64 KiB, per second. */
  cpuSingleOpsPerSec: ratePerSec(() => hash('sha256', block)),
  memcpyBytesPerSec: copyBytes * ratePerSec(() => from.copy(to)),
});
