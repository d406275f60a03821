import { Presets, SingleBar } from 'cli-progress';
import type { Move } from '../../shared/model/move.ts';
import { moveLine, phaseWords, progressShare, progressView, routeWords } from '../../shared/view/index.ts';
import { type Output, printable } from './output.ts';
import { cutTo } from './table.ts';

/** Shows a move while it goes on. */
export interface ProgressDisplay {
  update(move: Move): void;
  /** A sentence meanwhile. */
  note(text: string): void;
  end(): void;
}

const plainEveryMs = 5_000;
const barColumns = 20;

export function progressDisplay(output: Output): ProgressDisplay {
  if (output.json) return jsonProgress(output);
  return process.stderr.isTTY ? new BarProgress() : new PlainProgress(output);
}

/** The bar's line, as much of it as `columns` allow: what and how far first, then when, then the figures. */
export function barText(move: Move, columns: number): string {
  const moving = move.phase === 'copying' || move.phase === 'postcopy';
  const progress = moving ? move.progress : undefined;
  const { percent, left, rate, timeLeft } = progressView(progress);
  const share = progressShare(progress);
  const filled = Math.floor((share ?? 0) * barColumns);
  const bar = share === undefined ? undefined : '█'.repeat(filled) + '░'.repeat(barColumns - filled);
  const first = `${routeWords(move)}: ${phaseWords(move)}`;
  let shown = [percent, bar, timeLeft, rate, left].map(() => false);
  // By importance; each is shown where it belongs: bar, percent, rest, rate, time.
  const byImportance = [percent, timeLeft, bar, rate, left];
  const byPlace = [bar, percent, left, rate, timeLeft];
  const line = (): string =>
    [first, ...byPlace.filter((part) => part !== undefined && shown[byImportance.indexOf(part)])].join('  ');
  for (const [index, part] of byImportance.entries()) {
    if (part === undefined) continue;
    const before = shown;
    shown = shown.with(index, true);
    if ([...line()].length > columns) shown = before;
  }
  return cutTo(line(), columns);
}

class BarProgress implements ProgressDisplay {
  readonly #bar = new SingleBar(
    {
      format: (_options, _params, { move }: { move: Move }) =>
        printable(barText(move, (process.stderr.columns || 80) - 1)),
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      fps: 5,
    },
    Presets.shades_classic,
  );
  #shown = false;

  update(move: Move): void {
    if (this.#shown) {
      this.#bar.update(0, { move });
    } else {
      this.#bar.start(1, 0, { move });
      this.#shown = true;
    }
  }

  note(text: string): void {
    this.end();
    process.stderr.write(`${printable(text)}\n`);
  }

  end(): void {
    if (this.#shown) this.#bar.stop();
    this.#shown = false;
  }
}

/** For files and pipes: a line at each new phase, and every five seconds. */
class PlainProgress implements ProgressDisplay {
  readonly #output: Output;
  #phase: string | undefined;
  #lastMs = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  update(move: Move): void {
    const nowMs = performance.now();
    if (move.phase === this.#phase && nowMs - this.#lastMs < plainEveryMs) return;
    this.#phase = move.phase;
    this.#lastMs = nowMs;
    this.#output.note(moveLine(move));
  }

  note(text: string): void {
    this.#output.note(text);
  }

  end(): void {
    // Every line is complete already.
  }
}

function jsonProgress(output: Output): ProgressDisplay {
  return {
    update: (move) => output.event({ event: 'move', move }),
    note: (text) => output.event({ event: 'note', text }),
    end: () => undefined,
  };
}
