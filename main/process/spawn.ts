/**
 * Children that hold a virtual machine's life outlive the engine: own session, own standard streams, and
 * under systemd an own scope, since a service's leftovers are killed with it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { HomewardError } from '../../shared/errors.ts';
import { type ChildRecord, isAlive, readRecord } from './record.ts';

export interface DetachedChild {
  /** A path, or a name looked up in `env.PATH`. */
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  /** Receives stdout and stderr, mode 0600, appended. */
  readonly logFile: string;
  /** Receives the ChildRecord, mode 0600. */
  readonly recordFile: string;
  /** Default `/`, so that no folder is kept busy. */
  readonly cwd?: string | undefined;
}

/**
 * The child records itself before it becomes the command, so there is no moment at which an engine crash
 * leaves a process nobody knows. exec(3) keeps pid and start time. Descriptor 3 tells the parent.
 */
const recordThenExec = `
umask 077
record=$1
shift
read -r stat < /proc/$$/stat
read -r boot < /proc/sys/kernel/random/boot_id
field22() { shift 19; printf %s "$1"; }
start=$(field22 \${stat##*) })
printf '{"pid":%s,"startTime":%s,"bootId":"%s"}\\n' $$ "$start" "$boot" > "$record.new" && mv "$record.new" "$record" || exit 126
echo recorded >&3
exec 3>&-
exec "$@"
`;

const maxLogBytes = 1024 * 1024;

/**
 * Starts `child` so that it outlives this process, and returns once it is recorded and about to run.
 * Whether it then works is for the caller to ask it. Throws `missing-tool` where the command is not
 * there, `disk-full` or `permission` where the record cannot be written.
 */
export async function spawnDetached(child: DetachedChild): Promise<ChildRecord> {
  await findCommand(child.command, child.env['PATH'] ?? '');
  const inside = ['/bin/sh', '-c', recordThenExec, 'sh', child.recordFile, child.command, ...child.args];
  const scope = await scopeCommand();
  // A scope can be refused (no session bus, say); the child then lives as long as its login session.
  if (scope && (await launch([...scope, ...environment(child.env), ...inside], process.env, child))) {
    return recordOf(child);
  }
  if (await launch(inside, child.env, child)) return recordOf(child);
  throw await whyNotRecorded(child);
}

/** The path of `command` in the search path `path`. Throws `missing-tool`. */
export async function findCommand(command: string, path = process.env['PATH'] ?? ''): Promise<string> {
  const candidates = command.includes('/') ? [command] : path.split(':').map((folder) => join(folder, command));
  for (const candidate of candidates) {
    const usable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return candidate;
  }
  throw new HomewardError('missing-tool', `The program ${command} is not installed.`, {
    hint: 'Install it: npm run setup',
  });
}

/** Sends SIGTERM, after `graceMs` SIGKILL, and returns when the process is gone. What is gone already is left alone. */
export async function stop(record: ChildRecord, options: { graceMs: number }): Promise<void> {
  if (!(await isAlive(record))) return;
  signal(record.pid, 'SIGTERM');
  if (await endsWithin(record, options.graceMs)) return;
  signal(record.pid, 'SIGKILL');
  if (await endsWithin(record, 5_000)) return;
  throw new HomewardError('timeout', `Process ${record.pid} does not end, even when killed.`, {
    hint: 'It may be waiting for a disk or file server that does not answer.',
  });
}

/** Whether the process ended within `withinMs`. */
export async function endsWithin(record: ChildRecord, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (await isAlive(record)) {
    if (performance.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** systemd-run --scope becomes the command (systemd-run(1)), so pid and parent stay ours. */
async function scopeCommand(): Promise<string[] | undefined> {
  const root = process.getuid?.() === 0;
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const manager = root ? '/run/systemd/system' : runtime && join(runtime, 'systemd/private');
  if (!manager) return undefined;
  try {
    await access(manager);
    const program = await findCommand('systemd-run');
    return [program, ...(root ? [] : ['--user']), '--scope', '--quiet', '--collect', '--'];
  } catch {
    return undefined;
  }
}

function environment(env: Readonly<Record<string, string>>): string[] {
  return ['/usr/bin/env', '-i', ...Object.entries(env).map(([key, value]) => `${key}=${value}`)];
}

async function launch(command: readonly string[], env: NodeJS.ProcessEnv, child: DetachedChild): Promise<boolean> {
  const [program = '', ...args] = command;
  const grown = await stat(child.logFile).then(
    ({ size }) => size > maxLogBytes,
    () => false,
  );
  const log = await open(child.logFile, grown ? 'w' : 'a', 0o600).catch((error: unknown) => {
    throw fileError(child.logFile, error);
  });
  try {
    const running = spawn(program, args, {
      cwd: child.cwd ?? '/',
      env,
      detached: true,
      stdio: ['ignore', log.fd, log.fd, 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      running.once('spawn', resolve);
      running.once('error', reject);
    });
    const told = running.stdio[3];
    if (told && 'read' in told && (await text(told)) === 'recorded\n') {
      running.unref();
      return true;
    }
    // Whatever it is doing, it must not run beside a second attempt.
    if (running.exitCode === null && running.signalCode === null) {
      const ended = once(running, 'exit');
      running.kill('SIGKILL');
      await ended;
    }
    return false;
  } finally {
    await log.close();
  }
}

async function recordOf(child: DetachedChild): Promise<ChildRecord> {
  const record = await readRecord(child.recordFile);
  if (!record) throw new HomewardError('internal', `The process record ${child.recordFile} vanished.`);
  return record;
}

async function whyNotRecorded(child: DetachedChild): Promise<HomewardError> {
  try {
    const probe = await open(`${child.recordFile}.new`, 'w', 0o600);
    await probe.writeFile('{}').finally(() => probe.close());
  } catch (error) {
    return fileError(child.recordFile, error);
  }
  return new HomewardError('internal', `${child.command} could not be started.`, {
    hint: `The reason may be in ${child.logFile}.`,
  });
}

function fileError(file: string, cause: unknown): HomewardError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new HomewardError('disk-full', `There is no room left to write ${file}.`, { cause });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new HomewardError('permission', `${file} may not be written.`, { cause });
  }
  return new HomewardError('internal', `${file} cannot be written.`, { cause });
}
