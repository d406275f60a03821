import { createInterface, type Interface } from 'node:readline';

/** Questions on stderr, answers from stdin: a terminal, or a pipe with one answer per line. */
export class Asker {
  readonly #lines: string[] = [];
  #ended = false;
  #interface: Interface | undefined;
  #waiting: (() => void) | undefined;

  /** Only a clear yes is a yes; the end of the input, or `close`, is a no. */
  async confirm(question: string): Promise<boolean> {
    this.#open();
    // What was typed before the question was there cannot be its answer.
    if (process.stdin.isTTY) this.#lines.length = 0;
    process.stderr.write(`${question} [y/N] `);
    while (this.#lines.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    const answer = this.#lines.shift();
    // Where no Enter was echoed, what follows would continue the question's line.
    if (answer === undefined || !process.stdin.isTTY) process.stderr.write('\n');
    return /^\s*y(es)?\s*$/i.test(answer ?? '');
  }

  close(): void {
    this.#interface?.close();
    this.#ended = true;
    this.#wake();
  }

  #open(): void {
    if (this.#interface !== undefined) return;
    // Without readline's own terminal handling Ctrl-C stays a signal.
    this.#interface = createInterface({ input: process.stdin, terminal: false });
    this.#interface.on('line', (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    this.#interface.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}
