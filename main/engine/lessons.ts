import { readFile, rename } from 'node:fs/promises';
import { z } from 'zod';
import type { VmUuid } from '../../shared/model/identifiers.ts';
import { Learned, nothingLearned } from '../../shared/policy/learned.ts';
import { asideName, replaceFile } from './stored-file.ts';

const File = z.object({ version: z.literal(1), vms: z.record(z.string(), Learned) });

/** Habits change slowly, and a minute of them is no loss. */
const saveEveryMs = 60_000;

export interface LessonsOptions {
  readonly file: string;
  readonly onFault: (what: string, thrown: unknown) => void;
}

/** What the policy has learnt of each VM, program names among it: in one private file, never sent anywhere. */
export class Lessons {
  readonly #options: LessonsOptions;
  readonly #vms: Map<VmUuid, Learned>;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: LessonsOptions, vms: ReadonlyMap<VmUuid, Learned>) {
    this.#options = options;
    this.#vms = new Map(vms);
  }

  /** A file that cannot be read is put aside and learning begins anew: nothing depends on it. */
  static async open(options: LessonsOptions, now: () => Date = () => new Date()): Promise<Lessons> {
    const { file, onFault } = options;
    try {
      const { vms } = File.parse(JSON.parse(await readFile(file, 'utf8')));
      return new Lessons(options, new Map(Object.entries(vms)));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT') {
        onFault('reading what was learnt', thrown);
        await rename(file, await asideName(file, now())).catch(() => undefined);
      }
      return new Lessons(options, new Map());
    }
  }

  of(vm: VmUuid): Learned {
    return this.#vms.get(vm) ?? nothingLearned();
  }

  put(vm: VmUuid, learned: Learned): void {
    if (this.#vms.get(vm) === learned) return;
    this.#vms.set(vm, learned);
    this.#timer ??= setTimeout(() => {
      this.#save().catch((thrown: unknown) => this.#options.onFault('writing down what was learnt', thrown));
    }, saveEveryMs).unref();
  }

  /** Of one VM, or of all; gone from the disk when it resolves. @throws HomewardError `disk-full`, `permission` */
  async forget(vm?: VmUuid): Promise<void> {
    if (vm === undefined) this.#vms.clear();
    else this.#vms.delete(vm);
    await this.#save();
  }

  async close(): Promise<void> {
    if (this.#timer === undefined) return this.#last.then(() => undefined);
    await this.#save().catch((thrown: unknown) => this.#options.onFault('writing down what was learnt', thrown));
  }

  #save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const mine = this.#last.then(() =>
      replaceFile(this.#options.file, `${JSON.stringify({ version: 1, vms: Object.fromEntries(this.#vms) })}\n`),
    );
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}
