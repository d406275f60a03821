import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sh } from './command.ts';
import { allProcesses, childrenOf, membersOf, type ProcessEntry } from './processes.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process inside a host. */
export interface BedProcess {
  /** As this machine counts: what /proc and kill(2) know outside the bed. */
  readonly pid: number;
  /** Its pipes, as asked for by `stdio`. */
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  kill(signal?: NodeJS.Signals): void;
}

export interface SpawnOptions {
  /** Added to the host's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the host's home folder. */
  readonly cwd?: string;
  readonly stdio?: StdioOptions;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

/** What a host needs of the bed it is plugged into. */
export interface Switch {
  /** Real PID of the bed's PID 1. */
  readonly bedPid: number;
  readonly folder: string;
  startHost(name: string, address: string): Promise<number>;
  /** Runs a command beside the switch, with the bed's own rights. */
  admin(command: string, args: readonly string[]): Promise<void>;
}

export const repository = fileURLToPath(new URL('../..', import.meta.url));
export const asRoot = process.getuid?.() === 0;

/** One machine of the bed: own processes, network, mounts and name; files under `folder` outlive a power cut. */
export class BedHost {
  readonly name: string;
  readonly address: string;
  /** The same path inside the host and outside. */
  readonly folder: string;
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #switch: Switch;
  #initPid: number | undefined;

  constructor(bed: Switch, name: string, address: string) {
    this.#switch = bed;
    this.name = name;
    this.address = address;
    this.folder = join(bed.folder, name);
    this.home = join(this.folder, 'home');
    this.env = {
      PATH: `${join(repository, 'node_modules/.bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
      LANG: 'C.UTF-8',
      HOME: this.home,
      USER: asRoot ? 'root' : 'someone',
      TMPDIR: '/tmp',
      XDG_RUNTIME_DIR: join(this.folder, 'xdg-run'),
      XDG_CONFIG_HOME: join(this.folder, 'config'),
      XDG_CACHE_HOME: join(this.folder, 'cache'),
      XDG_DATA_HOME: join(this.folder, 'data'),
      XDG_STATE_HOME: join(this.folder, 'state'),
    };
  }

  /** PID 1 of the host as this machine counts. */
  get initPid(): number {
    if (this.#initPid === undefined) throw new Error(`${this.name} is switched off.`);
    return this.#initPid;
  }

  get on(): boolean {
    return this.#initPid !== undefined;
  }

  async powerOn(): Promise<void> {
    // What a real boot would find empty.
    for (const volatile of ['run', 'tmp', 'xdg-run', 'up']) {
      await rm(join(this.folder, volatile), { recursive: true, force: true });
    }
    for (const folder of ['run', 'tmp', 'etc', 'home', 'xdg-run', 'config', 'cache', 'data', 'state', 'images']) {
      await mkdir(join(this.folder, folder), { recursive: true, mode: folder === 'tmp' ? 0o777 : 0o700 });
    }
    await writeFile(join(this.folder, 'etc/hosts'), `127.0.0.1 localhost\n${this.address} ${this.name}\n`);
    // Nobody listens there, so a look-up fails at once instead of after 10 s (libvirt does several).
    await writeFile(join(this.folder, 'etc/resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
    this.#initPid = await this.#switch.startHost(this.name, this.address);
  }

  /** A power cut: the cable goes dead first, so that no goodbye of a dying process reaches anyone. */
  async powerOff(): Promise<void> {
    const pid = this.initPid;
    await this.#switch.admin('ip', ['link', 'del', this.name]);
    process.kill(pid, 'SIGKILL');
    this.#initPid = undefined;
    while (isAlive(pid)) await sleep(5);
  }

  /** Starts a command; resolves once it runs. */
  async spawn(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<BedProcess> {
    const child = this.#enter(command, args, options);
    const exited = once(child, 'exit').then(([code, signal]): Exit => ({ code, signal }));
    // nsenter stays outside the PID namespace and waits for the one child that is the command.
    const enteredPid = child.pid;
    while (enteredPid !== undefined && child.exitCode === null && child.signalCode === null) {
      const entry = childrenOf(enteredPid)[0];
      const pid = entry?.pid;
      if (pid !== undefined && !isEntering(entry))
        return { pid, child, exited, kill: (signal = 'SIGTERM') => killIfAlive(pid, signal) };
      await sleep(5);
    }
    const { code, signal } = await exited;
    const said = child.stderr === null ? '' : await text(child.stderr);
    throw new Error(`${command} on ${this.name} ended at once (${code ?? signal}). ${said.trim()}`);
  }

  /** Runs a command to its end, at most `timeoutMs` (30 s). */
  async run(
    command: string,
    args: readonly string[],
    options: Omit<SpawnOptions, 'stdio'> & { readonly timeoutMs?: number; readonly input?: string } = {},
  ): Promise<RunResult> {
    const child = this.#enter(command, args, { ...options, stdio: 'pipe' });
    const timer = setTimeout(() => {
      for (const { pid } of childrenOf(child.pid ?? -1)) killIfAlive(pid, 'SIGKILL');
    }, options.timeoutMs ?? 30_000);
    child.stdin?.on('error', () => {}); // it may end without reading
    child.stdin?.end(options.input ?? '');
    const read = (stream: ChildProcess['stdout']) => (stream === null ? '' : text(stream));
    const [stdout, stderr, [code]] = await Promise.all([read(child.stdout), read(child.stderr), once(child, 'close')]);
    clearTimeout(timer);
    return { stdout, stderr, code };
  }

  /**
   * What runs on this host, sandboxes included; empty on a host that was left alone, or is off. Who asks often takes
   * one look at the machine (`all`) for several hosts, and asks only about the processes of interest (`among`).
   */
  processes(all = allProcesses(), among: Iterable<ProcessEntry> = all.values()): readonly ProcessEntry[] {
    const initPid = this.#initPid;
    if (initPid === undefined) return [];
    const isMember = membersOf(initPid, all);
    return [...among].filter(
      (entry) => isMember(entry) && !(entry.parentPid === initPid && entry.args.join(' ') === 'sleep infinity'),
    );
  }

  /** Bytes that crossed this host's eth0 since it was switched on, Ethernet headers included. */
  async networkBytes(): Promise<{ readonly received: number; readonly sent: number }> {
    const table = await readFile(`/proc/${this.initPid}/net/dev`, 'utf8');
    const fields = /eth0:(.*)/.exec(table)?.[1]?.trim().split(/\s+/) ?? [];
    return { received: Number(fields[0]), sent: Number(fields[8]) };
  }

  /** Limits what eth0 sends; tc-tbf(8). Null takes the limit away. */
  async setRate(rateMbit: number | null): Promise<void> {
    const qdisc = ['qdisc', rateMbit === null ? 'del' : 'replace', 'dev', 'eth0', 'root'];
    // A burst of 4 ms, and no less than one full segmentation-offload frame.
    const burstBytes = Math.max(65_536, Math.round(((rateMbit ?? 0) * 1e6 * 0.004) / 8));
    const shape =
      rateMbit === null ? [] : ['tbf', 'rate', `${rateMbit}mbit`, 'burst', `${burstBytes}`, 'latency', '50ms'];
    const [command, ...entered] = this.inNetwork('tc', ...qdisc, ...shape);
    await sh(command, entered).catch((error: unknown) => {
      if (rateMbit !== null) throw error; // there was none to take away
    });
  }

  /** A small disk of its own at `folder`; gone when the host is switched off. */
  async mountSmallDisk(folder: string, mib: number): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const mount = ['mount', '-t', 'tmpfs', '-o', `size=${mib}m,mode=700`, 'small', folder];
    const target = ['--target', String(this.initPid), '--mount', '--', ...mount];
    await sh('nsenter', [...this.#userNamespace(), ...target]);
  }

  /** A command line for a program of this machine that is to be on this host's network, and nowhere else on it. */
  inNetwork(...command: readonly string[]): [string, ...string[]] {
    return ['nsenter', ...this.#userNamespace(), '--target', String(this.initPid), '--net', '--', ...command];
  }

  #enter(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    const target = ['--target', String(this.initPid), '--mount', '--net', '--uts', '--pid'];
    // Two steps for an ordinary user: the bed's namespace owns the others, the host's own is where it is not root.
    const second = asRoot ? [] : ['nsenter', '--user=/proc/1/ns/user', '--preserve-credentials', '--'];
    const inside = [...second, 'env', `--chdir=${options.cwd ?? this.home}`, '--', command, ...args];
    return spawn('nsenter', [...this.#userNamespace(), ...target, '--', ...inside], {
      env: { ...this.env, ...options.env },
      stdio: options.stdio ?? 'pipe',
      // Ctrl-C is not for nsenter: were it to die first, nobody in the bed could reap its child, and the bed would wait.
      detached: true,
    });
  }

  #userNamespace(): readonly string[] {
    return asRoot ? [] : [`--user=/proc/${this.#switch.bedPid}/ns/user`, '--preserve-credentials'];
  }
}

/** Whether a process is still one of the steps of `#enter`, about to become the command. */
function isEntering(entry: ProcessEntry | undefined): boolean {
  const [program, option] = entry?.args ?? [];
  return (
    program === undefined || program === 'nsenter' || (program === 'env' && option?.startsWith('--chdir=') === true)
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function killIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}
