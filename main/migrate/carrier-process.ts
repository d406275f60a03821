import { rm } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { HomewardError } from '../../shared/errors.ts';
import { connectUnixSocket } from '../link/index.ts';
import { type ChildRecord, forgetRecord, isAlive, readRecord, spawnDetached, stop } from '../process/index.ts';

/** What a carrier process is told on its command line, as JSON. */
export interface CarrierConfig {
  /** Whether QEMU comes to the migration socket (the source does) or listens there. */
  readonly qemu: 'connects' | 'listens';
  readonly migrationSocket: string;
  /** Each connection here is what the stream crosses next. */
  readonly sessionSocket: string;
}

const startDeadlineMs = 10_000;
const lookAgainMs = 20;
const stopGraceMs = 2_000;

/** The process that holds home's end of one migration stream; it outlives the engine, and the next one finds it. */
export class CarrierProcess {
  /** File name of the migration socket, by which both machines know the stream. */
  readonly name: string;
  readonly #record: ChildRecord;
  readonly #files: Files;

  /** Starts it. Resolves when a QEMU that `connects` may do so. @throws HomewardError `timeout`, `missing-tool`, `disk-full` */
  static async start(
    runtimeFolder: string,
    name: string,
    config: Pick<CarrierConfig, 'qemu' | 'migrationSocket'>,
  ): Promise<CarrierProcess> {
    const files = filesOf(runtimeFolder, name);
    const entry = fileURLToPath(new URL('./carrier-main.ts', import.meta.url));
    const record = await spawnDetached({
      command: process.execPath,
      args: [entry, JSON.stringify({ ...config, sessionSocket: files.session } satisfies CarrierConfig)],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
      logFile: files.log,
      recordFile: files.record,
    });
    const started = new CarrierProcess(name, record, files);
    const deadline = performance.now() + startDeadlineMs;
    for (;;) {
      const answering = await connectUnixSocket(files.session).catch(() => undefined);
      answering?.destroy();
      if (answering !== undefined) return started;
      if (performance.now() > deadline || !(await isAlive(record))) {
        await started.end();
        throw new HomewardError('timeout', 'The process that carries the migration did not start.', {
          hint: `Its last words are in ${files.log}.`,
        });
      }
      await sleep(lookAgainMs);
    }
  }

  /** The one an earlier engine started for `name`, if it still runs. */
  static async adopt(runtimeFolder: string, name: string): Promise<CarrierProcess | undefined> {
    const files = filesOf(runtimeFolder, name);
    const record = await readRecord(files.record);
    if (record === undefined) return undefined;
    const found = new CarrierProcess(name, record, files);
    if (await found.alive()) return found;
    await found.end();
    return undefined;
  }

  private constructor(name: string, record: ChildRecord, files: Files) {
    this.name = name;
    this.#record = record;
    this.#files = files;
  }

  alive(): Promise<boolean> {
    return isAlive(this.#record);
  }

  /** A new session; it stays silent until QEMU is there. @throws HomewardError `host-unreachable` where the process is gone */
  connect(): Promise<Duplex> {
    return connectUnixSocket(this.#files.session);
  }

  /** Ends it, and with it QEMU's connection. */
  async end(): Promise<void> {
    await stop(this.#record, { graceMs: stopGraceMs });
    await Promise.all([
      forgetRecord(this.#files.record),
      rm(this.#files.log, { force: true }),
      rm(this.#files.session, { force: true }),
    ]);
  }
}

interface Files {
  readonly session: string;
  readonly record: string;
  readonly log: string;
}

function filesOf(runtimeFolder: string, name: string): Files {
  const base = `${runtimeFolder}/${name}`;
  return { session: `${base}.sock`, record: `${base}.json`, log: `${base}.log` };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
