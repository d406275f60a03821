import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { Port, VmUuid } from '../../shared/model/identifiers.ts';
import { ConnectionName } from '../../shared/model/vm.ts';
import type { Finding } from '../../shared/rpc.ts';
import { replaceFile } from './stored-file.ts';

/** A VM that was made ready: what it was before, and what serves it now. */
export const Adoption = z.object({
  vm: VmUuid,
  name: z.string(),
  connection: ConnectionName,
  /** The inactive definition before, word for word, for undo. */
  originalXml: z.string(),
  disks: z.array(z.object({ target: z.string(), file: z.string(), format: z.enum(['qcow2', 'raw']) })).min(1),
  nics: z.array(z.object({ index: z.int().min(0), mac: z.string(), port: Port })),
});
export type Adoption = z.infer<typeof Adoption>;

/** One file per VM: damage to one touches no other. */
export class AdoptionStore {
  readonly #folder: string;
  readonly #adoptions = new Map<string, Adoption>();
  /** Written down before anything is changed, and not yet all changed. */
  readonly #underWay = new Set<string>();
  /** For doctor: files that could not be read. */
  readonly findings: Finding[] = [];

  static async open(folder: string): Promise<AdoptionStore> {
    const store = new AdoptionStore(folder);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      if (!name.endsWith('.json')) continue;
      try {
        const adoption = Adoption.parse(JSON.parse(await readFile(`${folder}/${name}`, 'utf8')));
        store.#adoptions.set(adoption.vm, adoption);
      } catch {
        store.findings.push({
          id: `adoption-${name}`,
          severity: 'problem',
          title: 'What was written of a VM cannot be read',
          detail: `${folder}/${name} is damaged, so Homeward does not serve that VM's disk and the VM cannot start.`,
          remedy:
            'Put the file back from a backup, or put the VM’s own disk back into its definition by hand (virsh edit).',
        });
      }
    }
    return store;
  }

  private constructor(folder: string) {
    this.#folder = folder;
  }

  all(): readonly Adoption[] {
    return [...this.#adoptions.values()];
  }

  get(vm: string): Adoption | undefined {
    return this.#adoptions.get(vm);
  }

  /** Whether all that makes the VM ready has been done. */
  isReady(vm: string): boolean {
    return this.#adoptions.has(vm) && !this.#underWay.has(vm);
  }

  /** Written down first (I3); the VM is not ready before `finish`. @throws HomewardError `vm-busy` where that is going on */
  async begin(adoption: Adoption): Promise<void> {
    if (this.#underWay.has(adoption.vm)) {
      throw new HomewardError('vm-busy', `${adoption.name} is being made ready already.`);
    }
    this.#underWay.add(adoption.vm);
    try {
      await this.put(adoption);
    } catch (thrown) {
      this.#underWay.delete(adoption.vm);
      throw thrown;
    }
  }

  /** It is being given back: not ready from here on, and gone with `remove`, or ready again with `finish`. */
  leave(vm: string): void {
    this.#underWay.add(vm);
  }

  finish(vm: string): void {
    this.#underWay.delete(vm);
  }

  /** @throws HomewardError `not-ready` */
  need(vm: string, name: string): Adoption {
    const adoption = this.#adoptions.get(vm);
    if (adoption === undefined) {
      throw new HomewardError('not-ready', `${name} has not been made ready to move.`, {
        hint: `Shut it down and run: homeward adopt ${name} --apply`,
      });
    }
    return adoption;
  }

  async put(adoption: Adoption): Promise<void> {
    await replaceFile(this.#file(adoption.vm), `${JSON.stringify(adoption, null, 2)}\n`);
    this.#adoptions.set(adoption.vm, adoption);
  }

  async remove(vm: string): Promise<void> {
    await rm(this.#file(vm), { force: true });
    this.#adoptions.delete(vm);
    this.#underWay.delete(vm);
  }

  #file(vm: string): string {
    return `${this.#folder}/${vm}.json`;
  }
}
