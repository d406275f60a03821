import { type FileHandle, open, readFile } from 'node:fs/promises';

/** One holder at a time. Given back by `release`, or by the kernel when the process ends, however it ends. */
export interface FileLock {
  readonly held: true;
  /** What the previous holder left if it did not release: it crashed or was killed. */
  readonly leftBy: { readonly pid: number } | undefined;
  release(): Promise<void>;
}

const lockExclusive = 2;
const lockNonBlocking = 4;
let flock: ((fd: number, operation: number) => number) | undefined;

/**
 * flock(2), which Node lacks. A lock made of a file's existence alone cannot be taken over from a dead
 * holder without a race; this one dies with its holder.
 */
async function tryLock(fd: number): Promise<boolean> {
  // Only who locks pays for koffi's memory, not every program that imports this room.
  flock ??= (await import('koffi')).default.load(null).func('int flock(int fd, int operation)');
  return flock(fd, lockExclusive | lockNonBlocking) === 0;
}

/**
 * Takes the lock and writes who holds it: pid, and the start time of field 22 of /proc/PID/stat, so that a
 * reused pid is not mistaken for the holder. Where another process holds it, tells who.
 */
export async function takeLock(file: string): Promise<FileLock | { readonly held: false; readonly by?: number }> {
  const handle = await open(file, 'a+', 0o600);
  try {
    if (!(await tryLock(handle.fd))) {
      const holder = parseHolder(await handle.readFile('utf8'));
      await handle.close();
      return { held: false, ...(holder === undefined ? {} : { by: holder.pid }) };
    }
    const left = parseHolder(await readFile(file, 'utf8'));
    await handle.truncate(0);
    // The kernel holds the lock; who it is is for people, and a full disk must not keep its holder from starting.
    await handle.write(`${process.pid} ${await startTimeOf(process.pid)}\n`).catch(() => undefined);
    return {
      held: true,
      leftBy: left === undefined ? undefined : { pid: left.pid },
      release: () => release(handle),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The file stays: unlinking it would let a third process lock a new file while a second waits on the old. */
async function release(handle: FileHandle): Promise<void> {
  await handle.truncate(0);
  await handle.close();
}

function parseHolder(text: string): { readonly pid: number; readonly startTicks: string } | undefined {
  const match = /^(?<pid>\d+) (?<startTicks>\d+)$/m.exec(text);
  const { pid, startTicks } = match?.groups ?? {};
  return pid === undefined || startTicks === undefined ? undefined : { pid: Number(pid), startTicks };
}

/**
 * Start time of a process in clock ticks since boot (proc(5), stat field 22); with the pid it names a
 * process for the machine's whole uptime. Undefined when there is no such process.
 */
async function startTimeOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name in field 2 may hold spaces and brackets; fields are counted from its last bracket.
  return text
    ?.slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .at(19);
}
