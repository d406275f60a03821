import { HomewardError } from '../../shared/errors.ts';
import type { Benchmark, HostFacts, MachineScores } from '../../shared/model/host.ts';
import { isLinkDue } from '../../shared/policy/measuring.ts';
import { believed, isLookDue, lookedAt, type Shown } from '../../shared/policy/speed.ts';
import { type HostLink, measureLink } from '../link/index.ts';
import { carriedBytes } from './link-meter.ts';
import { lookAtSpeed } from './speed-look.ts';

/** A host that was at work may rest in a minute; what it once told changes by the week. */
const scoresEveryMs = { unknown: 60_000, known: 3_600_000 } as const;
const benchmarkTimeoutMs = 60_000;
const linkProbeBytes = 4 * 1024 * 1024;

interface Carried {
  readonly bytes: number;
  readonly atMs: number;
}

/** How fast one host is: what it says of itself, what it has shown of that, and what its link carries. */
export class HostMeasures {
  readonly #link: HostLink;
  #scores: MachineScores | undefined;
  #shown: Shown | undefined;
  #linkRates: Pick<Benchmark, 'linkHomeBytesPerSec' | 'linkOutBytesPerSec'> | undefined;
  // All on a clock that never jumps.
  #scoresAskedAtMs: number | undefined;
  #linkMeasuredAtMs: number | undefined;
  #lookedAtMs: number | undefined;
  #carried: Carried | undefined;

  constructor(link: HostLink) {
    this.#link = link;
  }

  /** It came up anew, maybe over another network: measured again as soon as it carries little. */
  linkCameUp(): void {
    if (this.#linkMeasuredAtMs !== undefined) this.#linkMeasuredAtMs = Number.NEGATIVE_INFINITY;
  }

  /** All that is known; undefined where nothing is. */
  get benchmark(): Benchmark | undefined {
    if (this.#scores === undefined && this.#shown === undefined && this.#linkRates === undefined) return undefined;
    return this.#all();
  }

  /** Whatever is due. @throws HomewardError `timeout`, `host-unreachable` */
  async refresh(facts: HostFacts): Promise<void> {
    if (this.#isLinkDue()) await this.#measureLink();
    if (this.#mayAskForScores()) await this.#askForScores().catch(unlessAtWork);
    await this.#lookAtSpeed(facts);
  }

  /**
   * Now, whatever is due.
   * @throws HomewardError `refused` where the host is at work and has no scores of its own; the link has been measured then
   */
  async measure(): Promise<Benchmark> {
    await this.#measureLink();
    await this.#askForScores();
    return this.#all();
  }

  #all(): Benchmark {
    return { ...believed(this.#scores ?? {}, this.#shown), ...this.#linkRates };
  }

  /** By what it has carried since the last look. */
  #isLinkDue(): boolean {
    const nowMs = performance.now();
    const before = this.#carried;
    const { bytes } = this.#countCarried();
    const bytesPerSec = before && ((bytes - before.bytes) * 1_000) / Math.max(1, nowMs - before.atMs);
    return isLinkDue(this.#linkMeasuredAtMs === undefined ? undefined : nowMs - this.#linkMeasuredAtMs, bytesPerSec);
  }

  #countCarried(): Carried {
    const { sentBytes, receivedBytes } = carriedBytes(this.#link);
    this.#carried = { bytes: sentBytes + receivedBytes, atMs: performance.now() };
    return this.#carried;
  }

  async #measureLink(): Promise<void> {
    const linkOutBytesPerSec = await measureLink(this.#link, 'out', linkProbeBytes);
    const linkHomeBytesPerSec = await measureLink(this.#link, 'home', linkProbeBytes);
    this.#linkRates = { linkOutBytesPerSec, linkHomeBytesPerSec };
    this.#linkMeasuredAtMs = performance.now();
    // The measuring itself is nobody's work.
    this.#countCarried();
  }

  #mayAskForScores(): boolean {
    const everyMs = scoresEveryMs[this.#scores === undefined ? 'unknown' : 'known'];
    return this.#scoresAskedAtMs === undefined || performance.now() - this.#scoresAskedAtMs > everyMs;
  }

  async #askForScores(): Promise<void> {
    this.#scoresAskedAtMs = performance.now();
    this.#scores = await this.#link.call('host.benchmark', {}, { timeoutMs: benchmarkTimeoutMs });
  }

  async #lookAtSpeed(facts: HostFacts): Promise<void> {
    const claimed = this.#scores?.cpuSingleOpsPerSec;
    const sinceMs = this.#lookedAtMs === undefined ? undefined : performance.now() - this.#lookedAtMs;
    if (!isLookDue(facts, claimed, this.#shown, sinceMs)) return;
    this.#lookedAtMs = performance.now();
    this.#shown = lookedAt(this.#shown, await lookAtSpeed(this.#link, claimed).catch(unlessUnable));
  }
}

/** One that is at work does not measure itself, and is asked again. */
function unlessAtWork(thrown: unknown): void {
  if (!(thrown instanceof HomewardError && thrown.code === 'refused')) throw thrown;
}

/** It shows somebody else, or is of a version that cannot. */
function unlessUnable(thrown: unknown): undefined {
  if (!(thrown instanceof HomewardError && (thrown.code === 'refused' || thrown.code === 'bad-input'))) throw thrown;
}
