/**
 * The cage of one visit: bubblewrap with own user, PID, network, mount, UTS, IPC and cgroup namespaces. Inside are
 * the system's programs (read-only), a handful of devices, and the visit's own folder; no home, no network but
 * loopback, no process of anybody else. It holds when the engine runs as root, too: inside, root's number is
 * mapped to an ordinary user without capabilities, and nothing writable of the host is in sight.
 *
 * All of it hangs on the namespace's first process. Killing that one ends everything at once.
 */
import { access, lstat, readFile, readlink, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { ChildRecord, endsWithin, forgetRecord, isAlive, readRecord, spawnDetached, stop } from '../process/index.ts';
import { insideEnvironment, insidePaths, statusFolders, user } from './inside.ts';

export interface SandboxSpec {
  readonly hostname: string;
  /** Outer folders. */
  readonly etc: string;
  readonly home: string;
  readonly up: string;
  /** Bound at `inside`, where libvirt's migration sockets are. */
  readonly migration?: { readonly outside: string; readonly inside: string } | undefined;
  /** Further device nodes, e.g. /dev/kvm. */
  readonly devices: readonly string[];
  readonly command: readonly string[];
}

export interface SandboxFiles {
  /** bubblewrap itself, outside the namespaces. */
  readonly outerRecord: string;
  /** The namespace's first process. */
  readonly innerRecord: string;
  readonly info: string;
  readonly log: string;
}

/** /bin, /lib… as this system has them: links into /usr, or folders of their own. */
export type RootEntry = { readonly path: string; readonly linkTo?: string | undefined };

const tmpfsBytes = 64 * 1024 * 1024;

/** bubblewrap's arguments (bwrap(1), 0.8 or later). */
export function bwrapArguments(spec: SandboxSpec, rootEntries: readonly RootEntry[]): string[] {
  const tmpfs = (path: string): string[] => ['--size', String(tmpfsBytes), '--tmpfs', path];
  return [
    ...['--unshare-user', '--uid', String(user.uid), '--gid', String(user.uid), '--disable-userns'],
    ...['--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--hostname', spec.hostname, '--new-session', '--cap-drop', 'ALL', '--clearenv'],
    ...['--ro-bind', '/usr', '/usr'],
    ...rootEntries.flatMap(({ path, linkTo }) =>
      linkTo === undefined ? ['--ro-bind', path, path] : ['--symlink', linkTo, path],
    ),
    ...['--ro-bind', spec.etc, '/etc'],
    // Where the engine is root, the mapped user owns the files below /proc/sys: bubblewrap alone leaves them writable.
    ...['--proc', '/proc', '--ro-bind', '/proc/sys', '/proc/sys'],
    ...['--dev', '/dev', ...tmpfs('/dev/shm')],
    ...spec.devices.flatMap((device) => ['--dev-bind', device, device]),
    // CPU and node topology is all that libvirt asks of sysfs.
    ...['--ro-bind', '/sys/devices/system', '/sys/devices/system'],
    ...[...tmpfs('/tmp'), ...tmpfs('/run'), '--dir', '/var'],
    ...['--bind', spec.home, insidePaths.home, '--ro-bind', spec.up, insidePaths.up],
    ...statusFolders.flatMap((folder) => ['--perms', '0700', ...tmpfs(folder)]),
    ...(spec.migration ? ['--bind', spec.migration.outside, spec.migration.inside] : []),
    ...['--remount-ro', '/dev', '--remount-ro', '/'],
    ...Object.entries(insideEnvironment).flatMap(([name, value]) => ['--setenv', name, value]),
    ...['--chdir', '/', '--', ...spec.command],
  ];
}

async function readRootEntries(): Promise<RootEntry[]> {
  const entries = await Promise.all(
    ['/bin', '/sbin', '/lib', '/lib32', '/lib64'].map(async (path): Promise<RootEntry | undefined> => {
      const seen = await lstat(path).catch(() => undefined);
      if (seen === undefined) return undefined;
      return seen.isSymbolicLink() ? { path, linkTo: await readlink(path) } : { path };
    }),
  );
  return entries.filter((entry) => entry !== undefined);
}

/** Those of `devices` that this user may open for reading and writing. */
export async function usableDevices(devices: readonly string[]): Promise<string[]> {
  const checked = await Promise.all(
    devices.map((device) =>
      access(device, 6).then(
        () => device,
        () => undefined,
      ),
    ),
  );
  return checked.filter((device) => device !== undefined);
}

/**
 * Starts the sandbox, detached and recorded, and returns the namespace's first process.
 * Throws `missing-tool` without bubblewrap, `permission` where the system forbids sandboxes.
 */
export async function startSandbox(spec: SandboxSpec, files: SandboxFiles): Promise<ChildRecord> {
  await Promise.all([forgetRecord(files.innerRecord), forgetRecord(files.info)]);
  const outer = await spawnDetached({
    command: '/bin/sh',
    // bubblewrap tells the child's number on a descriptor that must be open before it starts.
    args: ['-c', 'exec bwrap --info-fd 3 "$@" 3>"$0"', files.info, ...bwrapArguments(spec, await readRootEntries())],
    env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
    logFile: files.log,
    recordFile: files.outerRecord,
  });
  const deadline = performance.now() + 5_000;
  for (;;) {
    const inner = await innerOf(outer, files.info);
    if (inner) {
      await writeFile(files.innerRecord, JSON.stringify(inner), { mode: 0o600 });
      return inner;
    }
    if (!(await isAlive(outer)) || performance.now() > deadline) {
      await stop(outer, { graceMs: 0 });
      throw await whyNotStarted(files.log);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The running sandbox an earlier engine started; undefined where it has ended. */
export async function findSandbox(files: SandboxFiles): Promise<ChildRecord | undefined> {
  const recorded = await readRecord(files.innerRecord);
  if (recorded) return (await isAlive(recorded)) ? recorded : undefined;
  // That engine died between starting bubblewrap and writing the record.
  const outer = await readRecord(files.outerRecord);
  return outer && (await isAlive(outer)) ? innerOf(outer, files.info) : undefined;
}

/** Ends everything in the sandbox and returns when it is gone. */
export async function endSandbox(files: SandboxFiles): Promise<void> {
  const inner = await findSandbox(files);
  // The first process of a PID namespace cannot ignore SIGKILL from outside, and takes all others with it.
  if (inner) await stop(inner, { graceMs: 0 });
  const outer = await readRecord(files.outerRecord);
  if (outer && !(await endsWithin(outer, 1_000))) await stop(outer, { graceMs: 0 });
}

const Info = z.object({ 'child-pid': z.int().min(2) });

async function innerOf(outer: ChildRecord, infoFile: string): Promise<ChildRecord | undefined> {
  const text = await readFile(infoFile, 'utf8').catch(() => '');
  if (!text.trimEnd().endsWith('}')) return undefined;
  const pid = Info.parse(JSON.parse(text))['child-pid'];
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Field 4 is the parent: a later process of the same number is nobody of ours.
  if (Number(fields[1]) !== outer.pid) return undefined;
  return ChildRecord.parse({ pid, startTime: Number(fields[19]), bootId: outer.bootId });
}

async function whyNotStarted(logFile: string): Promise<HomewardError> {
  const log = (await readFile(logFile, 'utf8').catch(() => '')).trim();
  const said = log.slice(log.lastIndexOf('\n') + 1);
  if (/command not found|: not found/.test(said)) {
    return new HomewardError(
      'missing-tool',
      'bubblewrap (bwrap) is not installed; visitors are not taken without it.',
      {
        hint: 'Install the package bubblewrap.',
      },
    );
  }
  if (/unknown option/i.test(said)) {
    return new HomewardError('missing-tool', `bubblewrap here is too old: ${said}.`, {
      hint: 'Version 0.8 or later is needed.',
    });
  }
  return new HomewardError(
    'permission',
    `A sandbox for the visitor could not be started: ${said || 'no reason given'}.`,
    {
      hint: 'Unprivileged user namespaces may be forbidden here (kernel.unprivileged_userns_clone, AppArmor).',
    },
  );
}
