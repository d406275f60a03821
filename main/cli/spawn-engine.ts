import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HomewardError } from '../../shared/errors.ts';
import { foldersOf } from '../../shared/folders.ts';
import type { Status } from '../../shared/rpc.ts';
import { connectEngine, isNoEngine, pause } from './client.ts';

/** Started as a program of its own: the command line and the engine share a contract, no code. */
const engineProgram = fileURLToPath(new URL('../engine/main.ts', import.meta.url));

/**
 * How the engine is started: it idles most of its life, and is to do so in little memory.
 * @param options `host`: a host for as long as it runs, whatever the settings say.
 */
export function engineCommand(options: { readonly host: boolean }): {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
} {
  return {
    // A small space for new objects (node(1), MiB): the collector then runs a little more often. No compiler between the
    // baseline one and the optimising one, as in Node before 22: its work areas stay in the heap.
    args: ['--max-semi-space-size=1', '--no-maglev', engineProgram, ...(options.host ? ['--host'] : [])],
    // One heap for all threads (mallopt(3)): they seldom allocate at the same time, and each heap keeps what it was given.
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  };
}

/** A cold start probes libvirt and QEMU. */
const readyTimeoutMs = 30_000;
const largestLogBytes = 5 * 1024 * 1024;

/** Where an engine without a terminal writes. */
export function engineLogFile(): string {
  const { state } = foldersOf({ env: process.env, homeFolder: homedir(), uid: process.getuid?.() ?? 0 });
  return `${state}/engine.log`;
}

export interface StartedEngine {
  readonly child: ChildProcess;
  /** As it was when the engine first answered. */
  readonly status: Status;
}

/**
 * Starts an engine in a process group of its own, so that Ctrl-C does not reach it, and waits until it answers.
 * @param options `host`: a host for as long as it runs, whatever the settings say.
 * @throws HomewardError with the engine's last words where it ends, `timeout` where it does not answer.
 */
export async function startEngine(options: { readonly host: boolean }): Promise<StartedEngine> {
  const logFile = engineLogFile();
  await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
  const sizeBytes = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  if (sizeBytes > largestLogBytes) await rename(logFile, `${logFile}.old`);
  const log = await open(logFile, 'a', 0o600);
  const before = (await log.stat()).size;
  const { args, env } = engineCommand(options);
  const child = spawn(process.execPath, args, { detached: true, env, stdio: ['ignore', log.fd, log.fd] });
  await log.close();
  const ended = once(child, 'exit').then(() => 'ended' as const);
  const giveUpAtMs = performance.now() + readyTimeoutMs;
  while (performance.now() < giveUpAtMs) {
    const status = await statusOfEngine();
    if (status !== undefined) return { child, status };
    if ((await Promise.race([ended, pause(100)])) === 'ended') {
      throw new HomewardError('engine-not-running', `The engine ended at once. ${await lastWords(logFile, before)}`, {
        hint: `Its log: ${logFile}`,
      });
    }
  }
  child.kill('SIGTERM');
  throw new HomewardError('timeout', `The engine did not answer within ${readyTimeoutMs / 1_000} s.`, {
    hint: `Its log: ${logFile}`,
  });
}

/** Undefined where no engine runs. */
export async function statusOfEngine(): Promise<Status | undefined> {
  try {
    const engine = await connectEngine();
    try {
      return await engine.call('engine.status', {}, { timeoutMs: 10_000 });
    } finally {
      engine.close();
    }
  } catch (error) {
    if (isNoEngine(error)) return undefined;
    throw error;
  }
}

async function lastWords(logFile: string, fromByte: number): Promise<string> {
  const text = (await readFile(logFile)).subarray(fromByte).toString('utf8');
  return text.trim().split('\n').slice(-5).join('\n').slice(-2_000);
}
