/**
 * The experiments of Muda's thesis (chapter 7) on real work: a Debian VM on a slow home and a fast workstation encodes a video,
 * copies one large file, copies many, and builds a program, while it stays, under the rule `muda`, and under `homeward`.
 *
 *   node test/bench/workloads.ts [--report FILE] [--runs N] [--only WORKLOAD[/POLICY]]... [--no-sampling] [--record FOLDER]
 *
 * Nothing is known of a workload before its first run; what a policy learns by that it knows in the next, as it would at home.
 * `free` is the same work at home at full speed: what a move would give that came at once and cost nothing. Writes
 * {"cpu_factor":n,"workloads":[{"name":"…","policy":"…","runs_s":[…],"median_s":n}],"sampling":{…}}; `sampling` is the engine's
 * CPU share, in percent of one core, while it watches three such VMs and their guest agents. `--record` writes what the VM did in the
 * first `free` run of each, for the simulator (test/simulator/trace.ts).
 *
 * Exit status 1 where `homeward` makes encoding or building faster by less than 80 % of what `free` would, makes copying
 * slower by more than 3 %, or where sampling takes more than 0.5 % of a core. Needs root, for the CPU quota.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MachineBenchmark } from '../../main/host/index.ts';
import packageJson from '../../package.json' with { type: 'json' };
import type { Sample } from '../../shared/model/vm.ts';
import type { PolicyName } from '../../shared/policy/index.ts';
import { traceOf } from '../simulator/trace.ts';
import {
  BedEngine,
  createBed,
  defineGuest,
  Scene,
  SlowHome,
  startGuest,
  startLibvirtd,
  stateFolder,
} from '../testbed/index.ts';
import { costOf } from './cost.ts';

/** Of one core, for a VM at home. */
const homeShare = 0.4;
const leastOfFree = 0.8;
const mostSlower = 1.03;
const mostSamplingPercent = 0.5;
const samplingVms = 3;
const samplingS = 60;
/** After each run: whoever brings the VM home sees first that its work is done, and the next begins out of a rest. */
const restMs = 15_000;
/** Until what the VM did as it booted is over, also to the policy. */
const bootedMs = 40_000;
const lookMs = 200;
const patienceMs = 1_800_000;

/** Guest's program and its argument, by name; `isCompute` tells which goal it has. */
const workloads = [
  { name: 'encode', words: 'encode 12', program: 'ffmpeg', isCompute: true },
  { name: 'copy-file', words: 'copy-file 3', program: 'cp', isCompute: false },
  { name: 'copy-files', words: 'copy-files 3', program: 'cp', isCompute: false },
  { name: 'build', words: 'build 10', program: 'cc1', isCompute: true },
] as const;
type Workload = (typeof workloads)[number];

const ways = ['free', 'stay', 'muda', 'homeward'] as const;
type Way = (typeof ways)[number];
const policyOf: Readonly<Record<Way, PolicyName>> = {
  free: 'homeward',
  stay: 'homeward',
  muda: 'muda',
  homeward: 'homeward',
};

interface Line {
  readonly name: string;
  readonly policy: Way;
  readonly runs_s: readonly number[];
  readonly median_s: number;
}

const { values } = parseArgs({
  options: {
    report: { type: 'string' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true },
    sampling: { type: 'boolean', default: true },
    record: { type: 'string' },
  },
  allowNegative: true,
});
const runs = Math.max(1, Number(values.runs));
const isWanted = ({ name }: Workload, way: Way) =>
  values.only?.some((only) => only === name || only === `${name}/${way}`) ?? true;

const lines: Line[] = [];
for (const way of ways) {
  const wanted = workloads.filter((workload) => isWanted(workload, way));
  if (wanted.length > 0) lines.push(...(await runAll(way, wanted)));
}
const sampling = values.sampling ? await sampleThree() : undefined;
const report = { cpu_factor: 1 / homeShare, workloads: lines, ...(sampling === undefined ? {} : { sampling }) };
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
if (values.report !== undefined) await writeFile(values.report, `${JSON.stringify(report, null, 2)}\n`);
const misses = [...workloads.flatMap(judge), ...judgeSampling()];
for (const miss of misses) process.stderr.write(`MISSED: ${miss}\n`);
process.exitCode = misses.length === 0 ? 0 : 1;

async function runAll(way: Way, wanted: readonly Workload[]): Promise<Line[]> {
  const scene = await Scene.set({
    guest: { system: 'debian', memoryMiB: 512 },
    laptop: { settings: { policy: policyOf[way], cooldownS: 0 } },
    // Both are this machine, which is soon at work: each would find the other slow.
    furnish: async ({ laptop, workstation }) => {
      for (const host of [laptop, workstation]) {
        await new MachineBenchmark({ folder: stateFolder(host), version: packageJson.version }).read();
      }
    },
  });
  const slow = way === 'free' ? undefined : await SlowHome.of(scene.bed, scene.guest.uuid, homeShare);
  try {
    const found: Line[] = [];
    // Watched from here on: else its first run would bring along, as something known, that it booted at full speed.
    await scene.laptop.client.call('vm.setLevel', { vm: scene.guest.uuid, level: 'suggest' });
    await sleep(bootedMs);
    for (const workload of wanted) {
      await scene.laptop.client.call('policy.forget', { vm: scene.guest.uuid });
      const runsS: number[] = [];
      for (let run = 0; run < runs; run += 1) {
        const samples: Sample[] | undefined =
          values.record !== undefined && way === 'free' && run === 0 ? [] : undefined;
        const tookS = await runOnce(scene, workload, way === 'muda' || way === 'homeward', samples);
        if (values.record !== undefined && samples !== undefined) await record(values.record, workload, samples);
        process.stderr.write(`${workload.name} ${way}: ${tookS.toFixed(1)} s\n`);
        runsS.push(Number(tookS.toFixed(2)));
      }
      found.push({ name: workload.name, policy: way, runs_s: runsS, median_s: median(runsS) });
    }
    return found;
  } finally {
    await slow?.close();
    await scene.close();
  }
}

/** Adds what the VM does to `samples`, where there is one. */
async function runOnce(
  scene: Scene,
  { words, name }: Workload,
  mayMove: boolean,
  samples: Sample[] | undefined,
): Promise<number> {
  const { laptop, guest, observer } = scene;
  const vm = guest.uuid;
  await laptop.client.call('vm.setLevel', { vm, level: mayMove ? 'automatic' : 'off' });
  const startedMs = performance.now();
  await observer.command(`run ${words}`);
  for (;;) {
    const sample = samples && (await laptop.vm(vm)).sample;
    if (sample !== undefined && sample.at !== samples?.at(-1)?.at) samples?.push(sample);
    const { running, exit } = await observer.command('ran');
    if (running === false && exit === 0) break;
    if (running === false) throw new Error(`${name} ended with status ${String(exit)} in the guest.`);
    if (performance.now() - startedMs > patienceMs) throw new Error(`${name} does not end.`);
    await sleep(lookMs);
  }
  const tookS = (performance.now() - startedMs) / 1_000;
  await sleep(restMs);
  await laptop.client.call('vm.setLevel', { vm, level: 'off' });
  await laptop.movesEnded(patienceMs);
  if ((await laptop.vm(vm)).place.kind === 'home') return tookS;
  const { phase, failure } = await laptop.move('home', vm);
  if (phase !== 'done') throw new Error(`The VM did not come home after ${name}: ${failure ?? phase}`);
  return tookS;
}

async function record(folder: string, { name, program }: Workload, samples: readonly Sample[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  // The first sample is mostly of the rest before.
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(traceOf(program, samples.slice(1)))}\n`);
}

async function sampleThree() {
  const bed = await createBed();
  try {
    const libvirtd = await startLibvirtd(bed.laptop);
    const engine = await BedEngine.start(bed.laptop);
    for (let index = 1; index <= samplingVms; index += 1) {
      const guest = await defineGuest(bed.laptop, libvirtd, {
        name: `watched-${index}`,
        system: 'debian',
        nic: 'none',
      });
      await startGuest(libvirtd, guest);
    }
    await engine.until('the agents of all VMs', 180_000, async () => {
      const vms = await engine.client.call('vms.list', {});
      return vms.filter(({ sample }) => sample?.guestIowait !== undefined).length === samplingVms ? true : undefined;
    });
    // A shell that listens would make the engine tell it things.
    engine.client.close();
    await sleep(restMs);
    const cost = await costOf(engine.process.pid, samplingS);
    await engine.stop();
    return { ...cost, vms: samplingVms };
  } finally {
    await bed.close();
  }
}

function judge({ name, isCompute }: Workload): string[] {
  const of = (way: Way) => lines.find((line) => line.name === name && line.policy === way)?.median_s;
  const [free, stay, muda, homeward] = ways.map(of);
  if (stay === undefined || homeward === undefined) return [];
  const ratio = (homeward / stay).toFixed(3);
  process.stderr.write(`${name}: ${ratio} of staying; muda ${muda === undefined ? '–' : (muda / stay).toFixed(3)}\n`);
  if (!isCompute) return homeward > mostSlower * stay ? [`${name} takes ${ratio} of what it takes when staying`] : [];
  if (free === undefined) return [];
  const share = (stay - homeward) / (stay - free);
  process.stderr.write(`${name}: ${(100 * share).toFixed(0)} % of what an immediate free move would save\n`);
  return share >= leastOfFree
    ? []
    : [`${name} saves ${share.toFixed(2)} of what an immediate free move would, not ${leastOfFree}`];
}

function judgeSampling(): string[] {
  const percent = sampling?.cpu_percent ?? 0;
  return percent > mostSamplingPercent ? [`sampling takes ${percent} % of a core, not ${mostSamplingPercent} %`] : [];
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
