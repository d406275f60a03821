/**
 * The rule of Muda's thesis, chapter 6, kept as a named policy and baseline.
 *
 * Out: the load average says the VM is loaded and is not falling (§6.4 condition 1); for 20 s a vCPU or the disk
 * was in use (condition 2); the use is expected to outlast the move (condition 3: what has run for t is
 * expected to run for about t more, Harchol-Balter and Downey 1997); a host has more to spare than home (§6.5).
 * Home: the VM is away and idle (§5.4.1), or its use turned to the disk, which is at home.
 */
import type { Place, Sample } from '../model/vm.ts';
import { assumedLinkBytesPerSec, estimateMove } from './estimate.ts';
import { stay, whyNotNow, whyUnmeasured } from './holdoff.ts';
import { type LoadAverage, loadAverage } from './load.ts';
import { freeCores, type RatedHost, rateHosts } from './score.ts';
import type { Judgement, PolicyInput } from './types.ts';
import { count, decimal, hundredths, megabytesPerSec, percent, seconds } from './words.ts';
import { classify, isIdle, isUsed, mean, type Spell, shares, spell, spellFromMs } from './workload.ts';

/** "Load well below": an away VM is idle only when its load is under this share of its vCPUs. */
const idleLoadPerVcpu = 0.5;
export function muda(input: PolicyInput): Judgement {
  const { vm, now } = input;
  const forbidden = whyNotNow(input);
  if (forbidden !== undefined) return stay(forbidden);
  const samples = inOrder(vm.samples, now);
  const unmeasured = whyUnmeasured(vm.name, samples.at(-1)?.at, now);
  if (unmeasured !== undefined) return stay(unmeasured);
  const load = loadAverage(samples, vm.vcpus, now);
  return vm.place.kind === 'away' ? judgeAway(input, vm.place, samples, load) : judgeAtHome(input, samples, load);
}

/** A clock that was set back leaves samples out of order, or of a time to come. */
function inOrder(samples: readonly Sample[], now: number): readonly Sample[] {
  const isInOrder = samples.every(
    ({ at }, index) => at <= now && (index === 0 || (samples[index - 1]?.at ?? at) <= at),
  );
  return isInOrder ? samples : samples.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
}

function judgeAway(
  { vm, now, hosts }: PolicyInput,
  place: Extract<Place, { kind: 'away' }>,
  samples: readonly Sample[],
  load: LoadAverage,
): Judgement {
  const candidate = hosts.find((host) => host.fingerprint === place.host);
  const linkBytesPerSec =
    candidate?.benchmark?.linkHomeBytesPerSec ?? candidate?.linkBytesPerSec ?? assumedLinkBytesPerSec;
  const costS = estimateMove({ ...vm, linkBytesPerSec }).totalS;
  const home = (reason: string): Judgement => ({
    action: 'home',
    reason,
    host: place.host,
    hostName: place.hostName,
    expectedCostS: costS,
  });

  const quiet = spell(samples, now, isIdle);
  const busiest = percent(mean(quiet.samples, (sample) => sample.busiestVcpu));
  if (quiet.lengthMs >= spellFromMs && load.value < idleLoadPerVcpu * vm.vcpus) {
    return home(
      `${vm.name} has been idle at ${place.hostName} for ${lasting(quiet)} (load ${hundredths(load.value)}, busiest vCPU ${busiest}), so it can come home.`,
    );
  }
  const use = spell(samples, now, isUsed);
  const workload = classify(use.samples);
  const { cpuShare, diskShare } = shares(use.samples);
  if (workload === 'io-bound' && use.lengthMs >= Math.max(spellFromMs, costS * 1_000)) {
    return home(
      `${vm.name} has mostly waited for its disk for ${lasting(use)} (${percent(diskShare)} of the time against ${percent(cpuShare)} CPU), and its disk is at home.`,
    );
  }
  if (quiet.lengthMs > 0 && quiet.samples.at(-1) === samples.at(-1)) {
    return stay(
      `${vm.name} has been quiet at ${place.hostName} for ${lasting(quiet)} (load ${hundredths(load.value)}); it comes home after ${seconds(spellFromMs / 1_000)} with a load below ${decimal(idleLoadPerVcpu * vm.vcpus)}.`,
    );
  }
  return stay(
    `${vm.name} is working at ${place.hostName} (load ${hundredths(load.value)} on ${count(vm.vcpus, 'vCPU')}).`,
  );
}

function judgeAtHome(input: PolicyInput, samples: readonly Sample[], load: LoadAverage): Judgement {
  const { vm, now, home, hosts, settings } = input;
  const figure = `load ${hundredths(load.value)} on ${count(vm.vcpus, 'vCPU')}`;
  if (load.value < load.loadedFrom) {
    return stay(`${vm.name} has enough CPU here (${figure}; loaded from ${hundredths(load.loadedFrom)} on).`);
  }
  if (load.falling) return stay(`${vm.name} is busy but its load is falling (${figure}).`);
  const use = spell(samples, now, isUsed);
  if (use.lengthMs < spellFromMs) {
    return stay(
      `${vm.name} is loaded (${figure}) but has used its CPU or disk for only ${lasting(use)} in a row, less than ${seconds(spellFromMs / 1_000)}.`,
    );
  }
  const workload = classify(use.samples);
  const { cpuShare, diskShare } = shares(use.samples);
  const recent = spell(use.samples, now, (sample) => now - sample.at <= spellFromMs).samples;
  const ownBusyCores = mean(recent, (sample) => sample.busyVcpus);
  const shortage =
    workload === 'io-bound'
      ? `${vm.name} mostly waits for its disk (${percent(diskShare)} of the time against ${percent(cpuShare)} CPU)`
      : `${vm.name} is short of CPU (${figure})`;
  if (hosts.length === 0) return stay(`${shortage}, but no workstation is known.`);
  const rated = rateHosts(hosts, vm, home, { workload, cpuShare, diskShare, ownBusyCores }, settings.hysteresis);
  const suitable = rated.filter((candidate) => candidate.refusal === undefined);
  const best = suitable[0];
  if (best === undefined) return stay(`${shortage}, but ${refusals(rated)}.`);
  const chosen = suitable.find((candidate) => use.lengthMs >= candidate.costS * 1_000);
  if (chosen === undefined) {
    return stay(
      `${shortage}, but has been busy for only ${lasting(use)} and a move to ${best.host.name} may take ${seconds(best.costS)} ${overLink(best)}.`,
    );
  }
  return {
    action: 'offload',
    host: chosen.host.fingerprint,
    hostName: chosen.host.name,
    expectedCostS: chosen.costS,
    reason: `${vm.name} has been short of CPU for ${lasting(use)} (${figure}, busiest vCPU ${percent(cpuShare)}), ${comparison(chosen, input)}, and the move should take at most ${seconds(chosen.costS)} ${overLink(chosen)}.`,
  };
}

function comparison({ host }: RatedHost, { home }: PolicyInput): string {
  if (host.facts === undefined) return `${host.name} has more to spare`;
  const there = `${decimal(freeCores(host.facts))} of ${host.facts.cores} cores free${ghz(host.facts.cpuMhz)}`;
  const here = `${decimal(freeCores(home.facts))} of ${home.facts.cores}${ghz(home.facts.cpuMhz)}`;
  return `${host.name} has ${there} against ${here} here`;
}

function ghz(mhz: number): string {
  return mhz > 0 ? ` at ${decimal(mhz / 1_000)} GHz` : '';
}

function overLink({ linkBytesPerSec, linkMeasured }: RatedHost): string {
  return linkMeasured
    ? `at ${megabytesPerSec(linkBytesPerSec)}`
    : `(its link is not measured; ${megabytesPerSec(linkBytesPerSec)} assumed)`;
}

function refusals(rated: readonly RatedHost[]): string {
  const shown = rated.slice(0, 3).map(({ host, refusal }) => `${host.name} ${refusal}`);
  const more = rated.length - shown.length;
  return more > 0 ? `${shown.join('; ')}; and ${count(more, 'more host')} will not do either` : shown.join('; ');
}

function lasting({ lengthMs }: Spell): string {
  return seconds(lengthMs / 1_000);
}
