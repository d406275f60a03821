import type { Case } from './matrix.ts';
import { nameOf } from './matrix.ts';
import { play, type Verdict } from './play.ts';
import { Rig } from './rig.ts';

const mostLogLines = 12;

/** The engine's last words without their stacks. */
function shortened(log: string): string {
  const lines = log.trimEnd().split('\n').slice(-mostLogLines);
  return lines.map((line) => `     ${line.replace(/"stack":"[^"]*",?/g, '')}`).join('\n');
}

export interface Report {
  readonly schema: 1;
  readonly seed: number;
  readonly cases: number;
  readonly passed: number;
  readonly vms_lost: number;
  readonly double_running: number;
  readonly corrupt_blocks: number;
  readonly stuck: number;
  readonly ends: Readonly<Record<string, number>>;
  /** Cases in which there was nothing to strike; they count nowhere else. */
  readonly not_played: readonly string[];
  /** How often a bed had to be built, the first included. */
  readonly beds: number;
  readonly failed: readonly (Verdict | { readonly case: string; readonly thrown: string })[];
}

/** Cases one after another on one bed, which is built anew only where a case left it unfit for the next. */
export class FaultRun {
  readonly #say: (line: string) => void;
  readonly #verdicts: Verdict[] = [];
  readonly #notPlayed: string[] = [];
  readonly #broken: { readonly case: string; readonly thrown: string }[] = [];
  #rig: Rig | undefined;
  #beds = 0;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** A case whose bed was unfit at its beginning is tried once more, on a new one. */
  async play(one: Case): Promise<Verdict | undefined> {
    const name = nameOf(one);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const verdict = await play(await this.#ready(), one);
        if (verdict === undefined) {
          this.#notPlayed.push(name);
          this.#say(`-    ${name}: nothing to strike`);
          return undefined;
        }
        this.#verdicts.push(verdict);
        await this.#told(verdict);
        return verdict;
      } catch (thrown) {
        const said = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
        await this.close();
        this.#say(`BED  ${name}: ${said}`);
        if (attempt === 1) continue;
        this.#broken.push({ case: name, thrown: said });
        return undefined;
      }
    }
  }

  report(seed: number): Report {
    const bad = this.#verdicts.filter(({ complaints }) => complaints.length > 0);
    const count = (test: (verdict: Verdict) => boolean): number => this.#verdicts.filter(test).length;
    const ends: Record<string, number> = {};
    for (const { end } of this.#verdicts) ends[end] = (ends[end] ?? 0) + 1;
    return {
      schema: 1,
      seed,
      cases: this.#verdicts.length + this.#broken.length,
      passed: this.#verdicts.length - bad.length,
      vms_lost: count(({ lost }) => lost),
      double_running: count(({ doubled }) => doubled),
      corrupt_blocks: this.#verdicts.reduce((sum, { corruptBlocks }) => sum + corruptBlocks, 0),
      stuck: count(({ end }) => end === 'stuck'),
      ends,
      not_played: this.#notPlayed,
      beds: this.#beds,
      failed: [...bad, ...this.#broken],
    };
  }

  async close(): Promise<void> {
    const rig = this.#rig;
    this.#rig = undefined;
    await rig?.close();
  }

  async #ready(): Promise<Rig> {
    if (this.#rig === undefined) {
      this.#rig = await Rig.build();
      this.#beds += 1;
    }
    return this.#rig;
  }

  async #told({ case: name, met, end, complaints, told, sight, states, tookMs }: Verdict): Promise<void> {
    const late = name.startsWith(met) ? '' : ` (met ${met})`;
    const seconds = (tookMs / 1_000).toFixed(1);
    if (complaints.length === 0) {
      this.#say(`ok   ${name}${late}: ${end}, ${seconds} s`);
      return;
    }
    const log = this.#rig === undefined ? '' : shortened(this.#rig.laptop.log);
    this.#say(`FAIL ${name}${late}: ${complaints.join(' ')} ${seconds} s`);
    this.#say(`     told: ${JSON.stringify(told)}; seen: ${JSON.stringify({ ...sight, states })}\n${log}`);
    // What a failed case leaves is nobody's fair start.
    await this.close();
  }
}
