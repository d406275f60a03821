import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const largestLogBytes = 5 * 1024 * 1024;

export interface LoggedChild {
  readonly child: ChildProcess;
  /** The end of what it has written so far. */
  lastWords(): Promise<string>;
}

/** Starts a program without a terminal, in a process group of its own, that writes to `logFile`. */
export async function spawnLogged(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  logFile: string,
): Promise<LoggedChild> {
  await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
  const sizeBytes = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  if (sizeBytes > largestLogBytes) await rename(logFile, `${logFile}.old`);
  const log = await open(logFile, 'a', 0o600);
  const before = (await log.stat()).size;
  const child = spawn(program, args, { detached: true, env, stdio: ['ignore', log.fd, log.fd] });
  await log.close();
  return {
    child,
    async lastWords() {
      const text = (await readFile(logFile)).subarray(before).toString('utf8');
      return text.trim().split('\n').slice(-5).join('\n').slice(-2_000);
    },
  };
}
