import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { HomewardError } from '../../shared/errors.ts';
import { forgetRecord, isAlive, readRecord, spawnDetached, stop } from '../process/index.ts';
import { askForStream, type HeldStream } from './held-stream.ts';

/** Sockets and files of the holder, in a folder that the visit cannot see. */
export const holderFiles = {
  /** The holder listens here, for the engine. */
  holder: 'streams.sock',
  /** The engine listens here, for the holder. */
  engine: 'wires.sock',
  record: 'streams.json',
  log: 'streams.log',
} as const;

const startDeadlineMs = 20_000;
const lookAgainMs = 20;
const stopGraceMs = 2_000;

/**
 * The engine's handle of the process that holds a visit's ends of migrations and NICs (stream-holder-main.ts). It outlives
 * the engine; the next one finds it. One that nobody has needed for a while ends itself, and is started again when wanted.
 */
export class StreamHolder {
  readonly #folder: string;
  #starting: Promise<void> | undefined;
  #ended = false;

  /** @param folder the visit's */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Sees to it that there is one. @throws HomewardError `missing-tool`, `disk-full`, `permission`, `refused` after `end` */
  async start(): Promise<void> {
    // Whoever still asks would have it started again, in a folder that is being removed.
    if (this.#ended) throw new HomewardError('refused', 'This visit has ended.');
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Resolves with the stream; for `listen` and `frames` once QEMU may come. @throws HomewardError `timeout`, or as the holder gave it */
  async ask(wish: HeldStream): Promise<Duplex> {
    const deadline = performance.now() + startDeadlineMs;
    for (;;) {
      await this.start();
      try {
        return await askForStream(this.#path(holderFiles.holder), wish);
      } catch (thrown) {
        // It is about to listen, or was about to end.
        if (!(thrown instanceof HomewardError && thrown.code === 'host-unreachable')) throw thrown;
        if (performance.now() > deadline) {
          throw new HomewardError('timeout', 'The process that holds the streams of this visit did not start.', {
            hint: `Its last words are in ${this.#path(holderFiles.log)}.`,
            cause: thrown,
          });
        }
      }
      await sleep(lookAgainMs);
    }
  }

  /** Cuts all that it holds, for good. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#starting?.catch(() => undefined);
    const file = this.#path(holderFiles.record);
    const record = await readRecord(file).catch(() => undefined);
    if (record !== undefined) await stop(record, { graceMs: stopGraceMs });
    await forgetRecord(file);
  }

  async #start(): Promise<void> {
    const recordFile = this.#path(holderFiles.record);
    const record = await readRecord(recordFile);
    if (record !== undefined && (await isAlive(record))) return;
    await spawnDetached({
      command: process.execPath,
      args: [fileURLToPath(new URL('./stream-holder-main.ts', import.meta.url)), this.#folder],
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
      logFile: this.#path(holderFiles.log),
      recordFile,
    });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}
