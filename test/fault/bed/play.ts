/** Plays one case: brings the VM to a moment, makes something go wrong, mends it, and sees what became of the VM. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestReport } from '../../testbed/index.ts';
import { acceptable, acceptableMeanwhile, type GoodEnd } from './ends.ts';
import { type Fault, faults, NothingThere } from './faults.ts';
import { leftoversOf } from './leftovers.ts';
import { type Case, nameOf } from './matrix.ts';
import { isSplit, type Met } from './moments.ts';
import { bringTo } from './reach.ts';
import { comeToRest } from './rest.ts';
import type { Rig } from './rig.ts';
import type { Sight } from './sight.ts';

export interface Verdict {
  readonly case: string;
  /** What the fault met in truth. */
  readonly met: Met;
  readonly end: GoodEnd | 'stuck';
  /** A copy, or word of why there is none, is missing. */
  readonly lost: boolean;
  readonly doubled: boolean;
  readonly corruptBlocks: number;
  /** What is not as declared, in words; none where the case passed. */
  readonly complaints: readonly string[];
  /** What the user was told since the case began. */
  readonly told: readonly string[];
  readonly sight: Sight;
  /** What each libvirt said at the end. */
  readonly states: readonly string[];
  readonly tookMs: number;
}

const restMs = 60_000;
const meanwhileMs = 45_000;
const diskPatienceMs = 15_000;
const sampleEveryMs = 250;

/**
 * Undefined where there was nothing to strike at that moment; a move that a fault should have met at some time is judged
 * all the same. @throws where the bed could not be brought to the case's beginning
 */
export async function play(rig: Rig, one: Case): Promise<Verdict | undefined> {
  const fault: Fault = faults[one.fault];
  const began = new Date().toISOString();
  const beganMs = performance.now();
  await fault.before?.(rig);
  const met = await bringTo(rig, one.moment, fault.atTerminal === true);
  const before = await countsOf(rig);
  const troubles = await problemsOf(rig);
  const sampling = sample(rig);
  const complaints: string[] = [];
  try {
    let struck = met();
    try {
      await fault.inject(rig);
      // It may have gone on while the blow fell.
      struck = met();
    } catch (thrown) {
      if (!(thrown instanceof NothingThere)) throw thrown;
      if (typeof one.moment !== 'string')
        return await judge(rig, one, struck, { began, beganMs, before, troubles, complaints });
      await comeToRest(rig, restMs);
      return undefined;
    }
    if (fault.lastsMs === 'for-good') {
      const { end } = await comeToRest(rig, meanwhileMs, true);
      const allowed = acceptableMeanwhile(one.fault, struck);
      if (end === undefined) complaints.push('While it lasted, nobody said what was going on.');
      else if (!allowed.includes(end)) complaints.push(`While it lasted: ${end}, not ${allowed.join(' or ')}.`);
    } else {
      await sleep(fault.lastsMs);
    }
    await fault.heal(rig);
    return await judge(rig, one, struck, { began, beganMs, before, troubles, complaints });
  } finally {
    await sampling.stop();
  }
}

interface Story {
  readonly began: string;
  readonly beganMs: number;
  readonly before: GuestReport | undefined;
  /** What the doctor found before. */
  readonly troubles: readonly string[];
  readonly complaints: string[];
}

async function judge(rig: Rig, one: Case, met: Met, story: Story): Promise<Verdict> {
  const { observer } = rig.scene;
  const complaints = [...story.complaints];
  const { end: rest, last } = await comeToRest(rig, restMs);
  // Before anybody asks the doctor, who starts what has ended.
  const end = rest?.endsWith('-running') === true && !(await diskGoesOn(rig)) ? undefined : rest;
  if (rest === undefined) complaints.push('It did not come to rest.');
  else if (end === undefined) complaints.push('The guest runs, and its disk stands still.');
  const allowed = acceptable(one.fault, met);
  if (end !== undefined && !allowed.includes(end))
    complaints.push(`It ended as ${end}, not as ${allowed.join(' or ')}.`);
  const states = await observer.states();
  const copies = copiesSeen(rig, one);
  const told = await toldSince(rig, story);
  const isOver = end === 'ended' || end === 'halted';
  const silence = isOver ? [...missingWords(end, met, told), ...(await whyNotStarting(rig, last))] : [];
  const corruptBlocks = isOver || end === undefined ? 0 : await newErrors(rig, story.before);
  if (corruptBlocks > 0) complaints.push(`${corruptBlocks} blocks or pages were not what had been written.`);
  const left = end === undefined || silence.length > 0 ? [] : await leftoversOf(rig, isOver ? 'home-running' : end);
  return {
    case: nameOf(one),
    met,
    end: end ?? 'stuck',
    lost: isOver && (silence.length > 0 || !allowed.includes(end)),
    doubled: copies.length > 0,
    corruptBlocks,
    complaints: [...complaints, ...copies, ...silence, ...left],
    told,
    sight: last,
    states,
    tookMs: Math.round(performance.now() - story.beganMs),
  };
}

/** I1, from libvirt and from the guest's own numbers. */
function copiesSeen({ scene: { observer } }: Rig, { fault }: Case): readonly string[] {
  const reboots = (faults[fault] as Fault).rebootsGuest === true;
  const repeated = reboots ? 0 : observer.repeatedBeats;
  if (observer.maxRunningCopies <= 1 && repeated === 0) return [];
  return [`${observer.maxRunningCopies} copies ran at once, and ${repeated} beats came twice.`];
}

function missingWords(end: 'ended' | 'halted', met: Met, told: readonly string[]): readonly string[] {
  if (told.length === 0) return ['Nobody was told why.'];
  const named = end === 'halted' || !isSplit(met) || told.some((sentence) => /this computer|the host/.test(sentence));
  return named ? [] : ['Nobody was told which machine took it along.'];
}

/** What stands still at the host cannot be started here. */
async function whyNotStarting(rig: Rig, { engine }: Sight): Promise<readonly string[]> {
  if (engine?.place !== 'home') return ['It cannot be started again: its disk is away.'];
  return rig.startAgain().then(
    () => [],
    (thrown: unknown) => [`It does not start again: ${String(thrown)}`],
  );
}

/** Samples the copies without rest, for the most that were seen at once. */
function sample(rig: Rig): { stop(): Promise<void> } {
  let over = false;
  const loop = (async () => {
    while (!over) {
      await rig.scene.observer.runningCopies().catch(() => undefined);
      await sleep(sampleEveryMs);
    }
  })();
  return {
    stop: () => {
      over = true;
      return loop;
    },
  };
}

const countsOf = (rig: Rig): Promise<GuestReport | undefined> => rig.scene.observer.report().catch(() => undefined);

/** Whether the guest's disk workload, which never rests, writes; one that has booted since has it started first. */
async function diskGoesOn(rig: Rig): Promise<boolean> {
  const { observer } = rig.scene;
  const written = async () => (await observer.report()).disk_blocks_written;
  if ((await written()) === 0) await rig.load();
  const from = await written();
  for (const since = performance.now(); performance.now() - since < diskPatienceMs; await sleep(300))
    if ((await written()) > from) return true;
  return false;
}

/** Blocks and pages that the guest found other than it had written them since `before`, or since it booted. */
async function newErrors(rig: Rig, before: GuestReport | undefined): Promise<number> {
  const errorsOf = ({ disk_errors, memory_errors, hold_errors }: GuestReport): number =>
    disk_errors + memory_errors + hold_errors;
  const now = await rig.scene.observer.report();
  const sameBoot = before !== undefined && now.beats >= before.beats;
  return errorsOf(now) - (sameBoot ? errorsOf(before) : 0);
}

/** The sentences of the log, and what the doctor did not find before. */
async function toldSince(rig: Rig, { began, troubles }: Story): Promise<readonly string[]> {
  const entries = await rig.laptop.client.call('log.list', { limit: 30 });
  const logged = entries.flatMap((entry) => {
    if (entry.at < began) return [];
    if (entry.kind === 'event') return [entry.text];
    return entry.kind === 'move' && entry.move.failure !== undefined ? [entry.move.failure] : [];
  });
  return [...logged, ...(await problemsOf(rig)).filter((title) => !troubles.includes(title))];
}

async function problemsOf({ laptop }: Rig): Promise<readonly string[]> {
  const findings = await laptop.client.call('doctor.run', {}).catch(() => []);
  return findings.flatMap(({ severity, title }) => (severity === 'problem' ? [title] : []));
}
