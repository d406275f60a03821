/** What a sandbox really uses, counted from outside: the visit could lie, the kernel does not. */
import { readdir, readFile } from 'node:fs/promises';

export interface Usage {
  readonly residentBytes: number;
  readonly processes: number;
}

/** Where counting ends: what is beyond has long been too much. */
const countAtMost = 5_000;

/**
 * Of `rootPid` and everything below it (/proc/<pid>/statm, proc(5)). Orphans in a PID namespace become children of
 * its first process, so nothing started there can leave the tree.
 */
export async function usageBelow(rootPid: number): Promise<Usage> {
  let total = 0;
  const seen = new Set<number>();
  const queue = [rootPid];
  for (let pid = queue.pop(); pid !== undefined && seen.size < countAtMost; pid = queue.pop()) {
    if (seen.has(pid)) continue;
    seen.add(pid);
    total += await residentBytes(pid);
    queue.push(...(await childrenOf(pid)));
  }
  return { residentBytes: total, processes: seen.size };
}

/** Linux reports in pages; 4 KiB on every machine QEMU's KVM hosts of x86 have, larger pages only overstate. */
const pageBytes = 4_096;

async function residentBytes(pid: number): Promise<number> {
  const fields = (await readOrEmpty(`/proc/${pid}/statm`)).split(' ');
  return Number(fields[1] ?? 0) * pageBytes;
}

async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(tasks.map((task) => readOrEmpty(`/proc/${pid}/task/${task}/children`)));
  return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
}

/** A process may end at any moment while it is looked at. */
function readOrEmpty(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
