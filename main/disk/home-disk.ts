import { chmod, mkdir, rm } from 'node:fs/promises';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import {
  type ChildRecord,
  endsWithin,
  forgetRecord,
  isAlive,
  readRecord,
  type ServedVm,
  stop,
} from '../process/index.ts';
import { type DiskImage, type Paths, pathsIn, startDaemon } from './daemon.ts';
import { addExports, deleteExports, listExports, nodeName, Target, type Writer } from './exports.ts';
import { grantSocket } from './grant.ts';
import { converse, type Execute } from './qmp.ts';

export interface HomeDiskOptions extends ServedVm {
  readonly disks: readonly DiskImage[];
}

const Nodes = z.array(z.object({ 'node-name': z.string().optional(), file: z.string(), drv: z.string() }));

const commandDeadlineMs = 10_000;
/** Requests a cut-off client left behind end with the image's own storage; a spun-down drive takes some seconds. */
const fenceDeadlineMs = 30_000;
/** Quitting writes back qcow2 tables and waits for requests in flight. */
const quitDeadlineMs = 60_000;

/**
 * The one authority over a VM's disks: a qemu-storage-daemon that owns the images and serves them over
 * NBD on one UNIX socket. It outlives the engine; the next engine adopts it.
 *
 *     QEMU at home ── home-vda ─────────┐
 *                                       ├─ qemu-storage-daemon ── image
 *     nbdkit at the host ── visit-…-vda ┘
 */
export class HomeDisk {
  readonly vm: string;
  readonly #paths: Paths;
  #record: ChildRecord;
  readonly #targets: readonly string[];
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(vm: string, paths: Paths, record: ChildRecord, targets: readonly string[]) {
    this.vm = vm;
    this.#paths = paths;
    this.#record = record;
    this.#targets = targets;
  }

  /**
   * Starts the daemon; nobody may write until `allow`. Throws `missing-tool`, `not-ready` (no image),
   * `vm-busy` (image in use), `damaged-file`, `permission`, `disk-full`, or `vm-busy` where a daemon of
   * this VM runs already.
   */
  static async start(options: HomeDiskOptions): Promise<HomeDisk> {
    for (const { target } of options.disks) Target.parse(target);
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const paths = pathsIn(options.folder);
    const earlier = await readRecord(paths.record);
    if (earlier && (await isAlive(earlier))) {
      throw new HomewardError('vm-busy', "The VM's disk is served already.");
    }
    await chmod(options.folder, 0o700);
    const record = await startDaemon(paths, options.disks);
    try {
      await grant(options, paths);
    } catch (error) {
      await stop(record, { graceMs: commandDeadlineMs });
      await forgetRecord(paths.record);
      throw error;
    }
    const targets = options.disks.map(({ target }) => target);
    return new HomeDisk(options.vm, paths, record, targets);
  }

  /**
   * The daemon that serves from `folder` since an earlier engine, or undefined where none runs. Throws
   * `timeout` where it runs but does not answer: then the image is still in its hands.
   */
  static async adopt(options: { readonly vm: string; readonly folder: string }): Promise<HomeDisk | undefined> {
    const paths = pathsIn(options.folder);
    const record = await readRecord(paths.record);
    if (!record || !(await isAlive(record))) return undefined;
    const images = await converse(paths.qmp, commandDeadlineMs, servedImages);
    return new HomeDisk(
      options.vm,
      paths,
      record,
      images.map(({ target }) => target),
    );
  }

  /**
   * Adopts, or starts where none runs. A daemon that serves other images is replaced when nobody may
   * write through it, else `vm-busy`.
   */
  static async ensure(options: HomeDiskOptions): Promise<HomeDisk> {
    const running = await HomeDisk.adopt(options);
    if (!running) return HomeDisk.start(options);
    if (await running.#serves(options.disks)) {
      await grant(options, running.#paths);
      return running;
    }
    if ((await running.writers()).length > 0) {
      throw new HomewardError('vm-busy', "The VM's disks were changed while it runs.", {
        hint: 'Shut the VM down first.',
      });
    }
    await running.stop();
    return HomeDisk.start(options);
  }

  /** Path of the NBD socket. */
  get socket(): string {
    return this.#paths.nbd;
  }

  /** Which daemon serves: another text after each start of one. */
  get daemon(): string {
    const { bootId, pid, startTime } = this.#record;
    return `${bootId}/${pid}/${startTime}`;
  }

  get targets(): readonly string[] {
    return this.#targets;
  }

  /** Whether the daemon still runs, or one that was started in its place: a move under way then goes on with that. */
  async alive(): Promise<boolean> {
    if (await isAlive(this.#record)) return true;
    const later = await readRecord(this.#paths.record);
    if (later === undefined || !(await isAlive(later))) return false;
    this.#record = later;
    return true;
  }

  /**
   * Lets `writer` open every disk, under the names `exportName` gives. During a move two writers have
   * this right; QEMU's migration decides which of them uses it. Repeating it is harmless.
   */
  allow(writer: Writer): Promise<void> {
    return this.#talk((execute) => addExports(execute, writer, this.#targets));
  }

  /**
   * The fence. Cuts `writer` off, connected or not, and returns once its last accepted write is carried
   * out; from then on it cannot write. Throws `timeout` where that is not certain. Repeating it is harmless.
   */
  async revoke(writer: Writer): Promise<void> {
    const deadline = performance.now() + fenceDeadlineMs;
    while ((await this.#talk((execute) => deleteExports(execute, writer))) > 0) {
      if (performance.now() >= deadline) {
        throw new HomewardError(
          'timeout',
          'The disk could not be taken from its writer: requests are still in flight.',
          {
            hint: 'The drive that holds the image may not be answering.',
          },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Who may write now; one who is being cut off counts until it is certain. */
  async writers(): Promise<Writer[]> {
    const all = await this.#talk((execute) => listExports(execute));
    return [...new Set(all.map(({ writer }) => writer))];
  }

  /** Writes everything back and ends the daemon. Throws `timeout` where it does not end; it is never killed. */
  async stop(): Promise<void> {
    if (await this.alive()) {
      try {
        await this.#talk((execute) => execute('quit'));
      } catch (error) {
        // It may be gone before its answer is out.
        if (await this.alive()) throw error;
      }
      if (!(await endsWithin(this.#record, quitDeadlineMs))) {
        throw new HomewardError('timeout', 'The storage daemon is still writing the disk back.', {
          hint: 'Wait for the drive, then try again.',
        });
      }
    }
    await forgetRecord(this.#paths.record);
    await Promise.all([rm(this.#paths.nbd, { force: true }), rm(this.#paths.qmp, { force: true })]);
  }

  async #serves(disks: readonly DiskImage[]): Promise<boolean> {
    const served = await this.#talk(servedImages);
    return (
      served.length === disks.length &&
      disks.every(({ target, file, format }) =>
        served.some((one) => one.target === target && one.file === file && one.format === format),
      )
    );
  }

  /** One conversation at a time: the monitor takes no second client. */
  #talk<T>(conversation: (execute: Execute) => Promise<T>): Promise<T> {
    const mine = this.#turn.then(async () => {
      if (!(await this.alive())) {
        throw new HomewardError('not-ready', "The storage daemon of the VM's disk has ended.", {
          hint: 'Shut the VM down and start it again.',
        });
      }
      return converse(this.#paths.qmp, commandDeadlineMs, conversation);
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}

async function servedImages(execute: Execute): Promise<{ target: string; file: string; format: string }[]> {
  const nodes = Nodes.parse(await execute('query-named-block-nodes', { flat: true }));
  return nodes.flatMap(({ 'node-name': name = '', file, drv }) => {
    const target = name.slice(nodeName('').length);
    return name === nodeName(target) ? [{ target, file, format: drv }] : [];
  });
}

async function grant({ folder, grantUid }: HomeDiskOptions, paths: Paths): Promise<void> {
  if (grantUid !== undefined && grantUid !== process.getuid?.()) await grantSocket(folder, paths.nbd, grantUid);
}
