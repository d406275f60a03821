import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bed } from './bed.ts';
import { guestProcesses } from './places.ts';

const root = '/sys/fs/cgroup';
/**
 * The kernel's least: a slow machine does everything slowly, and one that stops for long now and then would above all answer its
 * disk late.
 */
const quotaUs = 1_000;
/** A QEMU that came home runs at full speed for so long at most. */
const lookEveryMs = 200;

/** Makes a guest's QEMU slow at the laptop, and only there, by a CPU quota (cgroup version 1 or 2; needs their root). */
export class SlowHome {
  readonly #folder: string;
  readonly #parent: string;
  readonly #pids: () => readonly number[];
  readonly #timer: NodeJS.Timeout;

  /** @param share of one CPU, for the whole QEMU. @throws where this user may not limit processes */
  static async of(bed: Bed, uuid: string, share: number): Promise<SlowHome> {
    const isVersion2 = await hasFile('cgroup.controllers');
    const parent = isVersion2 ? root : join(root, 'cpu');
    const folder = join(parent, `homeward-slow-${process.pid}`);
    const periodUs = Math.round(quotaUs / share);
    try {
      if (isVersion2) await writeFile(join(root, 'cgroup.subtree_control'), '+cpu');
      await mkdir(folder, { recursive: true });
      if (isVersion2) await writeFile(join(folder, 'cpu.max'), `${quotaUs} ${periodUs}`);
      else {
        await writeFile(join(folder, 'cpu.cfs_period_us'), String(periodUs));
        await writeFile(join(folder, 'cpu.cfs_quota_us'), String(quotaUs));
      }
    } catch (cause) {
      throw new Error(`A slow home needs a CPU quota, which this user may not set in ${parent}: run it as root.`, {
        cause,
      });
    }
    const slow = new SlowHome(parent, folder, () =>
      guestProcesses([bed.laptop], uuid)
        .filter(({ host }) => host === bed.laptop.name)
        .map(({ pid }) => pid),
    );
    await slow.#look();
    return slow;
  }

  private constructor(parent: string, folder: string, pids: () => readonly number[]) {
    this.#parent = parent;
    this.#folder = folder;
    this.#pids = pids;
    this.#timer = setInterval(() => void this.#look(), lookEveryMs);
  }

  /** Full speed again. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const slowed = await readFile(join(this.#folder, 'cgroup.procs'), 'utf8');
    for (const pid of slowed.split('\n').filter(Boolean)) await put(this.#parent, Number(pid));
    await rmdir(this.#folder);
  }

  async #look(): Promise<void> {
    for (const pid of this.#pids()) await put(this.#folder, pid);
  }
}

async function put(folder: string, pid: number): Promise<void> {
  await writeFile(join(folder, 'cgroup.procs'), String(pid)).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code !== 'ESRCH') throw thrown; // it has ended meanwhile
  });
}

function hasFile(name: string): Promise<boolean> {
  return access(join(root, name)).then(
    () => true,
    () => false,
  );
}
