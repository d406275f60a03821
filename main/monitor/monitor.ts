import { EventEmitter } from 'node:events';
import type { ConnectionName, Sample, VmState } from '../../shared/model/vm.ts';
import type { Connection, DomainStateName, DomainStats, Libvirt } from '../libvirt/index.ts';
import type { AgentTrouble } from './agent.ts';
import { AwayWatch } from './away-watch.ts';
import { type Clock, systemClock } from './clock.ts';
import { DirtyRates } from './dirty-rate.ts';
import { type HomeDomain, HomeWatch } from './home-watch.ts';
import type { Obstacle } from './obstacle.ts';
import type { Reading } from './rates.ts';
import { pollStats } from './stats.ts';
import { Track } from './track.ts';

export interface MonitorOptions {
  readonly libvirt: Libvirt;
  /** Usually `qemu:///session` and `qemu:///system`; tests have their own. */
  readonly uris: Readonly<Partial<Record<ConnectionName, string>>>;
  readonly clock?: Clock;
  /** Whether to measure now how fast that VM rewrites memory; never where absent. */
  readonly wantsDirtyRate?: (uuid: string) => boolean;
}

/** A VM as libvirt shows it, wherever it runs. */
export interface SeenVm {
  readonly uuid: string;
  readonly name: string;
  readonly connection: ConnectionName;
  readonly state: VmState;
  readonly vcpus: number;
  readonly memoryBytes: number;
}

export interface ConnectionObstacle extends Obstacle {
  readonly connection: ConnectionName;
}

export interface MonitorEvents {
  /** VMs came, went or changed, or a connection did. */
  change: [];
  sample: [uuid: string, sample: Sample];
  /** What a VM that is away said of itself a moment ago, and the way to it. */
  away: [uuid: string, stats: DomainStats, connect: () => Promise<Connection>];
}

const everyMs = 1_000;

/** Finds the user's VMs and takes one sample of each running one a second, at home and away. */
export class Monitor extends EventEmitter<MonitorEvents> {
  readonly #clock: Clock;
  readonly #homes: readonly HomeWatch[];
  readonly #aways = new Map<string, AwayWatch>();
  readonly #tracks = new Map<string, Track>();
  readonly #dirtyRates: DirtyRates;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;

  constructor({ libvirt, uris, clock = systemClock, wantsDirtyRate = () => false }: MonitorOptions) {
    super();
    this.#clock = clock;
    this.#dirtyRates = new DirtyRates(wantsDirtyRate, clock);
    this.#homes = (['session', 'system'] as const).flatMap((name) => {
      const uri = uris[name];
      if (uri === undefined) return [];
      const home: HomeWatch = new HomeWatch({
        name,
        uri,
        libvirt,
        clock,
        onChange: () => this.#onChange(),
        onReading: (uuid, reading) => {
          if (!this.#aways.has(uuid)) this.#onReading(uuid, reading, () => home.connection());
        },
      });
      return home;
    });
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#tick();
  }

  /** Closes the home connections; those of visits stay their owner's. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    for (const away of this.#aways.values()) away.close();
    this.#aways.clear();
    await Promise.all(this.#homes.map((home) => home.close()));
  }

  vms(): readonly SeenVm[] {
    return this.#homes.flatMap((home) =>
      home.domains().map(({ uuid, name, vcpus, memoryBytes, state }) => ({
        uuid,
        name,
        connection: home.name,
        state: this.#stateOf(uuid, home.obstacle === undefined ? state : 'nostate'),
        vcpus,
        memoryBytes,
      })),
    );
  }

  /** As of the last answer from where the VM is away; undefined where it is not followed there. */
  awayState(uuid: string): VmState | undefined {
    const away = this.#aways.get(uuid);
    return away === undefined ? undefined : (awayStates[away.stateNumber ?? 0] ?? 'unknown');
  }

  /** At home, wherever else it may run; undefined where libvirt here does not know it, or does not answer. */
  homeState(uuid: string): VmState | undefined {
    for (const home of this.#homes) {
      const domain = home.obstacle === undefined ? home.domains().find((one) => one.uuid === uuid) : undefined;
      if (domain !== undefined) return states[domain.state];
    }
    return undefined;
  }

  /** Whether `vms()` has all that libvirt knows there. */
  hasListed(name: ConnectionName): boolean {
    const home = this.#homes.find((candidate) => candidate.name === name);
    return home?.hasListed === true && home.obstacle === undefined;
  }

  /** What is amiss with its guest agent, where its definition has a channel for one and it runs at home. */
  agentTrouble(uuid: string): AgentTrouble | undefined {
    if (this.#aways.has(uuid)) return undefined;
    return this.#homes.map((home) => home.agentTrouble(uuid)).find((trouble) => trouble !== undefined);
  }

  /** Oldest first, at most ten minutes; the same array goes on growing. */
  samples(uuid: string): readonly Sample[] {
    return this.#tracks.get(uuid)?.samples ?? [];
  }

  /** From now on the VM's samples come from there. `connect` is asked each time and keeps its connection itself. */
  watchAway(uuid: string, connect: () => Promise<Connection>): void {
    this.#leave(uuid);
    const away = new AwayWatch({
      uuid,
      poll: async () => pollStats(await connect()),
      clock: this.#clock,
      onReading: (reading) => {
        this.#onReading(uuid, reading, connect);
        this.emit('away', uuid, reading.stats, connect);
      },
      onState: () => this.emit('change'),
    });
    this.#aways.set(uuid, away);
    this.emit('change');
    // Until it has answered nobody knows what the VM does.
    if (this.#isRunning) void away.tick();
  }

  /** What kept a VM that is away from being watched is over: it is tried again without a pause. */
  lookAgain(uuid: string): void {
    this.#aways.get(uuid)?.lookAgain();
  }

  watchHome(uuid: string): void {
    if (!this.#aways.has(uuid)) return;
    this.#leave(uuid);
    this.emit('change');
  }

  /** Connections that cannot be watched now; they are tried again by themselves. */
  obstacles(): readonly ConnectionObstacle[] {
    return this.#homes.flatMap(({ name, obstacle }) =>
      obstacle === undefined ? [] : [{ connection: name, ...obstacle }],
    );
  }

  /**
   * The monitor's own connection, for others to share. @throws HomewardError `libvirt` with the obstacle.
   */
  connection(name: ConnectionName): Promise<Connection> {
    return this.#home(name).connection();
  }

  /** Any that works, to ask about this machine. @throws as `connection` */
  anyConnection(): Promise<Connection> {
    const home = this.#homes.find(({ obstacle }) => obstacle === undefined) ?? this.#homes[0];
    if (home === undefined) throw new RangeError('No connection is watched');
    return home.connection();
  }

  uri(name: ConnectionName): string {
    return this.#home(name).uri;
  }

  #home(name: ConnectionName): HomeWatch {
    const home = this.#homes.find((candidate) => candidate.name === name);
    if (home === undefined) throw new RangeError(`The ${name} connection is not watched`);
    return home;
  }

  #tick(): void {
    if (!this.#isRunning) return;
    const startedMs = this.#clock.monotonicMs();
    for (const watch of [...this.#homes, ...this.#aways.values()]) void watch.tick();
    const tookMs = this.#clock.monotonicMs() - startedMs;
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, everyMs - tookMs));
  }

  #leave(uuid: string): void {
    this.#aways.get(uuid)?.close();
    this.#aways.delete(uuid);
    this.#tracks.get(uuid)?.interrupt();
    this.#dirtyRates.forget(uuid);
  }

  #onReading(uuid: string, reading: Reading, connect: () => Promise<Connection>): void {
    const track = this.#tracks.get(uuid) ?? new Track();
    this.#tracks.set(uuid, track);
    void this.#dirtyRates.tick(uuid, connect);
    const sample = track.add({ ...reading, dirtyBytesPerSec: this.#dirtyRates.of(uuid) });
    if (sample !== undefined) this.emit('sample', uuid, sample);
  }

  #onChange(): void {
    const known = new Set(this.#homes.flatMap((home) => home.domains().map(({ uuid }: HomeDomain) => uuid)));
    for (const uuid of this.#tracks.keys()) {
      if (known.has(uuid) || this.#aways.has(uuid)) continue;
      this.#tracks.delete(uuid);
      this.#dirtyRates.forget(uuid);
    }
    this.emit('change');
  }

  #stateOf(uuid: string, atHome: DomainStateName): VmState {
    return this.awayState(uuid) ?? states[atHome];
  }
}

const states: Readonly<Record<DomainStateName, VmState>> = {
  nostate: 'unknown',
  running: 'running',
  blocked: 'running',
  paused: 'paused',
  shutdown: 'running',
  shutoff: 'shutoff',
  crashed: 'crashed',
  pmsuspended: 'paused',
};
/** By virDomainState. */
const awayStates: readonly VmState[] = Object.values(states);
