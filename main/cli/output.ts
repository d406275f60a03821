import { reportOf } from '../../shared/errors.ts';

/** Where a command's words and results go: results to stdout, everything else to stderr. */
export class Output {
  /** Results as one JSON value per line on stdout; no questions, no words. */
  readonly json: boolean;

  constructor(json: boolean) {
    this.json = json;
  }

  /** The command's result: `value` for programs, `words` for people. */
  result(value: unknown, words: () => string): void {
    process.stdout.write(this.json ? `${JSON.stringify(value)}\n` : ending(printable(words())));
  }

  /** For people, beside the result. */
  note(text: string): void {
    if (!this.json) process.stderr.write(ending(printable(text)));
  }

  /** For programs, beside the result: what happens meanwhile, one JSON value per line on stderr. */
  event(value: unknown): void {
    if (this.json) process.stderr.write(`${JSON.stringify(value)}\n`);
  }

  error(thrown: unknown): void {
    const report = reportOf(thrown);
    if (this.json) {
      process.stdout.write(`${JSON.stringify({ error: report })}\n`);
      return;
    }
    const hint = report.hint === undefined ? '' : `\n  ${report.hint}`;
    process.stderr.write(ending(printable(`homeward: ${report.message}${hint}`)));
  }

  /** Columns a line of stdout may take; infinite where it is not a terminal. */
  get columns(): number {
    return process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY;
  }
}

/** `homeward log | head`: a reader that has seen enough is no error. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

/** Messages may come from another machine: none of them gets to steer the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => (character === '\n' || character === '\t' ? character : '�'));
}

function ending(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
