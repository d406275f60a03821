/**
 * The hard way home: a guest that rewrites 128 MiB as fast as it can, over a link of 200 Mbit/s. In one run, on one bed:
 * plain pre-copy (`virsh migrate --live`), given 60 s, then Homeward.
 *
 *   node test/bench/rescue.ts [--report FILE]
 *
 * Exit status 1 where Homeward took more than 1.5 × (memory in use ÷ link rate), the guest was silent for more than
 * 700 ms, an error was found in its disk or memory, or plain pre-copy converged after all.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Scene } from '../testbed/index.ts';
import { plainPrecopyHome } from './plain-precopy.ts';

const linkMbit = 200;
const linkBytesPerSec = (linkMbit * 1e6) / 8;
const writerMiB = 128;
const precopyPatienceS = 60;
const mostTimesIdeal = 1.5;
const mostGapMs = 700;
const aftermathMs = 3_000;

const { values } = parseArgs({ options: { report: { type: 'string' } } });
const scene = await Scene.set();
try {
  const { laptop, observer, guest, bed } = scene;
  const out = await laptop.move('out', guest.name);
  if (out.phase !== 'done') throw new Error(`The move out ended as ${out.phase}: ${out.failure ?? ''}`);
  await observer.nextBeat({ host: 'workstation', timeoutMs: 10_000 });
  await observer.command('disk 20');
  await observer.command(`memory ${writerMiB} flatout`);
  await bed.setRate(linkMbit);
  await sleep(5_000);

  const plain = await plainPrecopyHome(scene, precopyPatienceS);
  await sleep(3_000);

  const from = performance.now();
  const home = await laptop.move('home', guest.name, 180_000);
  await sleep(aftermathMs);
  const gapMs = observer.longestGapMs(from);
  await observer.command('memory off');
  const counts = await observer.report();
  const memoryBytes = home.memoryBytes ?? 0;
  const idealMs = (memoryBytes / linkBytesPerSec) * 1_000;
  const report = {
    schema: 1,
    link_mbit: linkMbit,
    writer_mib: writerMiB,
    plain_precopy: plain,
    homeward: {
      phase: home.phase,
      failure: home.failure ?? null,
      mode: home.mode,
      total_ms: Math.round(home.totalMs ?? 0),
      memory_bytes: memoryBytes,
      ideal_ms: Math.round(idealMs),
      times_ideal: Number(((home.totalMs ?? 0) / idealMs).toFixed(2)),
      wire_bytes: home.wireBytes ?? 0,
      guest_gap_ms: Math.round(gapMs),
      phases: home.phases.map(({ name, ms }) => ({ name, ms: Math.round(ms) })),
    },
    guest: {
      disk_errors: counts.disk_errors,
      memory_errors: counts.memory_errors + counts.hold_errors,
      memory_pages_verified: counts.memory_pages_verified,
      disk_blocks_verified: counts.disk_blocks_verified,
    },
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (values.report !== undefined) await writeFile(values.report, `${JSON.stringify(report, null, 2)}\n`);
  const good =
    home.phase === 'done' &&
    !plain.converged &&
    report.homeward.times_ideal <= mostTimesIdeal &&
    report.homeward.guest_gap_ms <= mostGapMs &&
    report.guest.disk_errors + report.guest.memory_errors === 0;
  process.exitCode = good ? 0 : 1;
} finally {
  await scene.close();
}
