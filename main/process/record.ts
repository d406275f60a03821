import { readFile, rm } from 'node:fs/promises';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';

/**
 * One process, told apart from any later one with the same number: pid, its start in clock ticks since
 * boot (proc(5), /proc/<pid>/stat field 22) and the boot it belongs to.
 */
export const ChildRecord = z.object({
  pid: z.int().min(2),
  startTime: z.int().min(0),
  bootId: z.uuid(),
});
export type ChildRecord = z.infer<typeof ChildRecord>;

/** The record in `file`, or undefined where there is none. Throws `damaged-file` for anything else. */
export async function readRecord(file: string): Promise<ChildRecord | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    return ChildRecord.parse(JSON.parse(text));
  } catch (cause) {
    throw new HomewardError('damaged-file', `The process record ${file} cannot be read.`, {
      hint: 'If no virtual machine of yours is running, delete the file.',
      cause,
    });
  }
}

export async function forgetRecord(file: string): Promise<void> {
  await rm(file, { force: true });
}

/** Whether exactly this process still runs. A zombie does not. */
export async function isAlive(record: ChildRecord): Promise<boolean> {
  const [boot, stat] = await Promise.all([bootId(), readStat(record.pid)]);
  return boot === record.bootId && stat !== undefined && stat.startTime === record.startTime && !stat.ended;
}

let bootIdOnce: Promise<string> | undefined;
/** Of the running kernel: another one after each start of the machine. */
export function bootId(): Promise<string> {
  bootIdOnce ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((text) => text.trim());
  return bootIdOnce;
}

async function readStat(pid: number): Promise<{ startTime: number; ended: boolean } | undefined> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  // Field 2, the program's name, may itself hold blanks and brackets: count from behind its last bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { startTime: Number(fields[19]), ended: fields[0] === 'Z' || fields[0] === 'X' };
}

function isMissing(error: unknown): boolean {
  // ESRCH: the process ended between open and read.
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH');
}
