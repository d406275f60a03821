/**
 * The workstation role: takes visits in, keeps them apart and alive, shows them out. It survives itself: visits go on
 * while no engine runs, and the next one adopts them.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { hostname, uptime } from 'node:os';
import { join } from 'node:path';
import { HomewardError } from '../../shared/errors.ts';
import type { HostFacts, MachineScores } from '../../shared/model/host.ts';
import type { VisitEndReason } from '../../shared/model/visit-end.ts';
import type { HostSettings } from '../../shared/rpc.ts';
import type { VisitInfo, VisitPaths, VisitRequest } from '../../shared/wire.ts';
import type { Libvirt } from '../libvirt/index.ts';
import type { HostHandlers, LocalHello, StreamEnd } from '../link/index.ts';
import { Admissions, type Guest } from './admissions.ts';
import type { MachineBenchmark } from './benchmark.ts';
import { Cage } from './cage.ts';
import { oneHashChain } from './hash-chain.ts';
import { type Clock, isInhabited, Keeping } from './keeping.ts';
import { type Peer, Peers } from './peers.ts';
import { HostProbe } from './probe.ts';
import { sendHome } from './send-home.ts';
import { Visit, type VisitOptions } from './visit.ts';
import { VisitWatch } from './watch.ts';

/** A visit that nobody moved into is ended after this long. */
const emptyForMs = 2 * 60_000;
/** And one whose domain is gone, unless its laptop does so first: it may want to know what became of it. */
const goneForMs = 10 * 60_000;
const sweepEveryMs = 10_000;

const systemClock: Clock = { now: Date.now, sinceBootMs: () => uptime() * 1_000 };

export interface HostRoleOptions {
  /** Private to this role; short, since sockets lie below it. */
  readonly folder: string;
  /** Outlives a reboot: what is remembered of visits that are over. */
  readonly bookFile: string;
  readonly settings: () => HostSettings;
  readonly libvirt: Libvirt;
  readonly version: string;
  readonly benchmark: Pick<MachineBenchmark, 'read'>;
  /** What this workstation calls itself now. */
  readonly name?: (() => string) | undefined;
  readonly clock?: Clock | undefined;
  /** For the log: what went wrong with nobody waiting for it. */
  readonly onFault?: ((error: unknown) => void) | undefined;
  /** A sentence for the owner about one of the visitors. */
  readonly onNews?: ((sentence: string) => void) | undefined;
}

interface Resident {
  readonly visit: Visit;
  readonly watch: VisitWatch;
  /** When it was last seen in use, on the clock. */
  usedAt: number;
}

export class HostRole {
  readonly #options: HostRoleOptions;
  readonly #clock: Clock;
  readonly #peers = new Peers();
  readonly #probe: HostProbe;
  readonly #hashChain = oneHashChain();
  readonly #admissions: Admissions;
  readonly #residents = new Map<string, Resident>();
  /** Prepares and ends under way, so that repeating either waits for the first. */
  readonly #preparing = new Map<string, Promise<Visit>>();
  readonly #ending = new Map<string, Promise<void>>();
  readonly #listeners = new Set<() => void>();
  #sweeper: NodeJS.Timeout | undefined;
  #keeping: Keeping | undefined;

  constructor(options: HostRoleOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#probe = new HostProbe({
      folder: join(options.folder, 'probe'),
      libvirt: options.libvirt,
      name: options.name ?? hostname,
      version: options.version,
      onFault: (error) => this.#fault(error),
    });
    this.#admissions = new Admissions({
      folder: this.#visitsFolder,
      settings: options.settings,
      facts: this.#probe.facts,
      residents: () => this.#inside(),
    });
  }

  /** Adopts the visits that are there and begins to learn about this machine. */
  async start(): Promise<void> {
    await mkdir(this.#visitsFolder, { recursive: true, mode: 0o700 });
    const { settings, onNews = () => undefined } = this.#options;
    const keeping = await Keeping.open({
      file: this.#options.bookFile,
      clock: this.#clock,
      leaseMs: () => settings().leaseHours * 3_600_000,
      onNews,
      onFault: (error) => this.#fault(error),
    });
    this.#keeping = keeping;
    await Promise.all((await readdir(this.#visitsFolder)).map((name) => this.#adopt(join(this.#visitsFolder, name))));
    const found = new Map([...this.#residents].map(([id, { visit }]) => [id, visit.state]));
    for (const id of keeping.compare(found)) this.endVisit(id).catch((error: unknown) => this.#fault(error));
    await this.#probe.start();
    this.#sweeper = setInterval(() => this.sweep(), sweepEveryMs);
    this.#sweeper.unref();
  }

  /** The engine goes; visits stay and run on. */
  async stop(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.allSettled([...this.#preparing.values(), ...this.#ending.values()]);
    await Promise.all([
      this.#probe.stop(),
      ...[...this.#residents.values()].map(async ({ visit, watch }) => {
        await watch.stop();
        await visit.leave();
      }),
    ]);
    this.#residents.clear();
    await this.#keeping?.written();
  }

  /** What the link answers a laptop's calls with. Streams its visits want are asked for there. */
  handlersFor(peer: Peer): HostHandlers {
    this.#peers.add(peer);
    const owner = peer.fingerprint;
    return {
      'host.facts': () => this.facts(),
      'host.benchmark': () => this.#scores(),
      'host.hashChain': this.#hashChain,
      'cpu.compare': (question) => this.#probe.compareCpu(question),
      'cpu.model': (question) => this.#probe.cpuModel(question),
      'visit.admit': async (request) => {
        await this.#admissions.check(owner, request);
        return {};
      },
      'visit.prepare': (request) => this.#prepare(owner, request),
      'visit.listen': async ({ visit, name }) => {
        await this.#visitOf(owner, visit).listenMigration(name);
        return {};
      },
      'visit.list': () => ({ visits: this.#visitsOf(owner) }),
      'visit.end': async ({ visit, why }) => {
        await this.#endFor(owner, visit, why);
        return {};
      },
    };
  }

  /** A laptop's stream to its own visit. Throws `refused` for any other. */
  async openLocal(peerFingerprint: string, hello: LocalHello): Promise<StreamEnd> {
    const visit = this.#visitOf(peerFingerprint, hello.visit);
    switch (hello.kind) {
      case 'libvirt':
        return visit.libvirtEnd();
      case 'migrate':
        return visit.callEnd(hello.name);
      case 'migration':
        return visit.migrationEnd(hello.name);
      default:
        return hello satisfies never;
    }
  }

  async #scores(): Promise<MachineScores> {
    const scores = await this.#options.benchmark.read();
    if (scores !== undefined) return scores;
    throw new HomewardError('refused', 'This workstation is at work; it measures itself when it has nothing to do.');
  }

  async facts(): Promise<HostFacts> {
    return { ...(await this.#probe.facts.read()), leaseHours: this.#options.settings().leaseHours };
  }

  visits(): VisitInfo[] {
    return [...this.#residents.values()].map(({ visit }) => this.#info(visit));
  }

  /** Visits that ended in the last day otherwise than by going home, newest first. */
  past(): VisitInfo[] {
    return (this.#keeping?.past() ?? []).filter(({ visit }) => !this.#residents.has(visit));
  }

  /** Asks the laptop that a visitor belongs to, to bring it home. @throws HomewardError where it cannot be asked */
  sendHome(id: string): void {
    const visit = this.#residents.get(id)?.visit;
    sendHome(visit?.info, visit === undefined ? undefined : this.#peers.get(visit.peer));
  }

  /**
   * Ends a visit with the running VM in it; harmless where there is none.
   * @param why Written down first, so that its laptop is told the same after a crash.
   */
  async endVisit(id: string, why?: VisitEndReason): Promise<void> {
    if (why !== undefined) await this.#keeping?.decide(id, why);
    await this.#preparing.get(id)?.catch(() => undefined);
    const ending = this.#ending.get(id) ?? this.#end(id).finally(() => this.#ending.delete(id));
    this.#ending.set(id, ending);
    await ending;
  }

  /** For a laptop that is trusted no more. A VM that runs here runs nowhere else, so losing it is never silent. */
  async endVisitsOf(peerFingerprint: string): Promise<void> {
    const theirs = [...this.#residents.values()].flatMap(({ visit }) =>
      visit.peer === peerFingerprint ? [visit] : [],
    );
    for (const { state, request } of theirs) {
      if (state === 'running' || state === 'paused') this.#fault(endedByRevocation(request.vmName));
    }
    await Promise.all(theirs.map(({ id }) => this.endVisit(id, 'revoked')));
  }

  /** Ends what nobody uses or waits for any more; every ten seconds by itself. */
  sweep(): void {
    this.#seeToLeases();
    const now = this.#clock.now();
    for (const [id, resident] of this.#residents) {
      const { state, streams } = resident.visit;
      const patienceMs = state === 'gone' ? goneForMs : emptyForMs;
      if (streams > 0 || (state !== 'gone' && state !== 'empty')) resident.usedAt = now;
      if (now - resident.usedAt < patienceMs) continue;
      this.endVisit(id).catch((error: unknown) => this.#fault(error));
    }
  }

  /** Called whenever `visits()` has changed. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  get #visitsFolder(): string {
    return join(this.#options.folder, 'v');
  }

  async #adopt(folder: string): Promise<void> {
    try {
      this.#take(await Visit.adopt(this.#visitOptions(folder)));
    } catch (error) {
      this.#fault(error);
      // Nobody can own what cannot be read.
      await new Cage(folder).end();
    }
  }

  #take(visit: Visit): void {
    const watch = new VisitWatch({
      visit,
      libvirt: this.#options.libvirt,
      onChange: (end) => this.#noteState(visit, end),
      onAbuse: (sentence) => {
        this.#fault(new HomewardError('refused', sentence));
        this.endVisit(visit.id, 'limits').catch((error: unknown) => this.#fault(error));
      },
      onFault: (error) => this.#fault(error),
    });
    this.#residents.set(visit.id, { visit, watch, usedAt: this.#clock.now() });
    watch.start();
    // How one ended that was found gone is for `compare` to say.
    if (visit.state !== 'gone') this.#noteState(visit, undefined);
  }

  /** Visits that are not over. */
  #inside(): Guest[] {
    return [...this.#residents.values()]
      .filter(({ visit }) => visit.state !== 'gone')
      .map(({ visit: { peer, request, state }, watch: { residentBytes } }) => ({
        owner: peer,
        request,
        state,
        residentBytes,
      }));
  }

  async #prepare(owner: string, request: VisitRequest): Promise<VisitPaths> {
    await this.#ending.get(request.visit);
    const there = this.#residents.get(request.visit);
    if (there) {
      const visit = this.#visitOf(owner, request.visit);
      if (visit.state === 'gone') throw new HomewardError('refused', 'This visit has ended; prepare a new one.');
      if (JSON.stringify(visit.request) !== JSON.stringify(request)) {
        throw new HomewardError('refused', 'A visit with this token was prepared for something else.');
      }
      return visit.paths;
    }
    const preparing =
      this.#preparing.get(request.visit) ?? this.#admissions.letIn(owner, request, () => this.#create(owner, request));
    this.#preparing.set(request.visit, preparing);
    try {
      const visit = await preparing;
      if (visit.peer !== owner) throw notYours();
      return visit.paths;
    } finally {
      this.#preparing.delete(request.visit);
    }
  }

  async #create(owner: string, request: VisitRequest): Promise<Visit> {
    await this.#endEmptyVisits(owner, request.vm);
    const visit = await Visit.create(owner, request, new Date(this.#clock.now()).toISOString(), {
      ...this.#visitOptions(join(this.#visitsFolder, request.visit.slice(0, 12))),
      capabilityCache: await this.#probe.capabilityCache(request.accel),
    });
    this.#take(visit);
    return visit;
  }

  /** An earlier attempt of the same VM that never came to anything makes room. */
  async #endEmptyVisits(owner: string, vm: string): Promise<void> {
    const empty = [...this.#residents.values()].filter(
      ({ visit }) => visit.peer === owner && visit.request.vm === vm && visit.state === 'empty',
    );
    await Promise.all(empty.map(({ visit }) => this.endVisit(visit.id)));
  }

  #visitOptions(folder: string): VisitOptions {
    return { folder, peers: this.#peers, onFault: (error) => this.#fault(error) };
  }

  /** Whether it exists is nobody else's business: a stranger's visit and none at all look the same. */
  #visitOf(owner: string, id: string): Visit {
    const visit = this.#residents.get(id)?.visit;
    if (visit === undefined || visit.peer !== owner) throw notYours();
    return visit;
  }

  async #endFor(owner: string, id: string, why: VisitEndReason | undefined): Promise<void> {
    const visit = this.#residents.get(id)?.visit ?? (await this.#preparing.get(id)?.catch(() => undefined));
    const isTheirs = visit?.peer === owner;
    if (!isTheirs && this.#keeping?.untold(owner).some((known) => known.visit === id) !== true) return;
    if (isTheirs) await this.endVisit(id);
    this.#keeping?.settle(id, why);
  }

  async #end(id: string): Promise<void> {
    const resident = this.#residents.get(id);
    if (resident === undefined) return;
    await resident.watch.stop();
    await resident.visit.setState('gone');
    await resident.visit.end();
    this.#residents.delete(id);
    this.#changed(resident.visit);
  }

  /** A visitor whose laptop stays silent is kept as long as the owner says. */
  #seeToLeases(): void {
    const inhabited = [...this.#residents.values()].filter(({ visit: { state } }) => isInhabited(state));
    const visitors = inhabited.map(({ visit: { id, peer, request } }) => ({
      id,
      vmName: request.vmName,
      connected: this.#peers.get(peer)?.connected === true,
    }));
    for (const id of this.#keeping?.sweep(visitors) ?? []) {
      this.endVisit(id, 'lease').catch((error: unknown) => this.#fault(error));
    }
  }

  #visitsOf(owner: string): VisitInfo[] {
    const there = [...this.#residents.values()].flatMap(({ visit }) =>
      visit.peer === owner ? [this.#info(visit)] : [],
    );
    // A laptop that gave up while it was waiting for one ends it as soon as it is back.
    const coming = this.#admissions.promised(owner).map((request) => this.#promise(request));
    const past = (this.#keeping?.untold(owner) ?? []).filter(({ visit }) => !this.#residents.has(visit));
    return [...there, ...coming, ...past];
  }

  #promise({ visit, vm, vmName, memoryBytes, vcpus }: VisitRequest): VisitInfo {
    return { visit, vm, vmName, memoryBytes, vcpus, state: 'empty', since: new Date(this.#clock.now()).toISOString() };
  }

  #info({ info }: Visit): VisitInfo {
    return this.#keeping?.told(info) ?? info;
  }

  #noteState(visit: Visit, end: VisitEndReason | undefined): void {
    this.#keeping?.note(visit.info, visit.peer, end);
    this.#changed(visit);
  }

  #changed(visit: Visit): void {
    this.#peers.get(visit.peer)?.notify('visit.changed', this.#info(visit));
    for (const listener of this.#listeners) listener();
  }

  #fault(error: unknown): void {
    this.#options.onFault?.(error);
  }
}

function endedByRevocation(vmName: string): HomewardError {
  return new HomewardError('not-paired', `${vmName} was ended here, because its computer is not paired any more.`, {
    hint: 'Its disk is at its home, as after a power cut: it can be started again there.',
  });
}

function notYours(): HomewardError {
  return new HomewardError('refused', 'There is no such visit of yours on this workstation.', {
    hint: 'It may have ended; see: homeward status',
  });
}
