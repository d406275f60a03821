/**
 * The simulated world: one VM, its jobs, home, hosts and the link between them. Nothing in here decides.
 *
 * Time runs in ticks of five seconds, for which loads and link rates hold; within a tick a job's stages follow each other
 * exactly. Lengths of stages are in seconds on an otherwise idle home.
 */

export const tickS = 5;

/** A stretch of a job of one character: how a second of it is spent at home. */
export interface Stage {
  readonly lengthS: number;
  readonly cpu: number;
  readonly disk: number;
  /** Neither: a person thinking, a server far away. */
  readonly wait: number;
  readonly threads: number;
  /** While it is at the disk. */
  readonly requestsPerSec: number;
  readonly bytesPerSec: number;
}

export interface Job {
  readonly program: string;
  readonly arrivesS: number;
  readonly stages: readonly Stage[];
}

export interface SimHost {
  readonly name: string;
  readonly cores: number;
  /** A core's true speed compared with home's. */
  readonly coreRatio: number;
  /** What a benchmark says of it, which is a little off. */
  readonly benchmarkedRatio: number;
  /** Busy cores of others, per tick. */
  readonly others: Float64Array;
}

export interface Scenario {
  readonly family: string;
  readonly seed: number;
  readonly ticks: number;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly usedMemoryBytes: number;
  readonly homeCores: number;
  readonly homeOthers: Float64Array;
  readonly hosts: readonly SimHost[];
  /** Bytes per second, per tick; 0 while it is down. */
  readonly link: Float64Array;
  readonly roundTripMs: number;
  /** How much of a disk request's way overlaps with others', 0..1. */
  readonly diskOverlap: number;
  /** 1 while the laptop is where the hosts are; it leaves only with the VM at home. */
  readonly near: Uint8Array;
  /** Of its CPU speed a VM loses while it is copied; seconds it stands still at the end. */
  readonly slowdown: number;
  readonly downtimeS: number;
  readonly handoverS: number;
  /** Of the memory in use that crosses, out and home. */
  readonly sentOut: number;
  readonly sentHome: number;
  readonly jobs: readonly Job[];
  /** When the user said to leave usually, seconds from the start; none where not said. */
  readonly saidToLeaveS: readonly number[];
  /** Whether the guest has an agent that names programs and loads. */
  readonly hasAgent: boolean;
}

/** What happened so far, newest first; shared by all that had the same past. */
export type Event = (
  | { readonly job: number; readonly endS: number }
  | { readonly move: 'out' | 'home'; readonly fromS: number; readonly endS: number }
) & {
  readonly before: Event | undefined;
};

/** How far the VM has got through its jobs; changed in place. */
export class Progress {
  past: Event | undefined;
  job = 0;
  stage = 0;
  /** Seconds of the present stage that are done. */
  doneS = 0;
  /** Seconds in which some job was under way. */
  busyS = 0;
  moves = 0;

  copy(): Progress {
    return Object.assign(new Progress(), this);
  }

  /** Of two at the same moment. */
  isAheadOf(other: Progress): boolean {
    if (this.job !== other.job) return this.job > other.job;
    if (this.stage !== other.stage) return this.stage > other.stage;
    return this.doneS > other.doneS;
  }
}

/** What a watcher outside sees of a stretch of time. */
export interface Seen {
  cpuS: number;
  waitingS: number;
  busiestS: number;
  diskS: number;
  /** Tasks that run, wait for a CPU or wait for the disk, as the guest counts them. */
  tasksS: number;
  requests: number;
  bytes: number;
}

export const home = -1;

/** How a move bears on the VM: nothing, being copied, standing still. */
export type Burden = 0 | 1 | 2;

/** A fair share of a busy machine, all that is free of another. */
function coresFor(wanted: number, cores: number, others: number): number {
  return Math.min(wanted, Math.max(cores - others, (cores * wanted) / (wanted + others)));
}

export class World {
  readonly scenario: Scenario;

  constructor(scenario: Scenario) {
    this.scenario = scenario;
  }

  isUp(tick: number): boolean {
    return (this.scenario.link[tick] ?? 0) > 0 && this.scenario.near[tick] === 1;
  }

  mustBeHome(tick: number): boolean {
    return this.scenario.near[tick] !== 1;
  }

  /** The tick at which a move begun at `from` is over; the same move begun at the same time always takes the same. */
  moveEnd(from: number, direction: 'out' | 'home'): number {
    const { usedMemoryBytes, sentOut, sentHome, link, handoverS, ticks, seed } = this.scenario;
    const noise = 0.85 + 0.3 * hash(seed, from);
    let bytes = usedMemoryBytes * (direction === 'out' ? sentOut : sentHome) * noise;
    let tick = from;
    let leftS = tickS - handoverS * noise;
    while (tick < ticks) {
      if (leftS > 0) bytes -= (link[tick] ?? 0) * Math.min(leftS, tickS);
      tick += 1;
      if (bytes <= 0) return tick;
      leftS = Math.min(leftS, 0) + tickS;
    }
    return ticks;
  }

  /** Lets `lengthS` seconds from `startS` on pass, all in one tick, with the VM at `place`; adds to `seen`. */
  advance(progress: Progress, startS: number, lengthS: number, place: number, burden: Burden, seen?: Seen): void {
    const { jobs } = this.scenario;
    const tick = Math.min(this.scenario.ticks - 1, Math.floor(startS / tickS + 1e-9));
    let now = startS;
    const end = startS + lengthS;
    while (end - now > 1e-9) {
      const job = jobs[progress.job];
      if (job === undefined) return;
      if (progress.stage === 0 && progress.doneS === 0 && job.arrivesS > now) {
        if (job.arrivesS >= end) return;
        now = job.arrivesS;
      }
      const stage = job.stages[progress.stage];
      if (stage === undefined) {
        endJob(progress, now);
        continue;
      }
      const spent = this.#advanceStage(progress, stage, tick, end - now, place, burden, seen);
      progress.busyS += spent;
      now += spent;
    }
    // A job that ends with the tick has ended in it.
    const job = jobs[progress.job];
    if (job !== undefined && progress.stage >= job.stages.length) endJob(progress, end);
  }

  /** One whole tick at `place`; in the last one of a move the VM first stands still. */
  tick(progress: Progress, tick: number, place: number, moving: 'no' | 'copying' | 'last'): void {
    const startS = tick * tickS;
    const downtimeS = moving === 'last' ? this.scenario.downtimeS : 0;
    if (downtimeS > 0) this.advance(progress, startS, downtimeS, place, 2);
    this.advance(progress, startS + downtimeS, tickS - downtimeS, place, moving === 'no' ? 0 : 1);
  }

  #advanceStage(
    progress: Progress,
    stage: Stage,
    tick: number,
    availableS: number,
    place: number,
    burden: Burden,
    seen: Seen | undefined,
  ): number {
    const { vcpus, homeCores, homeOthers, hosts, link, roundTripMs, diskOverlap, slowdown } = this.scenario;
    const threads = Math.min(stage.threads, vcpus);
    // A stage's length holds for as many cores as home has.
    const nominal = Math.min(threads, homeCores);
    const host = hosts[place];
    const cores =
      host === undefined
        ? coresFor(threads, homeCores, homeOthers[tick] ?? 0)
        : coresFor(threads, host.cores, host.others[tick] ?? 0);
    const brake = burden === 1 ? 1 - slowdown : 1;
    const cpuSpeed = ((host?.coreRatio ?? 1) * cores * brake) / nominal;
    const linkRate = link[tick] ?? 0;
    // Away without a link, whatever needs disk or network stands still.
    const stalled = burden === 2 || (host !== undefined && linkRate === 0 && (stage.disk > 0 || stage.wait > 0));
    if (stalled) return availableS;
    let diskStretch = 1;
    if (host !== undefined && stage.disk > 0 && stage.requestsPerSec > 0) {
      const wayS = roundTripMs / 1_000 + stage.bytesPerSec / stage.requestsPerSec / linkRate;
      diskStretch = 1 + stage.requestsPerSec * wayS * (1 - diskOverlap);
    }
    const perSecondS = stage.cpu / cpuSpeed + stage.disk * diskStretch + stage.wait;
    const leftS = (stage.lengthS - progress.doneS) * perSecondS;
    const spentS = Math.min(leftS, availableS);
    const doneS = spentS / perSecondS;
    if (leftS <= availableS) {
      progress.stage += 1;
      progress.doneS = 0;
    } else {
      progress.doneS += doneS;
    }
    if (seen !== undefined) {
      const cpuWallS = (doneS * stage.cpu) / cpuSpeed;
      seen.cpuS += cpuWallS * cores * brake;
      seen.waitingS += cpuWallS * (threads - cores * brake);
      seen.busiestS += (cpuWallS * cores * brake) / threads;
      seen.tasksS += cpuWallS * stage.threads + doneS * stage.disk * diskStretch;
      seen.diskS += doneS * stage.disk * diskStretch;
      seen.requests += doneS * stage.disk * stage.requestsPerSec;
      seen.bytes += doneS * stage.disk * stage.bytesPerSec;
    }
    return spentS;
  }
}

function endJob(progress: Progress, endS: number): void {
  progress.past = { job: progress.job, endS, before: progress.past };
  progress.job += 1;
  progress.stage = 0;
  progress.doneS = 0;
}

function hash(seed: number, tick: number): number {
  let mixed = Math.imul(seed ^ (tick + 0x7f4a7c15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 4_294_967_296;
}
