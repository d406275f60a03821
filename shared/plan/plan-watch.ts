/** Keeps what is known of one move, from before it to its end, and asks the planner with it at each look. */
import type { Direction, Progress } from '../model/move.ts';
import { type BalloonStats, shrinkTargetBytes, usualShrinkBytesPerSec } from './balloon.ts';
import { type MovePlan, planMove } from './homecoming.ts';
import type { CopyingFacts, MoveFacts } from './ways.ts';

export interface PlanWatchOptions {
  readonly direction: Direction;
  readonly postcopyObstacle?: string | undefined;
  readonly guestBytesPerSec?: number | undefined;
  /** Whoever asked for the move set it, and nothing puts it off: a VM that is late is paused. On the clock of `nowMs`. */
  readonly deadlineAtMs?: number | undefined;
  readonly linkStableMs: () => number;
  readonly finishNowAsked: () => boolean;
  /** A clock that does not jump. */
  readonly nowMs: () => number;
}

/** What the signs that this computer is about to leave allow a move; it comes, changes and goes with them. */
export interface Hurry {
  /** From now. */
  readonly deadlineMs: number;
  /** False for a VM that is to come late rather than be paused where it is. */
  readonly pausesWhenLate: boolean;
}

interface Reading {
  readonly atMs: number;
  readonly progress: Progress;
}

/** Where the link has not been measured: a modest Wi-Fi. */
const assumedLinkBytesPerSec = 5 * 1024 * 1024;
/** A shorter look says little about a rate. */
const leastLookMs = 200;
/** QEMU skips empty pages as fast as it can read them: only where most of what it went over was sent does the rate say how fast the link is. */
const leastSentShare = 0.7;
/** Weight of the latest look among all. */
const latestWeight = 0.3;
const trendOverMs = 10_000;
/** Less is noise. */
const leastTrendMs = 5_000;
const leastFall = 0.3;
/** A shorter round does not show all that a guest writes to. */
const leastRoundMs = 1_000;

export class PlanWatch {
  readonly #options: PlanWatchOptions;
  #touchedBytes = 0;
  #linkBytesPerSec = assumedLinkBytesPerSec;
  #dirtyBytesPerSec: number | undefined;
  #workingSetBytes: number | undefined;
  #last: Reading | undefined;
  #round = { number: 0, sinceMs: 0 };
  #rates: { readonly atMs: number; readonly bytesPerSec: number }[] = [];
  #hurry: { readonly atMs: number; readonly pausesWhenLate: boolean } | undefined;

  constructor(options: PlanWatchOptions) {
    this.#options = options;
  }

  measuredLink(bytesPerSec: number): void {
    this.#linkBytesPerSec = bytesPerSec;
  }

  measuredDirty(bytesPerSec: number | undefined): void {
    this.#dirtyBytesPerSec = bytesPerSec;
  }

  /** From now on; undefined where the signs are gone. Whether it is what the move has to keep to: of two deadlines, the earlier. */
  hurry(hurry: Hurry | undefined): boolean {
    const { deadlineAtMs = Number.POSITIVE_INFINITY, nowMs } = this.#options;
    this.#hurry = hurry && { atMs: nowMs() + hurry.deadlineMs, pausesWhenLate: hurry.pausesWhenLate };
    return this.#hurry !== undefined && this.#hurry.atMs < deadlineAtMs;
  }

  /** What is left for the move; undefined where nobody waits. */
  leftMs(): number | undefined {
    return this.#leftUntil(this.#dueAtMs());
  }

  /** The plan before the copy. @param mayShrink whether memory may be taken from the guest */
  before(stats: BalloonStats, mayShrink: boolean): MovePlan {
    const { currentBytes, residentBytes = currentBytes } = stats;
    const touchedBytes = Math.min(currentBytes, residentBytes);
    const targetBytes = mayShrink ? shrinkTargetBytes(stats) : undefined;
    const freedBytes = targetBytes === undefined ? 0 : touchedBytes - Math.min(touchedBytes, targetBytes);
    const plan = this.#planned({
      ...this.#facts(touchedBytes),
      ...(targetBytes === undefined || freedBytes === 0
        ? {}
        : { balloon: { targetBytes, freedBytes, bytesPerSec: usualShrinkBytesPerSec } }),
    });
    this.#touchedBytes = touchedBytes - (plan.balloon === undefined ? 0 : freedBytes);
    return plan;
  }

  /** The plan from here on. */
  during(progress: Progress): MovePlan {
    const atMs = this.#options.nowMs();
    this.#learn({ atMs, progress });
    return this.#planned({ ...this.#facts(this.#touchedBytes, progress), copying: this.#copying(atMs, progress) });
  }

  #planned(facts: MoveFacts): MovePlan {
    const plan = planMove(facts);
    const pausesAtMs = this.#pausesAtMs();
    if (pausesAtMs === this.#dueAtMs()) return plan;
    // Late for the signs: home all the same, by the deadline that was asked for if there is one.
    if (plan.mode === 'safe-end') return planMove({ ...facts, deadlineMs: this.#leftUntil(pausesAtMs) });
    return { ...plan, steps: plan.steps.filter((step) => step.do !== 'pause') };
  }

  #dueAtMs(): number | undefined {
    return earlier(this.#options.deadlineAtMs, this.#hurry?.atMs);
  }

  #pausesAtMs(): number | undefined {
    return earlier(this.#options.deadlineAtMs, this.#hurry?.pausesWhenLate === true ? this.#hurry.atMs : undefined);
  }

  #leftUntil(atMs: number | undefined): number | undefined {
    return atMs === undefined ? undefined : atMs - this.#options.nowMs();
  }

  #facts(touchedBytes: number, progress?: Progress): MoveFacts {
    const { direction, postcopyObstacle, guestBytesPerSec, linkStableMs, finishNowAsked } = this.#options;
    const seenDirty = progress === undefined || progress.dirtyBytesPerSec === 0 ? undefined : progress.dirtyBytesPerSec;
    return {
      direction,
      touchedBytes,
      dirtyBytesPerSec: seenDirty ?? this.#dirtyBytesPerSec,
      workingSetBytes: this.#workingSetBytes,
      linkBytesPerSec: this.#linkBytesPerSec,
      linkTrendPerSec: this.#trend(),
      guestBytesPerSec,
      linkStableMs: linkStableMs(),
      deadlineMs: this.leftMs(),
      postcopyObstacle,
      finishNowAsked: finishNowAsked(),
    };
  }

  /** In the first round QEMU counts all memory there is, of which only what was touched has to be sent. */
  #copying(atMs: number, { remainingBytes, totalBytes, iteration }: Progress): CopyingFacts {
    const share = iteration > 1 || totalBytes === 0 ? 1 : Math.min(1, this.#touchedBytes / totalBytes);
    return { remainingBytes: remainingBytes * share, round: iteration, roundMs: atMs - this.#round.sinceMs };
  }

  #learn(reading: Reading): void {
    const { atMs, progress } = reading;
    if (progress.iteration !== this.#round.number) {
      const lastedMs = atMs - this.#round.sinceMs;
      if (progress.iteration > 1 && this.#round.number > 0 && lastedMs >= leastRoundMs) {
        this.#workingSetBytes = Math.max(this.#workingSetBytes ?? 0, progress.remainingBytes);
      }
      this.#round = { number: progress.iteration, sinceMs: atMs };
      this.#last = reading;
      return;
    }
    const before = this.#last;
    if (before === undefined || atMs - before.atMs < leastLookMs) return;
    this.#last = reading;
    const sent = progress.transferredBytes - before.progress.transferredBytes;
    const goneOver = before.progress.remainingBytes - progress.remainingBytes;
    if (sent <= 0 || sent < leastSentShare * goneOver) return;
    const bytesPerSec = (sent * 1_000) / (atMs - before.atMs);
    this.#linkBytesPerSec += latestWeight * (bytesPerSec - this.#linkBytesPerSec);
    this.#rates = [...this.#rates.filter((rate) => atMs - rate.atMs <= trendOverMs), { atMs, bytesPerSec }];
  }

  /** Slope of the rate's logarithm over the last seconds, by least squares; only a fall that is no noise. */
  #trend(): number {
    const rates = this.#rates;
    const spanS = ((rates.at(-1)?.atMs ?? 0) - (rates[0]?.atMs ?? 0)) / 1_000;
    if (spanS * 1_000 < leastTrendMs) return 0;
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    const times = rates.map(({ atMs }) => atMs / 1_000);
    const logs = rates.map(({ bytesPerSec }) => Math.log(bytesPerSec));
    const [middle, level] = [mean(times), mean(logs)];
    const spread = mean(times.map((time) => (time - middle) ** 2));
    const slope = mean(times.map((time, index) => (time - middle) * ((logs[index] ?? level) - level))) / spread;
    return -slope * spanS > leastFall ? slope : 0;
  }
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
