import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { HomewardError } from '../../shared/errors.ts';
import { foldersOf } from '../../shared/folders.ts';
import type { Status } from '../../shared/rpc.ts';
import { connectEngine, isNoEngine, pause } from './client.ts';
import { asFile, asNode } from './electron-node.ts';
import { spawnLogged } from './spawn-logged.ts';

/** Started as a program of its own: the command line and the engine share a contract, no code. */
const engineProgram = asFile(fileURLToPath(new URL('../engine/main.ts', import.meta.url)));

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
    env: { ...process.env, ...asNode, MALLOC_ARENA_MAX: '1' },
  };
}

/** A cold start probes libvirt and QEMU. */
const readyTimeoutMs = 30_000;

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
  const { args, env } = engineCommand(options);
  const { child, lastWords } = await spawnLogged(process.execPath, args, env, logFile);
  const ended = once(child, 'exit').then(() => 'ended' as const);
  const giveUpAtMs = performance.now() + readyTimeoutMs;
  while (performance.now() < giveUpAtMs) {
    const status = await statusOfEngine();
    if (status !== undefined) return { child, status };
    if ((await Promise.race([ended, pause(100)])) === 'ended') {
      throw new HomewardError('engine-not-running', `The engine ended at once. ${await lastWords()}`, {
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
