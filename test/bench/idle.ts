/**
 * What an idle engine costs: the real one, on a bed's laptop, watching two adopted and running VMs at level automatic.
 *
 *   node test/bench/idle.ts [--seconds N] [--report FILE]
 *
 * Writes {"cpu_percent":n,"rss_mb":n,"vms":2,"seconds":n}: percent of one core over the whole time (user and
 * system time of /proc/PID/stat), and the largest resident memory seen, in units of 1,000,000 bytes.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BedEngine, createBed, defineGuest, startGuest, startLibvirtd } from '../testbed/index.ts';
import { costOf } from './cost.ts';

const names = ['idle-1', 'idle-2'];
/** Guests boot, the engine finds everything and its start is no longer in the figures. */
const settleMs = 30_000;
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, report: { type: 'string' } } });
const seconds = Math.max(1, Number(values.seconds));

const bed = await createBed();
let report: Awaited<ReturnType<typeof costOf>> & { readonly vms: number };
try {
  const libvirtd = await startLibvirtd(bed.laptop);
  const guests = await Promise.all(
    names.map((name) => defineGuest(bed.laptop, libvirtd, { name, memoryMiB: 128, nic: 'none' })),
  );
  const engine = await BedEngine.start(bed.laptop);
  for (const guest of guests) {
    await engine.until(`${guest.name} to be listed`, 20_000, () => engine.vm(guest.name));
    await engine.client.call('vm.adopt', { vm: guest.name });
    await engine.client.call('vm.setLevel', { vm: guest.name, level: 'automatic' });
    await startGuest(libvirtd, guest);
  }
  await engine.until('samples of both VMs', 30_000, async () => {
    const vms = await engine.client.call('vms.list', {});
    return vms.filter(({ sample }) => sample !== undefined).length === names.length ? true : undefined;
  });
  // A shell that listens would make the engine tell it things.
  engine.client.close();
  await sleep(settleMs);
  report = { ...(await costOf(engine.process.pid, seconds)), vms: names.length };
  await engine.stop();
} finally {
  await bed.close();
}

const text = JSON.stringify(report);
console.log(text);
if (values.report !== undefined) await writeFile(values.report, `${text}\n`);
