import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sh } from './command.ts';
import { asRoot, BedHost, repository, type Switch } from './host.ts';
import { descendantsOf } from './processes.ts';

export interface BedOptions {
  /** Limit of each host's sending direction; none by default. */
  readonly rateMbit?: number;
}

const keeperScript = fileURLToPath(new URL('namespace/keeper.sh', import.meta.url));
const startDeadlineMs = 10_000;

/**
 * Two machines on this one, by unnamed namespaces; the same for root and for an ordinary user. Beds do not see each
 * other. However this process ends, the bed ends with it (namespace/keeper.sh).
 */
export class Bed implements Switch {
  readonly folder: string;
  readonly laptop: BedHost;
  readonly workstation: BedHost;
  readonly #hosts: BedHost[] = [];
  readonly #keeper: ChildProcess;
  #said = '';
  #bedPid = 0;
  #rateMbit: number | null;

  private constructor(folder: string, options: BedOptions) {
    this.folder = folder;
    this.#rateMbit = options.rateMbit ?? null;
    // A session of its own: Ctrl-C in the terminal must not kill what cleans up.
    this.#keeper = spawn(keeperScript, [folder], { detached: true, stdio: 'pipe' });
    this.#keeper.stderr?.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-4_000);
    });
    this.#keeper.stdin?.on('error', () => {}); // told by the keeper's exit
    this.laptop = new BedHost(this, 'laptop', '10.77.0.1');
    this.workstation = new BedHost(this, 'workstation', '10.77.0.2');
  }

  static async create(options: BedOptions = {}): Promise<Bed> {
    // Each host has a /tmp of its own, in which this checkout would not be.
    if (repository.startsWith('/tmp/'))
      throw new Error(`The two hosts cannot run from ${repository}: move it out of /tmp.`);
    // Short, since UNIX socket paths are, and not under /tmp, which each host has for itself.
    const bed = new Bed(await mkdtemp('/var/tmp/hw-'), options);
    try {
      await bed.#ready();
      await bed.#plugIn(bed.laptop);
      await bed.#plugIn(bed.workstation);
    } catch (error) {
      await bed.close();
      throw error;
    }
    return bed;
  }

  get bedPid(): number {
    return this.#bedPid;
  }

  get hosts(): readonly BedHost[] {
    return this.#hosts;
  }

  /** A further machine on the same network, e.g. a second laptop. */
  async addHost(name: string): Promise<BedHost> {
    const host = new BedHost(this, name, `10.77.0.${this.#hosts.length + 1}`);
    await this.#plugIn(host);
    return host;
  }

  /** Limits both directions between the hosts; null takes the limit away. */
  async setRate(rateMbit: number | null): Promise<void> {
    this.#rateMbit = rateMbit;
    for (const host of this.#hosts) if (host.on) await host.setRate(rateMbit);
  }

  /** Pulls the laptop's cable: its eth0 loses the carrier and keeps its address. */
  async linkDown(): Promise<void> {
    await this.admin('ip', ['link', 'set', this.laptop.name, 'down']);
  }

  async linkUp(): Promise<void> {
    await this.admin('ip', ['link', 'set', this.laptop.name, 'up']);
  }

  /** Ends everything in the bed and removes its folder. Closing twice is harmless. */
  async close(): Promise<void> {
    this.#keeper.stdin?.end();
    if (this.#keeper.exitCode === null && this.#keeper.signalCode === null) await once(this.#keeper, 'exit');
  }

  async startHost(name: string, address: string): Promise<number> {
    this.#keeper.stdin?.write(`host ${name} ${address}\n`);
    const folder = join(this.folder, name);
    await this.#until(`${name} to start`, () =>
      access(join(folder, 'up')).then(
        () => true,
        () => false,
      ),
    );
    const init = descendantsOf(this.#bedPid).find(
      ({ args }) => args[0] !== 'unshare' && args[1]?.endsWith('/init.sh') === true && args[2] === folder,
    );
    if (init === undefined) throw new Error(`${name} has no PID 1. ${this.#said}`);
    return init.pid;
  }

  async admin(command: string, args: readonly string[]): Promise<void> {
    const target = ['--target', String(this.#bedPid), '--net'];
    await sh('nsenter', [...(asRoot ? [] : ['--user', '--preserve-credentials']), ...target, '--', command, ...args]);
  }

  async #plugIn(host: BedHost): Promise<void> {
    this.#hosts.push(host);
    await host.powerOn();
    if (this.#rateMbit !== null) await host.setRate(this.#rateMbit);
  }

  async #ready(): Promise<void> {
    const { stdout } = this.#keeper;
    if (stdout === null) throw new Error('The keeper of the test bed has no output.');
    const lines = createInterface({ input: stdout });
    let ready = false;
    lines.on('line', (line) => {
      ready ||= line === 'ready';
    });
    await this.#until('the test bed to start', () => ready);
    const pid1 = descendantsOf(this.#keeper.pid ?? -1).find(
      ({ args }) => args[0] !== 'unshare' && args[1]?.endsWith('/bed.sh') === true,
    );
    if (pid1 === undefined) throw new Error('The test bed has no PID 1.');
    this.#bedPid = pid1.pid;
  }

  async #until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
    for (const since = performance.now(); !(await check()); await sleep(10)) {
      if (this.#keeper.exitCode !== null || performance.now() - since > startDeadlineMs) {
        throw new Error(`Waited in vain for ${what}. ${this.#said.trim()}`);
      }
    }
  }
}
