import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { HostRole, MachineBenchmark, type Peer } from '../../main/host/index.ts';
import { type Connection, Libvirt } from '../../main/libvirt/index.ts';
import type { StreamWish } from '../../main/link/index.ts';
import { HomewardError } from '../../shared/errors.ts';
import type { HostSettings } from '../../shared/rpc.ts';
import type { VisitInfo, VisitRequest } from '../../shared/wire.ts';

export const mib = 1024 ** 2;

const generous: HostSettings = {
  enabled: true,
  port: 0,
  maxVisitors: 4,
  maxMemoryBytes: 8 * 1024 * mib,
  maxVcpus: 8,
  leaseHours: 168,
};

/** A workstation in a folder of its own, with laptops that speak to it without a network in between. */
export class Workstation {
  readonly folder: string;
  readonly libvirt: Libvirt;
  readonly faults: unknown[] = [];
  readonly notices: VisitInfo[] = [];
  settings = generous;
  /** Added to the clock that counts since boot. */
  passedMs = 0;
  readonly news: string[] = [];
  role: HostRole;
  readonly #doors: Server[] = [];
  readonly #connections: Connection[] = [];

  private constructor(folder: string, libvirt: Libvirt) {
    this.folder = folder;
    this.libvirt = libvirt;
    this.role = this.#newRole();
  }

  static async start(): Promise<Workstation> {
    const workstation = new Workstation(await mkdtemp('/var/tmp/hwh-'), await Libvirt.start());
    await workstation.role.start();
    return workstation;
  }

  /** The engine ends and the next one starts. */
  async restartEngine(): Promise<void> {
    await this.role.stop();
    this.role = this.#newRole();
    await this.role.start();
  }

  laptop(streams: (wish: StreamWish) => Promise<Duplex> = noStreams): Laptop {
    return new Laptop(this, streams);
  }

  visitFolder(visit: string): string {
    return join(this.folder, 'v', visit.slice(0, 12));
  }

  /** Serves `open` at a path, as home's end of the link does, and connects libvirt there. */
  async connect(open: () => Promise<Duplex>): Promise<Connection> {
    const path = join(this.folder, `laptop-${this.#doors.length}.sock`);
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      open().then(
        (stream) => {
          stream.on('error', () => socket.destroy()).once('close', () => socket.destroy());
          socket.once('close', () => stream.destroy());
          socket.pipe(stream).pipe(socket);
        },
        () => socket.destroy(),
      );
    });
    this.#doors.push(server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const connection = await this.libvirt.connect(`qemu:///session?socket=${path}`);
    this.#connections.push(connection);
    return connection;
  }

  async openLibvirt(fingerprint: string, visit: string): Promise<Duplex> {
    const end = await this.role.openLocal(fingerprint, { kind: 'libvirt', visit });
    const [near, far] = duplexPair();
    void end.attach(far);
    // The pair does not tell of a destruction; a connection would.
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
    return near;
  }

  /** As if nobody had been here. */
  async clear(): Promise<void> {
    await Promise.all(this.#connections.splice(0).map((connection) => connection.close()));
    await Promise.all(this.role.visits().map(({ visit }) => this.role.endVisit(visit)));
    this.settings = generous;
    this.faults.length = 0;
    this.notices.length = 0;
    this.news.length = 0;
    this.passedMs = 0;
  }

  async close(): Promise<void> {
    await this.clear();
    await this.role.stop();
    await Promise.all(this.#doors.map((server) => new Promise((resolve) => server.close(resolve))));
    await this.libvirt.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  #newRole(): HostRole {
    return new HostRole({
      folder: this.folder,
      bookFile: join(this.folder, 'visits.json'),
      libvirt: this.libvirt,
      version: '0.0.0',
      benchmark: new MachineBenchmark({ folder: this.folder, version: '0.0.0' }),
      settings: () => this.settings,
      clock: { now: Date.now, sinceBootMs: () => uptime() * 1_000 + this.passedMs },
      onNews: (sentence) => this.news.push(sentence),
      onFault: (error) => this.faults.push(error),
    });
  }
}

export class Laptop {
  readonly fingerprint = randomBytes(32).toString('hex');
  readonly #workstation: Workstation;
  readonly #streams: (wish: StreamWish) => Promise<Duplex>;

  constructor(workstation: Workstation, streams: (wish: StreamWish) => Promise<Duplex>) {
    this.#workstation = workstation;
    this.#streams = streams;
  }

  get calls() {
    return this.arrive();
  }

  /** As the link does when the laptop first connects. */
  arrive() {
    const peer: Peer = {
      fingerprint: this.fingerprint,
      name: 'laptop',
      connected: true,
      requestStream: this.#streams,
      notify: (name, payload) => {
        if (name === 'visit.changed') this.#workstation.notices.push(payload as VisitInfo);
      },
    };
    return this.#workstation.role.handlersFor(peer);
  }

  async visit(options: Partial<VisitRequest> = {}): Promise<VisitRequest> {
    const request = visitRequest(options);
    await this.calls['visit.prepare'](request);
    return request;
  }

  connect({ visit }: VisitRequest): Promise<Connection> {
    return this.#workstation.connect(() => this.#workstation.openLibvirt(this.fingerprint, visit));
  }
}

export function visitRequest(options: Partial<VisitRequest> = {}): VisitRequest {
  return {
    visit: randomBytes(16).toString('hex'),
    vm: randomUUID(),
    vmName: 'daily',
    vcpus: 1,
    memoryBytes: 256 * mib,
    accel: 'tcg',
    migrationFolder: '/tmp/homeward-test12',
    disks: [],
    nics: 0,
    ...options,
  };
}

export interface DomainOptions {
  readonly memoryMib?: number;
  readonly devices?: string;
  readonly emulator?: string;
  readonly arguments?: readonly string[];
}

/** A guest without a disk: its firmware runs and finds nothing to boot. */
export function domainXml({ vm, vmName }: VisitRequest, options: DomainOptions = {}): string {
  const { memoryMib = 64, devices = '', emulator, arguments: extra = [] } = options;
  return `<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
    <name>${vmName}</name><uuid>${vm}</uuid><memory unit='MiB'>${memoryMib}</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type></os>
    <devices>${emulator === undefined ? '' : `<emulator>${emulator}</emulator>`}${devices}<memballoon model='none'/></devices>
    <qemu:commandline>${extra.map((argument) => `<qemu:arg value='${argument}'/>`).join('')}</qemu:commandline>
  </domain>`;
}

/** Waits until `check` gives something; throws when it takes longer than `withinMs`. */
export async function eventually<T>(
  check: () => T | undefined | Promise<T | undefined>,
  withinMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await check();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs} ms in vain.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface SeenProcess {
  readonly pid: number;
  readonly command: string;
}

/** Everything below `pid`, itself included. */
export async function processesBelow(pid: number): Promise<SeenProcess[]> {
  const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
  const command = (await read('cmdline')).split('\0')[0] ?? '';
  const status = await read('status');
  if (status === '') return [];
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const children = await Promise.all(tasks.map((task) => read(`task/${task}/children`)));
  const pids = children.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
  return [{ pid, command }, ...(await Promise.all(pids.map(processesBelow))).flat()];
}

/** The first process of a visit's sandbox. */
export async function sandboxPid(workstation: Workstation, visit: string): Promise<number> {
  return Number(JSON.parse(await readFile(join(workstation.visitFolder(visit), 'inner.json'), 'utf8')).pid);
}

export async function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ path });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

function noStreams(): Promise<Duplex> {
  return Promise.reject(new HomewardError('refused', 'This laptop gives no streams.'));
}
