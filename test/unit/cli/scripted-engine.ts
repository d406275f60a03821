import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { type RpcServer, startRpcServer } from '../../../main/engine/rpc-server.ts';
import type { Handlers } from '../../../shared/endpoint.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { type Calls, calls, type Status } from '../../../shared/rpc.ts';
import { status } from './samples.ts';

export const homeward = fileURLToPath(new URL('../../../bin/homeward.mjs', import.meta.url));

/** What the engine answers; a call that is not in the script fails. */
export type Script = Partial<Handlers<Calls>>;

export interface ScriptedEngine {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly server: RpcServer;
  /** Calls in the order they came, with their params. */
  readonly asked: { readonly call: string; readonly params: unknown }[];
}

/** Surroundings of an own in which no engine runs. */
export async function emptySurroundings(): Promise<{ readonly folder: string; readonly env: NodeJS.ProcessEnv }> {
  const folder = await mkdtemp(join(tmpdir(), 'hw-cli-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'homeward'), { mode: 0o700 });
  const env = {
    ...process.env,
    HOME: folder,
    XDG_RUNTIME_DIR: folder,
    XDG_STATE_HOME: join(folder, 'state'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    TZ: 'UTC',
    // A real engine must not leave a session libvirtd behind, which libvirt would start for it.
    LIBVIRT_AUTOSTART: '0',
    // A third of a short command's time is compiling it.
    NODE_COMPILE_CACHE: fileURLToPath(new URL('../../../node_modules/.cache/compiled', import.meta.url)),
  };
  return { folder, env };
}

/** An engine's socket with answers out of a script behind it. */
export async function scriptedEngine(script: Script, current: () => Status = () => status()): Promise<ScriptedEngine> {
  const { folder, env } = await emptySurroundings();
  const asked: ScriptedEngine['asked'] = [];
  const answers = { 'engine.status': current, ...script } as Record<string, (params: unknown) => unknown>;
  const handlers = Object.fromEntries(
    Object.keys(calls).map((call) => [
      call,
      (params: unknown) => {
        asked.push({ call, params });
        const answer = answers[call];
        if (answer === undefined) throw new HomewardError('internal', `${call} is not in the script.`);
        return answer(params);
      },
    ]),
  ) as unknown as Handlers<Calls>;
  const server = await startRpcServer({
    socketFile: join(folder, 'homeward/engine.sock'),
    handlers,
    status: current,
    onFault: () => undefined,
  });
  onTestFinished(() => server.close());
  return { folder, env, server, asked };
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  /** What it has written so far, both streams. */
  text(): string;
  /** Resolves once `text()` matches. */
  sees(pattern: RegExp): Promise<void>;
  readonly ended: Promise<Ran>;
}

/** Runs the command line as a process of its own, without a terminal. */
export function startCli(env: NodeJS.ProcessEnv, args: readonly string[], input?: string): RunningCli {
  return follow(spawn(process.execPath, [homeward, ...args], { env, stdio: 'pipe' }), input ?? '', input !== 'open');
}

/** The same inside a terminal of `columns`; both streams come as one, in `stdout`. */
export function startInTerminal(env: NodeJS.ProcessEnv, args: readonly string[], columns = 100): RunningCli {
  const quoted = [process.execPath, homeward, ...args].map((word) => `'${word}'`).join(' ');
  const command = `stty cols ${columns} rows 30; exec ${quoted}`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], { env: { ...env, TERM: 'xterm' }, stdio: 'pipe' });
  return follow(child, '', false);
}

export async function runCli(env: NodeJS.ProcessEnv, args: readonly string[], input?: string): Promise<Ran> {
  return startCli(env, args, input).ended;
}

function follow(child: ChildProcess, input: string, endInput: boolean): RunningCli {
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  const hear = (take: (text: string) => void) => (text: string) => {
    take(text);
    for (const wake of waiting) wake();
  };
  child.stdout?.setEncoding('utf8').on(
    'data',
    hear((text) => {
      stdout += text;
    }),
  );
  child.stderr?.setEncoding('utf8').on(
    'data',
    hear((text) => {
      stderr += text;
    }),
  );
  child.stdin?.on('error', () => undefined);
  if (input !== 'open') child.stdin?.write(input);
  if (endInput) child.stdin?.end();
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return {
    child,
    text: () => stdout + stderr,
    sees: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!pattern.test(stdout + stderr)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        void ended.then(() => {
          if (waiting.delete(look)) reject(new Error(`Ended without ${pattern}:\n${stdout}${stderr}`));
        });
        look();
      }),
    ended,
  };
}
