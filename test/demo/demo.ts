/**
 * The main job, for real: two isolated hosts on this machine, a real QEMU guest under libvirt, a real link between
 * them. Tells what happens as it happens; `--report FILE` writes what was measured.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Move } from '../../shared/model/move.ts';
import type { Decision } from '../../shared/rpc.ts';
import { formatBytes, formatDuration } from '../../shared/view/index.ts';
import {
  BedEngine,
  createBed,
  defineGuest,
  Observer,
  pairEngines,
  startGuest,
  startLibvirtd,
} from '../testbed/index.ts';
import { type MoveReport, measuredMove } from './move-report.ts';

const vmName = 'workhorse';
/** A good Wi-Fi or an ordinary cable: slow enough that a memory writer cannot be outrun by pre-copy. */
const linkMbit = 400;
const memoryWriterMiB = 96;
/** A load average takes its minute and a half to say "loaded"; twice that is patience enough. */
const decisionPatienceMs = 240_000;
/** How long the job goes on after the VM has arrived: long enough to see that it works there. */
const workAwayMs = 10_000;
const copiesEveryMs = 500;
/** Between two automatic moves: nobody wants to watch the default two minutes. */
const cooldownS = 20;
/** Both hosts are this one machine, so no move gains time; Muda's rule moves all the same, to relieve the laptop. */
const policy = 'muda';

const startedAt = performance.now();
function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6);
  process.stdout.write(`${seconds} s  ${text}\n`);
}

const { values } = parseArgs({ options: { report: { type: 'string' } } });

say('Setting up two hosts on this machine: laptop and workstation, joined by a cable.');
const bed = await createBed({ rateMbit: linkMbit });
const stopOnSignal = (): void => {
  say('Stopping.');
  void bed.close().then(() => process.exit(130));
};
process.once('SIGINT', stopOnSignal);
process.once('SIGTERM', stopOnSignal);
let observer: Observer | undefined;
let sampling: NodeJS.Timeout | undefined;
try {
  const report = await tell();
  if (values.report !== undefined) {
    await writeFile(values.report, `${JSON.stringify(report, null, 2)}\n`);
    say(`The figures are in ${values.report}.`);
  }
} finally {
  clearInterval(sampling);
  observer?.close();
  await bed.close();
}

async function tell() {
  const libvirtd = await startLibvirtd(bed.laptop);
  const guest = await defineGuest(bed.laptop, libvirtd, { name: vmName });
  say(`The laptop has a VM of its own, "${vmName}", under ${libvirtd.uri}.`);

  const workstation = await BedEngine.start(bed.workstation, { hostRole: true });
  say('The workstation runs: homeward host');
  const searchedFrom = performance.now();
  const laptop = await BedEngine.start(bed.laptop, { settings: { cooldownS, policy } });
  await laptop.until('the workstation to be found', 30_000, async () => {
    const hosts = await laptop.client.call('hosts.list', {});
    return hosts.some(({ found }) => found === 'mdns') ? true : undefined;
  });
  const hostsFoundMs = performance.now() - searchedFrom;
  say(`The laptop runs: homeward engine. It found the workstation by mDNS after ${formatDuration(hostsFoundMs)}.`);

  await pairEngines(laptop, workstation);
  say('Paired: both screens showed the same six digits, and both people said yes.');

  await laptop.until('the VM to be listed', 20_000, () => laptop.vm(vmName));
  const { changes } = await laptop.client.call('vm.adoptPreview', { vm: vmName });
  await laptop.client.call('vm.adopt', { vm: vmName });
  say(`The VM is ready to move: ${changes.length} lines of its definition changed, and can be changed back.`);

  await startGuest(libvirtd, guest);
  const watching = new Observer(bed, guest);
  observer = watching;
  await watching.nextBeat({ host: 'laptop', timeoutMs: 90_000 });
  sampling = setInterval(() => void watching.runningCopies().catch(() => undefined), copiesEveryMs);
  const { stdout: running } = await libvirtd.virsh('dumpxml', guest.uuid);
  const accel = /<domain type='kvm'/.test(running) ? 'kvm' : 'tcg';
  await watching.command('disk 5');
  say('It has booted, writes and verifies its disk, and sends a beat every 10 ms, timed from outside.');

  await laptop.client.call('vm.setLevel', { vm: vmName, level: 'automatic' });
  await watching.command('cpu 1');
  say('A CPU-heavy job begins in the VM, and Homeward may decide by itself.');
  const jobFrom = performance.now();
  const out = await decided(laptop, 'offload', jobFrom);
  say(`Homeward decides: ${out.decision.reason}`);
  const movedOut = await finished(laptop, watching, out.at);
  say(moveLine(movedOut));

  await sleep(workAwayMs);
  await watching.command('cpu off');
  say('The job is done.');
  const idleFrom = performance.now();
  const home = await decided(laptop, 'home', idleFrom);
  say(`Homeward decides: ${home.decision.reason}`);
  const movedHome = await finished(laptop, watching, home.at);
  say(moveLine(movedHome));

  await laptop.client.call('vm.setLevel', { vm: vmName, level: 'off' });
  await watching.command(`memory ${memoryWriterMiB} flatout`);
  say(`Now a job that rewrites ${memoryWriterMiB} MiB of memory without pause. You say: homeward offload ${vmName}`);
  const commandedOut = await commanded(laptop, watching, 'out');
  say(moveLine(commandedOut));
  say(`You say: homeward home ${vmName}`);
  const commandedHome = await commanded(laptop, watching, 'home');
  say(moveLine(commandedHome));

  await watching.command('memory off');
  await sleep(1_000);
  clearInterval(sampling);
  await watching.runningCopies();
  const counts = await watching.report();
  const guestReport = {
    disk_blocks_written: counts.disk_blocks_written,
    disk_blocks_verified: counts.disk_blocks_verified,
    disk_errors: counts.disk_errors,
    memory_errors: counts.memory_errors + counts.hold_errors,
  };
  say(
    `The guest wrote ${guestReport.disk_blocks_written} disk blocks and verified ${guestReport.disk_blocks_verified}: ` +
      `${guestReport.disk_errors} disk errors, ${guestReport.memory_errors} memory errors. ` +
      `Running copies seen at once: ${watching.maxRunningCopies}.`,
  );
  await laptop.stop();
  await workstation.stop();
  const moves = [movedOut, movedHome, commandedOut, commandedHome];
  const unwell =
    moves.some(({ move }) => move.phase !== 'done') ||
    guestReport.disk_errors + guestReport.memory_errors > 0 ||
    watching.maxRunningCopies !== 1 ||
    watching.repeatedBeats > 0;
  say(unwell ? 'Something above is not as it should be.' : 'The VM worked away and came home.');
  if (unwell) process.exitCode = 1;
  return {
    schema: 1,
    accel,
    hosts_found_ms: Math.round(hostsFoundMs),
    decision_out: decisionReport(out),
    decision_home: decisionReport(home),
    moves: moves.map(({ report }) => report),
    guest: guestReport,
    max_running_copies: watching.maxRunningCopies,
  };
}

interface Decided {
  readonly decision: Decision;
  readonly waitedS: number;
  /** performance.now() when it was heard. */
  readonly at: number;
}

async function decided(laptop: BedEngine, action: Decision['action'], since: number): Promise<Decided> {
  const heard = laptop.decisions.length;
  const decision = await laptop.until(`the decision "${action}"`, decisionPatienceMs, async () =>
    laptop.decisions.slice(heard).find((one) => one.action === action && one.outcome === 'acted'),
  );
  const at = performance.now();
  return { decision, waitedS: (at - since) / 1_000, at };
}

function decisionReport({ decision, waitedS }: Decided) {
  return { action: decision.action, reason: decision.reason, waited_s: Math.round(waitedS * 10) / 10 };
}

interface Told {
  readonly move: Move;
  readonly report: MoveReport;
}

/** Waits for the move the policy has just begun. */
async function finished(laptop: BedEngine, watching: Observer, from: number): Promise<Told> {
  const { id } = await laptop.until('the move to begin', 10_000, async () => (await laptop.status()).moves[0]);
  const move = await laptop.client.call('move.wait', { id }, { timeoutMs: 120_000 });
  return { move, report: await measuredMove(move, watching, from) };
}

async function commanded(laptop: BedEngine, watching: Observer, direction: 'out' | 'home'): Promise<Told> {
  const from = performance.now();
  const move = await laptop.move(direction, vmName);
  return { move, report: await measuredMove(move, watching, from) };
}

function moveLine({ move, report }: Told): string {
  if (move.phase !== 'done') return `The move ${move.direction} ended as ${move.phase}: ${move.failure ?? ''}`;
  const where = move.direction === 'out' ? `runs on ${move.hostName}` : 'is home';
  return (
    `The VM ${where}: ${formatDuration(report.total_ms)} by ${report.mode}, ${formatBytes(report.wire_bytes)} over the wire, ` +
    `longest silence ${formatDuration(report.guest_gap_ms)}.`
  );
}
