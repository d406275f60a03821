import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One process as this machine's /proc shows it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  /** proc(5)'s state letter; Z is a zombie. */
  readonly state: string;
  readonly args: readonly string[];
}

/** Every process this machine shows, whatever namespace it lives in. */
export function allProcesses(): Map<number, ProcessEntry> {
  const found = new Map<number, ProcessEntry>();
  for (const name of readdirSync('/proc')) {
    const entry = /^\d+$/.test(name) ? processEntry(Number(name)) : undefined;
    if (entry !== undefined) found.set(entry.pid, entry);
  }
  return found;
}

/**
 * Says of a process whether it belongs to the PID namespace of `initPid` or to one nested in it (a sandbox's processes
 * belong to the host it runs on); `initPid` itself does not.
 */
export function membersOf(initPid: number, all: ReadonlyMap<number, ProcessEntry>): (entry: ProcessEntry) => boolean {
  const namespace = pidNamespace(initPid);
  const verdicts = new Map<number, boolean>();
  const belongs = (entry: ProcessEntry | undefined): boolean => {
    if (entry === undefined || namespace === undefined) return false;
    const known = verdicts.get(entry.pid);
    if (known !== undefined) return known;
    const verdict = pidNamespace(entry.pid) === namespace || belongs(all.get(entry.parentPid));
    verdicts.set(entry.pid, verdict);
    return verdict;
  };
  return (entry) => entry.pid !== initPid && belongs(entry);
}

export function childrenOf(pid: number): readonly ProcessEntry[] {
  return [...allProcesses().values()].filter((entry) => entry.parentPid === pid);
}

/** `pid` and all that descend from it. */
export function descendantsOf(pid: number): readonly ProcessEntry[] {
  const all = [...allProcesses().values()];
  const family = new Set([pid]);
  for (let before = 0; before !== family.size; ) {
    before = family.size;
    for (const entry of all) if (family.has(entry.parentPid)) family.add(entry.pid);
  }
  return all.filter((entry) => family.has(entry.pid));
}

function processEntry(pid: number): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything, so what follows counts from the last one.
    const [state = '?', parentPid = '0'] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return { pid, parentPid: Number(parentPid), state, args };
  } catch {
    return undefined; // gone since the folder was listed
  }
}

function pidNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // gone, or another user's
  }
}
