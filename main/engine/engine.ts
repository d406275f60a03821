import pkg from '../../package.json' with { type: 'json' };
import { HomewardError } from '../../shared/errors.ts';
import type { Decision, Finding, Status } from '../../shared/rpc.ts';
import { MachineBenchmark } from '../host/index.ts';
import { Libvirt } from '../libvirt/index.ts';
import { inWords, see } from '../migrate/index.ts';
import { Monitor, type MonitorOptions } from '../monitor/index.ts';
import { Power } from '../power/index.ts';
import { bootId } from '../process/index.ts';
import { loadIdentity, PairingDesk, PeerStore } from '../trust/index.ts';
import { Adopter } from './adoption.ts';
import { AdoptionStore } from './adoption-store.ts';
import { Autopilot } from './autopilot.ts';
import { balloonAway } from './away-balloon.ts';
import { AwayVms } from './away-vms.ts';
import { BalloonKeeper } from './balloon-keeper.ts';
import { callsOn } from './calls.ts';
import { CrashKeeper } from './crash-keeper.ts';
import { Departure } from './departure.ts';
import { DiskKeeper } from './disk-keeper.ts';
import { Doctor } from './doctor.ts';
import { Experience } from './experience.ts';
import { Faults } from './faults.ts';
import { Fleet } from './fleet.ts';
import { HomeBenchmark } from './home-benchmark.ts';
import { HomeFacts } from './home-facts.ts';
import { HomeServices } from './home-services.ts';
import { bringHomeFor } from './home-wanted.ts';
import { HomeWishes } from './home-wishes.ts';
import { Hosting } from './hosting.ts';
import { Hosts } from './hosts.ts';
import { openJournal } from './journal.ts';
import { Lessons } from './lessons.ts';
import { acquireLock } from './lock.ts';
import { createLog } from './log.ts';
import { Moves } from './moves.ts';
import { ownName } from './own-name.ts';
import { preparePaths } from './paths.ts';
import { PauseAway } from './pause-away.ts';
import { Planner } from './planner.ts';
import { powerFindings } from './power-findings.ts';
import { preferencesOf } from './preferences.ts';
import { qemuUid } from './qemu-user.ts';
import { Reopening } from './reopening.ts';
import { Restarts } from './restart-here.ts';
import { type RpcServer, startRpcServer } from './rpc-server.ts';
import { openSettings } from './settings.ts';
import { Surroundings } from './surroundings.ts';
import { VisitKeeper } from './visit-keeper.ts';
import { Visits } from './visits.ts';
import { writersOf } from './writers.ts';

export interface EngineOptions {
  /** Let other computers offload here for as long as this engine runs, whatever the settings say. */
  readonly hostRole: boolean;
  /** Somebody asked over the socket for the engine to end. */
  readonly onStopAsked: () => void;
}

const { version } = pkg;

/** Root has no session of its own: there both names mean the same daemon, and each VM would be seen twice. */
const vmUris: MonitorOptions['uris'] =
  process.getuid?.() === 0 ? { system: 'qemu:///system' } : { session: 'qemu:///session', system: 'qemu:///system' };

/**
 * Wiring only: builds the rooms, connects them, and answers with what takes them down again.
 * @throws HomewardError `engine-running`, `damaged-file`, `permission`, `missing-tool`
 */
export async function startEngine(options: EngineOptions): Promise<() => Promise<void>> {
  const paths = await preparePaths();
  const lock = await acquireLock(paths.lockFile);
  const log = createLog();
  const startedAt = new Date().toISOString();
  const faults = new Faults();
  const onFault = (what: string, thrown: unknown): void => {
    faults.heard(what, thrown);
    log.warn({ err: inWords(thrown) }, what);
  };

  const settings = await openSettings(paths.settingsFile);
  const journal = await openJournal(paths.journalFile);
  if (journal.droppedBytes > 0) {
    log.warn(
      { droppedBytes: journal.droppedBytes },
      'the last entry of the journal was cut short, as by a crash or a power cut: it was dropped, and nothing had relied on it',
    );
  }
  const lessons = await Lessons.open({ file: `${paths.stateFolder}/learned.json`, onFault });
  const experience = new Experience(lessons);
  const adoptions = await AdoptionStore.open(`${paths.stateFolder}/vms`);
  const identity = await loadIdentity(paths.stateFolder);
  const peers = await PeerStore.open(`${paths.stateFolder}/peers.json`);
  const libvirt = await Libvirt.start();
  let server: RpcServer | undefined;
  const monitor = new Monitor({
    libvirt,
    uris: vmUris,
    // To be shown, or to foretell what a move takes; a move has QEMU measure for itself.
    wantsDirtyRate: (vm) => (server?.watched === true || experience.isWorking(vm)) && !moves.isMoving(vm),
  });
  const services = new HomeServices({
    runtimeFolder: paths.runtimeFolder,
    writersOf: ({ vm, connection }) =>
      writersOf(vm, journal, { bootId, seen: () => see(monitor.connection(connection), vm, false) }),
    qemuUid: async (name) => (name === 'system' ? qemuUid(await monitor.connection(name)) : undefined),
    onFault,
  });
  const awayVms = new AwayVms({ monitor, journal, adoptions });
  const fleet = new Fleet({ monitor, journal, adoptions, settings, services, awayVms, peers });
  const visits = new Visits(libvirt, paths.runtimeFolder);

  const onChange = (): void => server?.statusChanged();
  const hosts = new Hosts({
    identity,
    peers,
    settings,
    onWanted: (wanted) => visits.answer(wanted),
    watched: () => server?.watched ?? false,
    onChange,
    onFault,
  });
  const desk = new PairingDesk({
    identity,
    peers,
    ownName: () => settings.current.name,
    onPairing: (pairing) => server?.publish('pairing', pairing),
  });
  const benchmark = new MachineBenchmark({ folder: paths.stateFolder, version });
  const hosting = new Hosting({
    identity,
    peers,
    desk,
    libvirt,
    settings,
    folder: `${paths.runtimeFolder}/h`,
    bookFile: `${paths.stateFolder}/visits.json`,
    version,
    benchmark,
    forced: options.hostRole,
    onChange,
    onFault,
    onNews: (text) => {
      log.info(text);
      journal.append({ kind: 'event', text }).catch((thrown: unknown) => onFault('journal', thrown));
    },
  });
  const homeFacts = new HomeFacts({
    folder: paths.stateFolder,
    name: () => settings.current.name,
    version,
    connect: () => monitor.anyConnection(),
    onFault,
  });
  const homeBenchmark = new HomeBenchmark({ own: benchmark, onFault });
  const planner = new Planner({
    fleet,
    hosts,
    homeFacts: () => homeFacts.read(),
    ownName: () => ownName(),
    experience,
  });
  const moves = new Moves({
    journal,
    fleet,
    hosts,
    visits,
    planner,
    mayShrink: () => settings.current.balloon,
    onChange: (move) => {
      const vm = fleet.list().find(({ uuid }) => uuid === move.vm);
      const host = hosts.list().find(({ fingerprint }) => fingerprint === move.host);
      experience.noteMove(move, vm, host, Date.now());
      server?.publish('move', move);
      departure.moved(move);
      onChange();
    },
    onBalloonGiven: (vm, bytes) => balloons.given(vm, bytes),
    onEnded: (host) => {
      keeper.lookAt(host);
      crashes.look();
    },
    onFault,
  });
  const crashes = new CrashKeeper({ fleet, moves, journal, onFault });
  const adopter = new Adopter({ fleet, hosts, adoptions, services });
  const balloons = new BalloonKeeper({ fleet, moves, onFault });
  const pauseAway = new PauseAway({ journal, hosts, moves, visits, onChange, onFault });
  const power = new Power({
    onReadings: (readings) => {
      surroundings.onReadings(readings);
      departure.onReadings(readings);
    },
    beforeSleep: () => departure.beforeSleep(),
    onGuard: onChange,
    onFault,
  });
  const surroundings = new Surroundings({ power, settings, onFault });
  const onDecision = (decision: Decision): void => {
    server?.publish('decision', decision);
    onChange();
  };
  const departure: Departure = new Departure({
    fleet,
    journal,
    moves,
    settings,
    power,
    isReachable: (host) => hosts.isUp(host),
    bringHome: (vm, asked) => pauseAway.bringHome(vm, asked),
    safeEnd: pauseAway,
    onDecision,
    onFault,
  });
  const reopening = new Reopening({ journal, fleet, hosts, visits, moves, onFault });
  const keeper = new VisitKeeper({ journal, fleet, hosts, visits, services, moves, awayVms, onChange, onFault });
  const restarts = new Restarts({ journal, fleet, hosts, visits, moves, onChange, onFault });
  const disks = new DiskKeeper({ adoptions, services, fleet, moves, journal, onFault });
  const wishes = new HomeWishes({ journal, fleet, hosts, moves, onChange, onFault });
  hosts.onHomeWanted((host, visit) => {
    bringHomeFor(host, visit, { journal, fleet, moves }).catch((thrown: unknown) =>
      onFault(`bringing a VM home for ${host.name}`, thrown),
    );
  });
  const stopBallooning = balloonAway({
    onAway: (listener) => monitor.on('away', listener),
    journal,
    moves,
    settings,
    log,
  });
  const autopilot = new Autopilot({
    fleet,
    hosts,
    moves,
    monitor,
    journal,
    settings,
    experience,
    homeFacts: () => homeFacts.latest(),
    homeBenchmark: () => homeBenchmark.latest(),
    surroundings: () => surroundings.latest(),
    leaving: () => departure.leaving(),
    onDecision,
    onFault,
  });
  const doctor = new Doctor({
    fleet,
    hosts,
    monitor,
    adoptions,
    services,
    disks,
    homeFacts: () => homeFacts.read(),
    ownName: () => ownName(),
    isHost: () => hosting.settings.enabled,
    power: () => powerFindings(power),
    stateFolder: paths.stateFolder,
    version,
    noticed: () => [
      ...settings.findings,
      ...faults.findings(),
      ...journal.findings,
      ...adoptions.findings,
      ...reopening.findings(),
      ...monitor.obstacles().map(
        ({ connection, sentence, hint }): Finding => ({
          id: `libvirt-${connection}`,
          severity: 'note',
          title: `VMs of qemu:///${connection} are not watched`,
          detail: sentence,
          remedy: hint,
        }),
      ),
    ],
  });

  const status = (): Status => ({
    version,
    pid: process.pid,
    name: settings.current.name,
    fingerprint: identity.fingerprint,
    startedAt,
    vms: fleet.list(),
    hosts: hosts.list(),
    moves: [...moves.underWay()],
    suggestions: autopilot.suggestions(),
    decisions: autopilot.latest(),
    host: hosting.status(),
    guard: power.guard,
    preferences: preferencesOf(settings.current),
  });
  server = await startRpcServer({
    socketFile: paths.socketFile,
    handlers: callsOn({
      identity,
      peers,
      desk,
      fleet,
      hosts,
      hosting,
      moves,
      wishes,
      restarts,
      autopilot,
      pauseAway,
      planner,
      adopter,
      doctor,
      journal,
      settings,
      homeFacts,
      lessons,
      status,
      onChange,
      stop: options.onStopAsked,
    }),
    status,
    onFault: (fault) => onFault('a shell', fault),
  });
  monitor.on('change', () => {
    crashes.look();
    for (const vm of fleet.list()) restarts.noteRunning(vm).catch((thrown: unknown) => onFault('the journal', thrown));
    onChange();
  });
  monitor.on('sample', onChange);
  monitor.start();
  await hosts.start();
  // What served the disks may have ended with a reboot; VMs that start by themselves need it.
  for (const adoption of adoptions.all()) {
    services.ensure(adoption).catch((thrown: unknown) => onFault(`serving the disk of ${adoption.name}`, thrown));
  }
  adopter.reconcile().catch((thrown: unknown) => onFault('looking after VMs that were being made ready', thrown));
  await hosting.sync().catch((thrown: unknown) => onFault('turning the host role on', thrown));
  await reopening.recover();
  moves.recover();
  departure.sync();
  restarts.recover();
  keeper.start();
  wishes.start();
  disks.start();
  // Whatever kept this computer away is over.
  void pauseAway.wakeUp();
  autopilot.start();
  log.info({ version, fingerprint: identity.fingerprint }, 'engine started');

  return async () => {
    autopilot.stop();
    surroundings.stop();
    await departure.stop();
    wishes.stop();
    reopening.stop();
    keeper.stop();
    disks.stop();
    balloons.stop();
    desk.close();
    await server?.close();
    await hosting.stop();
    await stopBallooning();
    await hosts.stop();
    await visits.close();
    await monitor.stop();
    await libvirt.stop();
    await lessons.close();
    await journal.close();
    await lock.release();
    log.info('engine stopped');
  };
}

/** For a person at a terminal: the sentence and what to do. */
export function startupWords(thrown: unknown): string {
  const error = inWords(thrown);
  if (error instanceof HomewardError)
    return error.hint === undefined ? error.message : `${error.message}\n${error.hint}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
