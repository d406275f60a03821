import { once } from 'node:events';
import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import { type Duplex, duplexPair, PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { HomewardError } from '../../shared/errors.ts';
import type { Direction } from '../../shared/model/move.ts';
import type { StreamHello, WantedStream } from '../../shared/wire.ts';
import type { Connection, Libvirt, MigrateRequest } from '../libvirt/index.ts';
import { Carrier, connectUnixSocket, type HostLink, serveUnixSocket, splice, type UnixServer } from '../link/index.ts';
import type { LocalVm } from './local-vm.ts';
import { MigrationProcess } from './migration-process.ts';

export interface VisitLinkOptions {
  readonly link: HostLink;
  readonly libvirt: Libvirt;
  readonly visit: string;
  readonly vm: LocalVm;
  readonly migrationFolder: string;
  /** 0700; sockets of ours live here. */
  readonly runtimeFolder: string;
}

type CarriedHello = StreamHello & { kind: 'migrate' | 'migration' };

/** Between two attempts to carry on over a link that is down, or was until a moment ago. */
const carryAgainMs = 200;

/**
 * Home's end of one visit: the sockets through which libvirt and QEMU on this machine reach the host, and the
 * answers to what the host asks for. Lives from the first step out to the last step home.
 */
export class VisitLink {
  readonly visit: string;
  readonly migrationFolder: string;
  readonly #uri: string;
  readonly #options: VisitLinkOptions;
  readonly #servers: UnixServer[] = [];
  readonly #streams = new Set<Duplex>();
  readonly #migrations = new Map<string, MigrationProcess>();
  /** By disk, the latest. */
  readonly #diskStreams = new Map<string, Promise<Duplex>>();
  #connection: Promise<Connection> | undefined;
  #closed = false;

  static async open(options: VisitLinkOptions): Promise<VisitLink> {
    const socket = `${options.runtimeFolder}/v-${options.visit.slice(0, 12)}.sock`;
    const visitLink = new VisitLink(options, socket);
    await makeMigrationFolder(options.migrationFolder);
    visitLink.#servers.push(
      await serveUnixSocket(
        socket,
        (client) => void visitLink.#join(client, options.link.openStream({ kind: 'libvirt', visit: options.visit })),
      ),
    );
    return visitLink;
  }

  private constructor(options: VisitLinkOptions, socket: string) {
    this.#options = options;
    this.visit = options.visit;
    this.migrationFolder = options.migrationFolder;
    this.#uri = uriOf(socket);
  }

  /** Control connection to the visit's libvirtd; opened on first use. */
  connection(): Promise<Connection> {
    this.#connection ??= this.#connect();
    return this.#connection;
  }

  async #connect(): Promise<Connection> {
    try {
      return await this.#options.libvirt.connect(this.#uri, { keepAliveIntervalS: 5 });
    } catch (thrown) {
      this.#connection = undefined;
      throw thrown;
    }
  }

  /** Starts the process that is to make the migrate call, whose streams both machines know as `name`. @throws HomewardError */
  async prepareMigration(name: string, direction: Direction): Promise<void> {
    // In weeks away, whoever tidies up /tmp may have taken it for forgotten.
    await makeMigrationFolder(this.migrationFolder);
    const migration = await MigrationProcess.start(this.#options.runtimeFolder, name, {
      qemu: direction === 'out' ? 'connects' : 'listens',
      migrationSocket: this.#migrationSocket(name),
    });
    this.#migrations.set(name, migration);
  }

  /**
   * Makes the migrate call in the process prepared for it. Resolves when it has ended well.
   * @throws LibvirtError as libvirt gave it, HomewardError where the process was lost
   */
  async migrate(
    name: string,
    direction: Direction,
    request: Pick<MigrateRequest, 'bandwidthMiBps' | 'destinationXml' | 'flags'>,
  ): Promise<void> {
    const { vm } = this.#options;
    const migration = this.#migrations.get(name);
    if (migration === undefined) throw new HomewardError('internal', `No migration ${name} was prepared.`);
    const shared = { ...request, uuid: vm.uuid, migrateUri: `unix://${this.#migrationSocket(name)}` };
    // Towards the visit the link may rest; only home's own libvirtd is to be given up when it is silent.
    migration.begin((visitSocket) =>
      direction === 'out'
        ? { ...shared, sourceUri: vm.uri, destinationUri: uriOf(visitSocket), destinationKeepAliveIntervalS: 0 }
        : { ...shared, sourceUri: uriOf(visitSocket), destinationUri: vm.uri, sourceKeepAliveIntervalS: 0 },
    );
    this.#carryOver(migration, direction);
    await migration.outcome();
  }

  /** The call `name`, begun by an earlier engine, goes on over this link, if its process still runs. */
  async carryOn(name: string, direction: Direction): Promise<void> {
    if (this.#migrations.has(name)) return;
    const migration = await this.migration(name);
    if (migration !== undefined) this.#carryOver(migration, direction);
  }

  /** The process of the call `name`, which an earlier engine may have left running. */
  async migration(name: string): Promise<MigrationProcess | undefined> {
    const known = this.#migrations.get(name);
    if (known !== undefined) return known;
    const adopted = await MigrationProcess.adopt(this.#options.runtimeFolder, name);
    if (adopted !== undefined) this.#migrations.set(name, adopted);
    return adopted;
  }

  /** Whether QEMU's stream of the call `name` still has an end here, over whatever link. */
  async carries(name: string): Promise<boolean> {
    return (await (await this.migration(name))?.isRunning()) === true;
  }

  /** Has the visit's QEMU know that what it sent or heard by the call `name` is broken off, whose end here has gone. */
  async breakOff(name: string): Promise<void> {
    await (await goneEnd()).attach(await this.#options.link.openStream({ kind: 'migration', visit: this.visit, name }));
  }

  /** Over for good: QEMU's connection here ends with it. */
  async endMigration(name: string): Promise<void> {
    const migration = await this.migration(name);
    this.#migrations.delete(name);
    await migration?.end();
  }

  /** Opens this machine's end of what the host asked for. @throws HomewardError `refused` for what this visit has not. */
  async answer(wanted: WantedStream): Promise<Duplex> {
    if (this.#closed) throw new HomewardError('refused', 'This visit is over.');
    const stream = await this.#localEnd(wanted);
    this.#track(stream);
    return stream;
  }

  /** Cuts the visitor off from disk and network at once. */
  fence(): void {
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
  }

  /** Ends everything here; the sandbox at the host is the host's to end. */
  async close(): Promise<void> {
    this.#closed = true;
    this.fence();
    await Promise.all(this.#servers.map((server) => server.close()));
    const connection = await this.#connection?.catch(() => undefined);
    this.#connection = undefined;
    await connection?.close();
  }

  async removeFolder(): Promise<void> {
    await rm(this.migrationFolder, { recursive: true, force: true });
  }

  #migrationSocket(name: string): string {
    return `${this.migrationFolder}/${name}`;
  }

  #localEnd(wanted: WantedStream): Promise<Duplex> {
    const { vm } = this.#options;
    switch (wanted.kind) {
      case 'disk':
        if (!vm.disks.includes(wanted.disk))
          throw new HomewardError('refused', `No disk ${wanted.disk} in this visit.`);
        return this.#diskEnd(wanted.disk);
      case 'migration':
        return this.#streamHome(wanted.name);
      case 'frames': {
        const index = vm.nics[wanted.nic];
        const socket = index === undefined ? undefined : vm.network?.visitorSocket(index);
        if (socket === undefined) throw new HomewardError('refused', `No network card ${wanted.nic} in this visit.`);
        return connectUnixSocket(socket);
      }
      default:
        return wanted satisfies never;
    }
  }

  /**
   * nbdkit dials anew when its stream breaks, and sends again what was not answered. What the broken one still holds
   * must not reach the disk after that, so it is gone before the next one begins.
   */
  #diskEnd(disk: string): Promise<Duplex> {
    const opening = closed(this.#diskStreams.get(disk)).then(() => connectUnixSocket(this.#options.vm.disk.socket));
    this.#diskStreams.set(disk, opening);
    return opening;
  }

  /** Way home: the host asks again for a stream that broke. Where nobody is left to take it, its QEMU is to know. */
  async #streamHome(name: string): Promise<Duplex> {
    const migration = await this.migration(name);
    if (migration !== undefined && (await migration.isRunning())) return migration.connectStream();
    const [here, there] = duplexPair();
    void goneEnd().then((gone) => gone.attach(here));
    return there;
  }

  /** Over the link, which may be one after another; on the way home the host asks for QEMU's stream itself. */
  #carryOver(migration: MigrationProcess, direction: Direction): void {
    const { visit } = this;
    const { name } = migration;
    void this.#carry(() => migration.connectCall(), { kind: 'migrate', visit, name });
    if (direction === 'out') void this.#carry(() => migration.connectStream(), { kind: 'migration', visit, name });
  }

  /** Gives a carrier one connection to the host after another, for as long as it lasts. */
  async #carry(connect: () => Promise<Duplex>, hello: CarriedHello): Promise<void> {
    for (;;) {
      const session = await connect().catch(() => undefined);
      if (session === undefined || this.#closed) {
        session?.destroy();
        return;
      }
      await this.#carrySession(session, hello);
      await sleep(carryAgainMs);
    }
  }

  async #carrySession(session: Duplex, hello: CarriedHello): Promise<void> {
    this.#track(session);
    session.on('error', () => undefined);
    // The carrier speaks as soon as its own end is there, and then the other end has, or will soon have, what it wants.
    await new Promise<void>((resolve) => {
      session.once('readable', resolve);
      session.once('close', resolve);
    });
    if (session.destroyed) return;
    await this.#join(session, this.#options.link.openStream(hello));
  }

  async #join(client: Duplex, opening: Promise<Duplex>): Promise<void> {
    this.#track(client);
    try {
      await splice(client, await opening);
    } catch {
      // What broke is told by whoever used the socket: libvirt reports its lost connection.
      client.destroy();
    }
  }

  #track(stream: Duplex): void {
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
  }
}

/** A carrier that has received nothing continues no other, so whatever it meets breaks off. */
async function goneEnd(): Promise<Carrier> {
  const local = new PassThrough().destroy();
  await once(local, 'close');
  return new Carrier(local);
}

function uriOf(socket: string): string {
  return `qemu+unix:///session?socket=${encodeURIComponent(socket)}`;
}

/** Destroys what has been, or is being, opened. */
async function closed(opening: Promise<Duplex> | undefined): Promise<void> {
  const stream = await opening?.catch(() => undefined);
  if (stream === undefined || stream.closed) return;
  stream.destroy();
  await once(stream, 'close');
}

/** @throws HomewardError `permission` where somebody else was there first. */
async function makeMigrationFolder(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const seen = await lstat(folder);
  if (!seen.isDirectory() || seen.uid !== process.getuid?.()) {
    throw new HomewardError('permission', `${folder} exists and is not a folder of yours.`, {
      hint: 'Remove it and try again.',
    });
  }
  await chmod(folder, 0o700);
}
