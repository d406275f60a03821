import { once } from 'node:events';
import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { HomewardError } from '../../shared/errors.ts';
import type { WantedStream } from '../../shared/wire.ts';
import type { Connection, Libvirt } from '../libvirt/index.ts';
import { connectUnixSocket, type HostLink, serveUnixSocket, spliceStream, type UnixServer } from '../link/index.ts';
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

/** QEMU's listening socket appears a moment after libvirt has prepared the destination. */
const connectRetryMs = 50;
const connectDeadlineMs = 10_000;

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
        (client) =>
          void visitLink.#carry('libvirt', client, options.link.openStream({ kind: 'libvirt', visit: options.visit })),
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

  /** Way out: what connects to migration socket `name` here is carried to the visit's QEMU. */
  async listenOut(name: string): Promise<UnixServer> {
    const server = await serveUnixSocket(
      this.socketPath(name),
      (client) =>
        void this.#carry(
          'migration',
          client,
          this.#options.link.openStream({ kind: 'migration', visit: this.visit, name }),
        ),
    );
    this.#servers.push(server);
    return server;
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
        return connectUnix(this.socketPath(wanted.name), connectDeadlineMs);
      case 'frames': {
        const index = vm.nics[wanted.nic];
        const socket = index === undefined ? undefined : vm.network?.visitorSocket(index);
        if (socket === undefined) throw new HomewardError('refused', `No network card ${wanted.nic} in this visit.`);
        return connectUnix(socket, 0);
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
    const opening = closed(this.#diskStreams.get(disk)).then(() => connectUnix(this.#options.vm.disk.socket, 0));
    this.#diskStreams.set(disk, opening);
    return opening;
  }

  async #carry(kind: 'libvirt' | 'migration', client: Duplex, opening: Promise<Duplex>): Promise<void> {
    this.#track(client);
    try {
      await spliceStream(kind, client, await opening);
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

async function connectUnix(path: string, deadlineMs: number): Promise<Duplex> {
  const startedAt = performance.now();
  for (;;) {
    try {
      return await connectUnixSocket(path);
    } catch (thrown) {
      if (performance.now() - startedAt >= deadlineMs) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, connectRetryMs));
    }
  }
}
