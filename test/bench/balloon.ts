/**
 * Coming home with and without ballooning, one after the other on one bed: a guest of 1 GiB of which at least 60 % are
 * free or page cache, over a link of 100 Mbit/s. As in real life none of that is untouched: the page cache was written
 * through, and what is free was in use before.
 *
 *   node test/bench/balloon.ts [--report FILE]
 *
 * "Without" is Homeward with its preference `balloon` off, all else equal: free page reporting, which adoption turns on,
 * is on in both, so that what the guest freed costs little in either. Exit status 1 where bytes or time with
 * ballooning are more than half of those without, less than 60 % were free or cache, or the guest found an error.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Move } from '../../shared/model/move.ts';
import { Scene } from '../testbed/index.ts';

const MiB = 1024 * 1024;
const linkMbit = 100;
const guestMiB = 1024;
const holdMiB = 240;
const freedMiB = 590;
const cacheMiB = 560;
const leastUnusedShare = 0.6;
const mostRatio = 0.5;
/** As long as a person is away at least: no more than this is waited for the balloon to settle. */
const awayMs = 90_000;
/** Two intervals of self-ballooning without a change. */
const settledMs = 12_000;

interface Homecoming extends Unused {
  readonly phase: Move['phase'];
  readonly failure: string | null;
  readonly mode: Move['mode'];
  readonly size_before_bytes: number;
  readonly total_ms: number;
  readonly wire_bytes: number;
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
}

interface Unused {
  /** Free, or page cache. */
  readonly unused_share: number;
  /** Of that, what the guest's kernel would give without swapping: it keeps reserves. */
  readonly available_share: number;
}

async function unusedNow({ observer }: Scene): Promise<Unused> {
  const { free_kib, cache_kib, available_kib } = await observer.memory();
  const share = (kib: number): number => Number((kib / (guestMiB * 1024)).toFixed(3));
  return { unused_share: share(free_kib + cache_kib), available_share: share(available_kib) };
}

/** Its size once it has kept it for a while. */
async function settledSize({ laptop, guest }: Scene): Promise<number> {
  const deadline = performance.now() + awayMs;
  let bytes = 0;
  let sinceMs = performance.now();
  while (performance.now() < deadline && (bytes === 0 || performance.now() - sinceMs < settledMs)) {
    await sleep(1_000);
    const now = (await laptop.vm(guest.name)).sample?.memoryBytes ?? bytes;
    if (now !== bytes) sinceMs = performance.now();
    bytes = now;
  }
  return bytes;
}

async function roundTrip(scene: Scene, balloon: boolean): Promise<Homecoming> {
  const { laptop, observer, guest, bed } = scene;
  await laptop.client.call('preferences.change', { balloon });
  const unused = await unusedNow(scene);
  await bed.setRate(null);
  const out = await laptop.move('out', guest.name);
  if (out.phase !== 'done') throw new Error(`The move out ended as ${out.phase}: ${out.failure ?? ''}`);
  await observer.nextBeat({ host: 'workstation', timeoutMs: 10_000 });
  const size = await settledSize(scene);
  await bed.setRate(linkMbit);
  const home = await laptop.move('home', guest.name, 180_000);
  return {
    phase: home.phase,
    failure: home.failure ?? null,
    mode: home.mode,
    ...unused,
    size_before_bytes: size,
    total_ms: Math.round(home.totalMs ?? 0),
    wire_bytes: home.wireBytes ?? 0,
    phases: home.phases.map(({ name, ms }) => ({ name, ms: Math.round(ms) })),
  };
}

/** Waits until the guest's counter has reached `pages`. */
async function counted({ observer }: Scene, counter: 'grab_pages_taken' | 'cache_pages_written', pages: number) {
  const deadline = performance.now() + 60_000;
  while ((await observer.report())[counter] < pages) {
    if (performance.now() > deadline) throw new Error(`The guest's ${counter} did not reach ${pages}.`);
    await sleep(200);
  }
}

const { values } = parseArgs({ options: { report: { type: 'string' } } });
const scene = await Scene.set({ guest: { memoryMiB: guestMiB, dataMiB: cacheMiB + 96 } });
try {
  const { observer } = scene;
  await observer.command(`hold ${holdMiB}`);
  await observer.command(`grab ${freedMiB} flatout`);
  await counted(scene, 'grab_pages_taken', freedMiB * 256);
  await observer.command('grab off');
  await observer.command(`cache ${cacheMiB}`);
  await counted(scene, 'cache_pages_written', cacheMiB * 256);

  const without = await roundTrip(scene, false);
  const withBalloon = await roundTrip(scene, true);
  const counts = await observer.report();
  const report = {
    schema: 1,
    link_mbit: linkMbit,
    guest_bytes: guestMiB * MiB,
    free_page_reporting: true,
    without,
    with: withBalloon,
    wire_bytes_ratio: Number((withBalloon.wire_bytes / without.wire_bytes).toFixed(3)),
    total_ms_ratio: Number((withBalloon.total_ms / without.total_ms).toFixed(3)),
    limits: { wire_bytes_ratio: mostRatio, total_ms_ratio: mostRatio, unused_share: leastUnusedShare },
    guest_errors: counts.hold_errors + counts.grab_errors + counts.cache_errors + counts.disk_errors,
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (values.report !== undefined) await writeFile(values.report, `${JSON.stringify(report, null, 2)}\n`);
  const good =
    without.phase === 'done' &&
    withBalloon.phase === 'done' &&
    report.wire_bytes_ratio <= mostRatio &&
    report.total_ms_ratio <= mostRatio &&
    Math.min(without.unused_share, withBalloon.unused_share) >= leastUnusedShare &&
    report.guest_errors === 0;
  process.exitCode = good ? 0 : 1;
} finally {
  await scene.close();
}
