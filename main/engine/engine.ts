import pkg from '../../package.json' with { type: 'json' };
import { HomewardError } from '../../shared/errors.ts';
import type { Finding, Status } from '../../shared/rpc.ts';
import { Libvirt } from '../libvirt/index.ts';
import { inWords } from '../migrate/index.ts';
import { Monitor, type MonitorOptions } from '../monitor/index.ts';
import { loadIdentity, PairingDesk, PeerStore } from '../trust/index.ts';
import { Adopter } from './adoption.ts';
import { AdoptionStore } from './adoption-store.ts';
import { Autopilot } from './autopilot.ts';
import { callsOn } from './calls.ts';
import { Doctor } from './doctor.ts';
import { Faults } from './faults.ts';
import { Fleet } from './fleet.ts';
import { HomeFacts } from './home-facts.ts';
import { HomeServices } from './home-services.ts';
import { Hosting } from './hosting.ts';
import { Hosts } from './hosts.ts';
import { openJournal } from './journal.ts';
import { acquireLock } from './lock.ts';
import { createLog } from './log.ts';
import { Moves } from './moves.ts';
import { ownName } from './own-name.ts';
import { preparePaths } from './paths.ts';
import { Planner } from './planner.ts';
import { qemuUid } from './qemu-user.ts';
import { type RpcServer, startRpcServer } from './rpc-server.ts';
import { openSettings } from './settings.ts';
import { Visits } from './visits.ts';

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
  const adoptions = await AdoptionStore.open(`${paths.stateFolder}/vms`);
  const identity = await loadIdentity(paths.stateFolder);
  const peers = await PeerStore.open(`${paths.stateFolder}/peers.json`);
  const libvirt = await Libvirt.start();
  const monitor = new Monitor({ libvirt, uris: vmUris });
  const services = new HomeServices({
    runtimeFolder: paths.runtimeFolder,
    writerOf: (vm) => {
      const place = journal.place(vm)?.place;
      return place?.kind === 'away' ? `visit-${place.visit}` : 'home';
    },
    qemuUid: async (name) => (name === 'system' ? qemuUid(await monitor.connection(name)) : undefined),
    onFault,
  });
  const fleet = new Fleet({ monitor, journal, adoptions, settings, services });
  const visits = new Visits(libvirt, paths.runtimeFolder);

  let server: RpcServer | undefined;
  const onChange = (): void => server?.statusChanged();
  const hosts = new Hosts({
    identity,
    peers,
    settings,
    onWanted: (wanted) => visits.answer(wanted),
    onChange,
    onFault,
  });
  const desk = new PairingDesk({
    identity,
    peers,
    ownName: () => settings.current.name,
    onPairing: (pairing) => server?.publish('pairing', pairing),
  });
  const hosting = new Hosting({
    identity,
    peers,
    desk,
    libvirt,
    settings,
    folder: `${paths.runtimeFolder}/h`,
    version,
    forced: options.hostRole,
    onChange,
    onFault,
  });
  const homeFacts = new HomeFacts({
    folder: paths.stateFolder,
    name: () => settings.current.name,
    version,
    connect: () => monitor.anyConnection(),
    onFault,
  });
  const planner = new Planner({ fleet, hosts, homeFacts: () => homeFacts.read(), ownName: () => ownName() });
  const moves = new Moves({
    libvirt,
    journal,
    fleet,
    hosts,
    visits,
    planner,
    onChange: (move) => {
      server?.publish('move', move);
      onChange();
    },
    onFault,
  });
  const autopilot = new Autopilot({
    fleet,
    hosts,
    moves,
    monitor,
    journal,
    settings,
    homeFacts: () => homeFacts.latest(),
    onDecision: (decision) => {
      server?.publish('decision', decision);
      onChange();
    },
    onFault,
  });
  const doctor = new Doctor({
    fleet,
    hosts,
    adoptions,
    services,
    homeFacts: () => homeFacts.read(),
    ownName: () => ownName(),
    stateFolder: paths.stateFolder,
    version,
    noticed: () => [
      ...settings.findings,
      ...faults.findings(),
      ...journal.findings,
      ...adoptions.findings,
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
      planner,
      adopter: new Adopter({ fleet, hosts, adoptions, services }),
      doctor,
      journal,
      settings,
      homeFacts,
      status,
      stop: options.onStopAsked,
    }),
    status,
    onFault: (fault) => onFault('a shell', fault),
  });
  monitor.on('change', onChange);
  monitor.on('sample', onChange);
  monitor.start();
  await hosts.start();
  // What served the disks may have ended with a reboot; VMs that start by themselves need it.
  for (const adoption of adoptions.all()) {
    services.ensure(adoption).catch((thrown: unknown) => onFault(`serving the disk of ${adoption.name}`, thrown));
  }
  await hosting.sync().catch((thrown: unknown) => onFault('turning the host role on', thrown));
  await moves.recover();
  autopilot.start();
  log.info({ version, fingerprint: identity.fingerprint }, 'engine started');

  return async () => {
    autopilot.stop();
    desk.close();
    await server?.close();
    await hosting.stop();
    await hosts.stop();
    await visits.close();
    await monitor.stop();
    await libvirt.stop();
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
