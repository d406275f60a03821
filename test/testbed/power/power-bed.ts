import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { chmod, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type MessageBus } from 'dbus-native';
import { sh } from '../command.ts';

const here = import.meta.dirname;
const systemd = 'org.freedesktop.systemd1';
const logind = 'org.freedesktop.login1';
const manager = `${logind}.Manager`;
const startDeadlineMs = 15_000;

/** As any user of the machine's bus may: nothing here is about who may do what. */
const busConfig = (socket: string): string => `<busconfig><type>system</type>
  <listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
  <policy context="default"><allow user="*"/><allow own="*"/>
    <allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow send_destination="*" eavesdrop="true"/><allow receive_sender="*" eavesdrop="true"/>
  </policy></busconfig>`;

export interface PowerBedOptions {
  /** How long logind lets a delay lock hold up a suspend. */
  readonly inhibitDelayS?: number;
}

/** Somebody's lock, as logind lists it. */
export interface ListedLock {
  readonly what: string;
  readonly who: string;
  readonly mode: string;
  readonly pid: number;
}

/**
 * A machine's power as its own programs see it: a system bus, the real logind with a lid that tests move, and in place of
 * systemd somebody who notes when logind asks for a suspend, and sleeps until told to wake up. Needs root.
 */
export class PowerBed {
  /** For DBUS_SYSTEM_BUS_ADDRESS. */
  readonly address: string;
  /** When logind asked for a suspend, on performance.now(). */
  readonly suspendsMs: number[] = [];
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];
  readonly #buses: MessageBus[] = [];
  #systemd: MessageBus | undefined;
  #job: { readonly id: number; readonly path: string; readonly name: string } | undefined;
  #log = '';
  /** Where nobody stops it any more. */
  readonly #killAll = (): void => this.#children.forEach(killGroup);

  #options: Required<PowerBedOptions> = { inhibitDelayS: 10 };

  private constructor(folder: string) {
    this.#folder = folder;
    process.once('exit', this.#killAll);
    this.address = `unix:path=${folder}/bus`;
  }

  static async start({ inhibitDelayS = 10 }: PowerBedOptions = {}): Promise<PowerBed> {
    // Not under /tmp, which each host of a bed has for itself.
    const bed = new PowerBed(await mkdtemp('/var/tmp/hw-power-'));
    bed.#options = { inhibitDelayS };
    // Other users of the machine reach its bus too.
    await chmod(bed.#folder, 0o755);
    try {
      await bed.#start();
      return bed;
    } catch (thrown) {
      await bed.stop();
      throw thrown;
    }
  }

  async #start(): Promise<void> {
    await this.#startBus();
    await this.#startSystemd();
    await this.#startLogind();
  }

  /** Bus, systemd and logind crash and are there again, with no memory of any lock. */
  async restart(): Promise<void> {
    await this.#end();
    await this.#start();
  }

  async #startBus(): Promise<void> {
    await rm(join(this.#folder, 'bus'), { force: true });
    await writeFile(join(this.#folder, 'bus.conf'), busConfig(join(this.#folder, 'bus')));
    const daemon = this.spawn('dbus-daemon', [
      `--config-file=${this.#folder}/bus.conf`,
      '--nofork',
      '--nopidfile',
      '--print-address=1',
    ]);
    await once(daemon.stdout as NodeJS.ReadableStream, 'data');
  }

  /** A program of the machine, on its bus; ended with it. */
  spawn(command: string, args: readonly string[]): ChildProcess {
    const child = spawn(command, args, {
      env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: this.address },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, that ends with all it has started.
      detached: true,
    });
    const hear = (chunk: Buffer): void => {
      this.#log = (this.#log + chunk.toString()).slice(-200_000);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.on('error', (error) => hear(Buffer.from(`${command}: ${error.message}\n`)));
    this.#children.push(child);
    return child;
  }

  /** What the programs of this machine said. */
  get log(): string {
    return this.#log;
  }

  /** Opens or closes the lid, as its switch reports it. */
  async moveLid(closed: boolean): Promise<void> {
    await writeFile(join(this.#folder, 'state'), closed ? '1' : '0');
    const events = Buffer.alloc(48);
    // struct input_event: time (16 bytes), type, code, value; EV_SW SW_LID, then EV_SYN.
    events.writeUInt16LE(5, 16);
    events.writeInt32LE(closed ? 1 : 0, 20);
    const pipe = await open(join(this.#folder, 'event3'), 'w');
    await pipe.write(events);
    await pipe.close();
    await this.until(async () => (await this.property('LidClosed')) === closed, 'logind to see the lid');
  }

  /** A suspend that was asked for is over. */
  wake(): void {
    if (this.#job === undefined) throw new Error('Nobody sleeps.');
    const { id, path, name } = this.#job;
    this.#job = undefined;
    this.#systemd?.sendSignal('/org/freedesktop/systemd1', `${systemd}.Manager`, 'JobRemoved', 'uoss', [
      id,
      path,
      name,
      'done',
    ]);
  }

  async suspend(): Promise<void> {
    await this.#call('Suspend', 'b', [false]);
  }

  async locks(): Promise<ListedLock[]> {
    const rows = (await this.#call('ListInhibitors')) as [string, string, string, string, number, number][];
    return rows.map(([what, who, , mode, , pid]) => ({ what, who, mode, pid }));
  }

  /** Of logind's manager. */
  async property(name: string): Promise<unknown> {
    return this.client().invoke({
      destination: logind,
      path: '/org/freedesktop/login1',
      interface: 'org.freedesktop.DBus.Properties',
      member: 'Get',
      signature: 'ss',
      body: [manager, name],
    });
  }

  /** Somebody on the bus, the same each time. */
  client(): MessageBus {
    const [first] = this.#buses;
    return first ?? this.#connect();
  }

  async until(condition: () => boolean | Promise<boolean>, what: string, withinMs = startDeadlineMs): Promise<void> {
    for (const since = performance.now(); !(await condition()); await sleep(20)) {
      if (performance.now() - since > withinMs)
        throw new Error(`Waited in vain for ${what}.\n${this.#log.slice(-4_000)}`);
    }
  }

  async stop(): Promise<void> {
    process.off('exit', this.#killAll);
    await this.#end();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end(): Promise<void> {
    await Promise.all(this.#buses.splice(0).map((bus) => bus.close()));
    for (const child of this.#children.splice(0).reverse()) {
      const ended = once(child, 'close');
      if (killGroup(child)) await ended;
    }
    this.#log = '';
  }

  #connect(): MessageBus {
    const bus = createClient({ busAddress: this.address });
    bus.connection.on('error', () => undefined);
    this.#buses.push(bus);
    return bus;
  }

  #call(member: string, signature = '', body: unknown[] = []): PromiseLike<unknown> {
    return this.client().invoke({
      destination: logind,
      path: '/org/freedesktop/login1',
      interface: manager,
      member,
      ...(signature === '' ? {} : { signature, body }),
    });
  }

  /** As much of systemd as logind needs to suspend: the unit, and a job that ends when `wake` says so. */
  async #startSystemd(): Promise<void> {
    const bus = this.client();
    this.#systemd = bus;
    let jobs = 0;
    const start = (name: string): string => {
      jobs += 1;
      this.#job = { id: jobs, path: `/org/freedesktop/systemd1/job/${jobs}`, name };
      if (name === 'suspend.target') this.suspendsMs.push(performance.now());
      return this.#job.path;
    };
    bus.exportInterface(
      Object.assign(new EventEmitter(), { Subscribe: () => undefined, StartUnit: start }),
      '/org/freedesktop/systemd1',
      {
        name: `${systemd}.Manager`,
        methods: { Subscribe: ['', '', [], []], StartUnit: ['ss', 'o', ['name', 'mode'], ['job']] },
        signals: { JobRemoved: ['uoss', 'id', 'job', 'unit', 'result'] },
      },
    );
    bus.exportInterface(
      { LoadState: 'loaded', ActiveState: 'inactive', Id: 'suspend.target', Job: [0, '/'] },
      '/org/freedesktop/systemd1/unit/suspend_2etarget',
      {
        name: `${systemd}.Unit`,
        methods: {},
        signals: {},
        properties: { LoadState: 's', ActiveState: 's', Id: 's', Job: '(uo)' },
      },
    );
    await bus.requestName(systemd, 4);
  }

  async #startLogind(): Promise<void> {
    const folder = this.#folder;
    const { inhibitDelayS } = this.#options;
    await writeFile(join(folder, 'state'), '0');
    await writeFile(
      join(folder, 'logind.conf'),
      `[Login]\nInhibitDelayMaxSec=${inhibitDelayS}\nHandleLidSwitch=suspend\nHandleLidSwitchExternalPower=suspend\nHoldoffTimeoutSec=0\n`,
    );
    await rm(join(folder, 'event3'), { force: true });
    await sh('mkfifo', [join(folder, 'event3')]);
    await sh('gcc', ['-shared', '-fPIC', '-o', join(folder, 'evshim.so'), join(here, 'evshim.c'), '-ldl']);
    this.spawn('unshare', ['-m', join(here, 'logind.sh'), folder, here]);
    const isThere = (): Promise<boolean> =>
      this.property('LidClosed').then(
        (closed) => closed === false,
        () => false,
      );
    await this.until(isThere, 'logind');
    await this.until(() => this.#log.includes('Watching system buttons'), 'logind to find the lid');
  }
}

/** Says whether there was anything to kill. */
function killGroup({ pid }: ChildProcess): boolean {
  try {
    return pid !== undefined && process.kill(-pid, 'SIGKILL');
  } catch {
    return false;
  }
}
