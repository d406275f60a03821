import { setTimeout as sleep } from 'node:timers/promises';
import { HomewardError } from '../../shared/errors.ts';
import type { ConnectionName } from '../../shared/model/vm.ts';
import {
  type Connection,
  type DomainStateName,
  type DomainSummary,
  type Libvirt,
  type LibvirtEvent,
  readDomain,
} from '../libvirt/index.ts';
import { Agent, type AgentCommand, type AgentTrouble } from './agent.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { type Obstacle, obstacleOf } from './obstacle.ts';
import type { Reading } from './rates.ts';
import { pollStats } from './stats.ts';

export interface HomeDomain {
  readonly uuid: string;
  readonly name: string;
  readonly state: DomainStateName;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Its definition has a channel for the QEMU guest agent. */
  readonly hasAgent: boolean;
}

export interface HomeWatchOptions {
  readonly name: ConnectionName;
  readonly uri: string;
  readonly libvirt: Libvirt;
  readonly clock: Clock;
  /** The domains, their states or the obstacle are other than before. */
  readonly onChange: () => void;
  readonly onReading: (uuid: string, reading: Reading) => void;
}

/** Events keep the list fresh; this catches what was missed while the daemon restarted. */
const listEveryMs = 30_000;
/** libvirt counts it in whole seconds. Should libvirt itself hang on an agent, its connection is left behind. */
const agentPatienceS = 1;
const agentDeadlineMs = 3_000;
const agentChannel = 'org.qemu.guest_agent.0';

/** One of the user's own libvirt connections: its domains, and a reading of each running one a second. */
export class HomeWatch {
  readonly #options: HomeWatchOptions;
  readonly #backoff: Backoff;
  readonly #domains = new Map<string, HomeDomain>();
  /** Domains whose definition may have changed since it was read. */
  readonly #stale = new Set<string>();
  readonly #agents = new Map<string, Agent>();
  #connection: Promise<Connection> | undefined;
  /** Agents have one of their own, so that one that hangs delays no other call; opened for the first of them. */
  #agentConnection: Promise<Connection> | undefined;
  #obstacle: Obstacle | undefined;
  #listedMs = Number.NEGATIVE_INFINITY;
  #hasListed = false;
  #isBusy = false;
  #isClosed = false;

  constructor(options: HomeWatchOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
  }

  get name(): ConnectionName {
    return this.#options.name;
  }

  get uri(): string {
    return this.#options.uri;
  }

  get obstacle(): Obstacle | undefined {
    return this.#obstacle;
  }

  /** Whether `domains()` has been complete once. */
  get hasListed(): boolean {
    return this.#hasListed;
  }

  domains(): readonly HomeDomain[] {
    return [...this.#domains.values()];
  }

  /** The connection this watch uses; opened now if need be. @throws HomewardError `libvirt` with the obstacle. */
  async connection(): Promise<Connection> {
    try {
      return await this.#open();
    } catch (thrown) {
      const { sentence, hint } = obstacleOf(thrown, this.uri);
      throw new HomewardError('libvirt', sentence, { hint, cause: thrown });
    }
  }

  /** Does what is due; called once a second, never overlaps itself, never throws. */
  async tick(): Promise<void> {
    if (this.#isBusy || this.#isClosed || !this.#backoff.isDue) return;
    this.#isBusy = true;
    try {
      const connection = await this.#open();
      await this.#list(connection);
      await this.#read(connection);
      this.#backoff.succeeded();
      this.#setObstacle(undefined);
    } catch (thrown) {
      if (this.#isClosed) return;
      this.#backoff.failed();
      this.#listedMs = Number.NEGATIVE_INFINITY;
      this.#setObstacle(obstacleOf(thrown, this.uri));
    } finally {
      this.#isBusy = false;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const opening of [this.#connection, this.#agentConnection]) {
      const connection = await opening?.catch(() => undefined);
      await connection?.close();
    }
  }

  agentTrouble(uuid: string): AgentTrouble | undefined {
    return this.#agents.get(uuid)?.trouble;
  }

  #open(): Promise<Connection> {
    const { libvirt } = this.#options;
    this.#connection ??= libvirt.connect(this.uri).then(
      (connection) => {
        connection.onEvent((event) => this.#onEvent(event));
        return connection;
      },
      (thrown: unknown) => {
        this.#connection = undefined;
        throw thrown;
      },
    );
    return this.#connection;
  }

  #onEvent(event: LibvirtEvent): void {
    if (event.kind !== 'lifecycle' && event.kind !== 'connection') return;
    if (event.kind === 'lifecycle') this.#stale.add(event.uuid);
    this.#listedMs = Number.NEGATIVE_INFINITY;
    void this.tick();
  }

  async #list(connection: Connection): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs();
    if (startedMs - this.#listedMs < listEveryMs) return;
    // Before the question: an event during it makes the list stale again.
    this.#listedMs = startedMs;
    const stale = new Set(this.#stale);
    this.#stale.clear();
    const summaries = await connection.listDomains();
    const present = new Map<string, HomeDomain>();
    for (const summary of summaries) {
      const known = stale.has(summary.uuid) ? undefined : this.#domains.get(summary.uuid);
      const size = known ?? (await sizeOf(connection, summary));
      if (size !== undefined) present.set(summary.uuid, { ...size, ...identityOf(summary) });
    }
    this.#hasListed = true;
    const isSame =
      present.size === this.#domains.size &&
      [...present].every(([uuid, domain]) => isEqual(domain, this.#domains.get(uuid)));
    if (isSame) return;
    this.#domains.clear();
    for (const [uuid, domain] of present) this.#domains.set(uuid, domain);
    this.#options.onChange();
  }

  async #read(connection: Connection): Promise<void> {
    const isAnyRunning = this.domains().some(({ state }) => state === 'running' || state === 'blocked');
    if (!isAnyRunning) {
      this.#agents.clear();
      return;
    }
    const { clock, onReading } = this.#options;
    const records = await pollStats(connection);
    const at = clock.now();
    const monotonicMs = clock.monotonicMs();
    for (const { uuid, stats } of records) {
      const agent = this.#agentOf(uuid);
      onReading(uuid, { at, monotonicMs, stats, ...(agent === undefined ? {} : { guest: agent.figures }) });
    }
    // Not waited for: what an agent says comes with a later reading.
    for (const [uuid, agent] of this.#agents) {
      if (records.some((record) => record.uuid === uuid)) void agent.tick();
      else this.#agents.delete(uuid);
    }
  }

  #agentOf(uuid: string): Agent | undefined {
    if (this.#domains.get(uuid)?.hasAgent !== true) {
      this.#agents.delete(uuid);
      return undefined;
    }
    const agent =
      this.#agents.get(uuid) ?? new Agent((command) => this.#askAgent(uuid, command), this.#options.clock, sleep);
    this.#agents.set(uuid, agent);
    return agent;
  }

  async #askAgent(uuid: string, command: AgentCommand): Promise<unknown> {
    this.#agentConnection ??= this.#options.libvirt.connect(this.uri).catch((thrown: unknown) => {
      this.#agentConnection = undefined;
      throw thrown;
    });
    const connection = await this.#agentConnection;
    return await connection.guestAgentCommand(uuid, command, agentPatienceS, { deadlineMs: agentDeadlineMs });
  }

  #setObstacle(obstacle: Obstacle | undefined): void {
    const isSame = this.#obstacle?.sentence === obstacle?.sentence;
    this.#obstacle = obstacle;
    if (!isSame) this.#options.onChange();
  }
}

function identityOf({ uuid, name, state }: DomainSummary): Pick<HomeDomain, 'uuid' | 'name' | 'state'> {
  return { uuid, name, state };
}

async function sizeOf(
  connection: Connection,
  { uuid }: DomainSummary,
): Promise<Pick<HomeDomain, 'vcpus' | 'memoryBytes' | 'hasAgent'> | undefined> {
  try {
    const { vcpus, memoryBytes, channels } = readDomain(await connection.domainXml(uuid));
    return { vcpus, memoryBytes, hasAgent: channels.some(({ targetName }) => targetName === agentChannel) };
  } catch {
    // Gone since the listing; its event makes the next one.
    return undefined;
  }
}

function isEqual(a: HomeDomain, b: HomeDomain | undefined): boolean {
  return (
    b !== undefined &&
    a.name === b.name &&
    a.state === b.state &&
    a.vcpus === b.vcpus &&
    a.memoryBytes === b.memoryBytes &&
    a.hasAgent === b.hasAgent
  );
}
