import { once } from 'node:events';
import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { HomewardError } from '../../shared/errors.ts';
import type { WantedStream } from '../../shared/wire.ts';
import type { Connection, Libvirt } from '../libvirt/index.ts';
import { connectUnixSocket, type HostLink, serveUnixSocket, splice, type UnixServer } from '../link/index.ts';
import { CarrierProcess } from './carrier-process.ts';
import type { LocalVm } from './local-vm.ts';

export interface VisitLinkOptions {
  readonly link: HostLink;
  readonly libvirt: Libvirt;
  readonly visit: string;
  readonly vm: LocalVm;
  readonly migrationFolder: string;
  /** 0700; sockets of ours live here. */
  readonly runtimeFolder: string;
}

/** Between two attempts to carry on over a link that is down, or was until a moment ago. */
const carryAgainMs = 200;

/**
 * Home's end of one visit: the sockets through which libvirt and QEMU on this machine reach the host, and the
 * answers to what the host asks for. Lives from the first step out to the last step home.
 */
export class VisitLink {
  readonly visit: string;
  readonly migrationFolder: string;
  /** The visit's own libvirtd as a client here opens it. */
  readonly uri: string;
  readonly #options: VisitLinkOptions;
  readonly #servers: UnixServer[] = [];
  readonly #streams = new Set<Duplex>();
  readonly #carriers = new Map<string, CarrierProcess>();
  /** By disk, the latest. */
  readonly #diskStreams = new Map<string, Promise<Duplex>>();
  #connection: Connection | undefined;
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
    this.uri = `qemu+unix:///session?socket=${encodeURIComponent(socket)}`;
  }

  /** Control connection to the visit's libvirtd; opened on first use. */
  async connection(): Promise<Connection> {
    this.#connection ??= await this.#options.libvirt.connect(this.uri, { keepAliveIntervalS: 5 });
    return this.#connection;
  }

  /** Way out: the QEMU that connects to migration socket `name` here is carried to the visit's QEMU. */
  async listenOut(name: string): Promise<void> {
    await this.#carryOut(await this.#startCarrier(name, 'connects'));
  }

  /** Way out, begun by an earlier engine: the stream goes on over this link, if its carrier still runs. */
  async carryOnOut(name: string): Promise<void> {
    if (this.#carriers.has(name)) return;
    const carrier = await CarrierProcess.adopt(this.#options.runtimeFolder, name);
    if (carrier !== undefined) await this.#carryOut(carrier);
  }

  /** Over for good: QEMU's connection here ends with it. */
  async endCarrier(name: string): Promise<void> {
    const carrier = this.#carriers.get(name) ?? (await CarrierProcess.adopt(this.#options.runtimeFolder, name));
    this.#carriers.delete(name);
    await carrier?.end();
  }

  socketPath(name: string): string {
    return `${this.migrationFolder}/${name}`;
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
    await this.#connection?.close();
    this.#connection = undefined;
  }

  async removeFolder(): Promise<void> {
    await rm(this.migrationFolder, { recursive: true, force: true });
  }

  #localEnd(wanted: WantedStream): Promise<Duplex> {
    const { vm } = this.#options;
    switch (wanted.kind) {
      case 'disk':
        if (!vm.disks.includes(wanted.disk))
          throw new HomewardError('refused', `No disk ${wanted.disk} in this visit.`);
        return this.#diskEnd(wanted.disk);
      case 'migration':
        return this.#carrierHome(wanted.name);
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

  async #startCarrier(name: string, qemu: 'connects' | 'listens'): Promise<CarrierProcess> {
    const config = { qemu, migrationSocket: this.socketPath(name) };
    const carrier = await CarrierProcess.start(this.#options.runtimeFolder, name, config);
    this.#carriers.set(name, carrier);
    return carrier;
  }

  /** Way home: the host asks again for a stream that broke. */
  async #carrierHome(name: string): Promise<Duplex> {
    const { runtimeFolder } = this.#options;
    const known = this.#carriers.get(name) ?? (await CarrierProcess.adopt(runtimeFolder, name));
    if (known !== undefined) this.#carriers.set(name, known);
    return (known ?? (await this.#startCarrier(name, 'listens'))).connect();
  }

  /** Gives the carrier one connection to the host after another, for as long as it lasts. Resolves with the first session. */
  async #carryOut(carrier: CarrierProcess): Promise<void> {
    this.#carriers.set(carrier.name, carrier);
    let session: Duplex | undefined = await carrier.connect();
    const going = async (): Promise<void> => {
      while (session !== undefined && !this.#closed) {
        await this.#carryOver(session, carrier.name);
        await sleep(carryAgainMs);
        session = await carrier.connect().catch(() => undefined);
      }
      session?.destroy();
    };
    void going();
  }

  async #carryOver(session: Duplex, name: string): Promise<void> {
    this.#track(session);
    session.on('error', () => undefined);
    // The carrier speaks as soon as QEMU is there, and then QEMU listens at the other end, too.
    await new Promise<void>((resolve) => {
      session.once('readable', resolve);
      session.once('close', resolve);
    });
    if (session.destroyed) return;
    await this.#join(session, this.#options.link.openStream({ kind: 'migration', visit: this.visit, name }));
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

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
