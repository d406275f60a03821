import { rm, writeFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { HomewardError } from '../../shared/errors.ts';
import { LibvirtError, type LibvirtErrorReport, type MigrateRequest } from '../libvirt/index.ts';
import { connectUnixSocket } from '../link/index.ts';
import { type ChildRecord, forgetRecord, isAlive, readRecord, spawnDetached, stop } from '../process/index.ts';

/** What a migration's process reads from a file of its own. */
export interface MigrationConfig {
  /** Whether QEMU comes to the migration socket (the source does) or listens there. */
  readonly qemu: 'connects' | 'listens';
  readonly migrationSocket: string;
  readonly sockets: MigrationSockets;
}

interface MigrationSockets {
  /** Each connection here is what QEMU's stream crosses next. */
  readonly stream: string;
  /** Each connection here is what the call's connection to the visit's libvirtd crosses next. */
  readonly call: string;
  /** The visit's libvirtd, as the process's own libvirt finds it. */
  readonly libvirt: string;
  /**
   * Whoever connects is told a MigrationOutcome, as a line of JSON, when there is one. The first to connect asks for the
   * call, with a MigrateRequest as a line of JSON; where it goes without, there is no call, and the process ends.
   */
  readonly outcome: string;
}

export type MigrationOutcome = { readonly ok: true } | { readonly ok: false; readonly error: LibvirtErrorReport };

export type MigrationEnds = Pick<MigrationConfig, 'qemu' | 'migrationSocket'>;

const startDeadlineMs = 20_000;
const lookAgainMs = 20;
const stopGraceMs = 2_000;

/** The process that makes one migrate call and holds home's ends of it; it outlives the engine, and the next one finds it. */
export class MigrationProcess {
  /** File name of the migration socket, by which both machines know the migration. */
  readonly name: string;
  readonly #record: ChildRecord;
  readonly #files: Files;
  /** Where the call is still to be asked for. */
  #waiting: Duplex | undefined;
  #outcome: Promise<void> | undefined;

  /**
   * Starts it, as yet without a call. Resolves when a QEMU that `connects` may do so.
   * @throws HomewardError `timeout`, `missing-tool`, `disk-full`
   */
  static async start(runtimeFolder: string, name: string, ends: MigrationEnds): Promise<MigrationProcess> {
    const files = filesOf(runtimeFolder, name);
    const config: MigrationConfig = { ...ends, sockets: files.sockets };
    await writeFile(files.config, JSON.stringify(config), { mode: 0o600 });
    const record = await spawnDetached({
      command: process.execPath,
      args: [fileURLToPath(new URL('./migration-main.ts', import.meta.url)), files.config],
      env: environment(),
      logFile: files.log,
      recordFile: files.record,
    });
    const started = new MigrationProcess(name, record, files);
    const deadline = performance.now() + startDeadlineMs;
    for (;;) {
      const answering = await connectUnixSocket(files.sockets.outcome).catch(() => undefined);
      if (answering !== undefined) {
        started.#waiting = answering;
        return started;
      }
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
  static async adopt(runtimeFolder: string, name: string): Promise<MigrationProcess | undefined> {
    const files = filesOf(runtimeFolder, name);
    const record = await readRecord(files.record);
    if (record === undefined) return undefined;
    const found = new MigrationProcess(name, record, files);
    if (await isAlive(record)) return found;
    await found.end();
    return undefined;
  }

  private constructor(name: string, record: ChildRecord, files: Files) {
    this.name = name;
    this.#record = record;
    this.#files = files;
  }

  isRunning(): Promise<boolean> {
    return isAlive(this.#record);
  }

  /** A new session for QEMU's stream; it stays silent until QEMU is there. @throws HomewardError `host-unreachable` where the process is gone */
  connectStream(): Promise<Duplex> {
    return connectUnixSocket(this.#files.sockets.stream);
  }

  /** The same for the call's connection to the visit's libvirtd. */
  connectCall(): Promise<Duplex> {
    return connectUnixSocket(this.#files.sockets.call);
  }

  /** Asks for the call, once. @param request given where the visit's libvirtd will be found */
  begin(request: (visitSocket: string) => MigrateRequest): void {
    const socket = this.#waiting;
    if (socket === undefined) throw new HomewardError('internal', 'This migration has begun already.');
    this.#waiting = undefined;
    void this.#hear(socket);
    socket.write(`${JSON.stringify(request(this.#files.sockets.libvirt))}\n`);
  }

  /** Resolves when the call has ended well. @throws LibvirtError as libvirt gave it, HomewardError `internal` where there is none */
  async outcome(): Promise<void> {
    if (this.#waiting !== undefined) throw new HomewardError('internal', 'This migration was never begun.');
    await (this.#outcome ?? this.#hear(await this.#askAgain()));
  }

  /** Nothing is asked for: should its engine have gone before it was even heard, this one is the first to connect. */
  async #askAgain(): Promise<Duplex> {
    const socket = await connectUnixSocket(this.#files.sockets.outcome);
    socket.end();
    return socket;
  }

  #hear(socket: Duplex): Promise<void> {
    this.#outcome = outcomeFrom(socket);
    // Whoever wants to know asks; until then it is nobody's fault.
    this.#outcome.catch(() => undefined);
    return this.#outcome;
  }

  /** Ends it, and with it the call and QEMU's connection. */
  async end(): Promise<void> {
    this.#waiting?.destroy();
    await stop(this.#record, { graceMs: stopGraceMs });
    const { record, log, config, sockets } = this.#files;
    const left = [log, config, ...Object.values(sockets)].map((file) => rm(file, { force: true }));
    await Promise.all([forgetRecord(record), ...left]);
  }
}

async function outcomeFrom(socket: Duplex): Promise<void> {
  const line = await text(socket).catch(() => '');
  if (line === '') {
    throw new HomewardError('internal', 'The process that carries the migration has gone.', {
      hint: 'Both machines are asked where the VM is.',
    });
  }
  const outcome: MigrationOutcome = JSON.parse(line);
  if (!outcome.ok) throw new LibvirtError(outcome.error);
}

/** libvirt's client finds its daemon, and what it may start, by the user's own environment. */
function environment(): Record<string, string> {
  const set = Object.entries(process.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  return { ...Object.fromEntries(set), LC_ALL: 'C' };
}

interface Files {
  readonly sockets: MigrationSockets;
  readonly record: string;
  readonly log: string;
  readonly config: string;
}

function filesOf(runtimeFolder: string, name: string): Files {
  const base = `${runtimeFolder}/${name}`;
  return {
    sockets: {
      stream: `${base}-s.sock`,
      call: `${base}-c.sock`,
      libvirt: `${base}-v.sock`,
      outcome: `${base}-o.sock`,
    },
    record: `${base}.json`,
    log: `${base}.log`,
    config: `${base}-config.json`,
  };
}
