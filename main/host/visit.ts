/**
 * One visit: a sandbox and the sockets between it and its laptop. Its folder is all that the next engine needs to
 * take it over; visit.json there says whose it is and what was admitted.
 */
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { HomewardError } from '../../shared/errors.ts';
import { Fingerprint } from '../../shared/model/identifiers.ts';
import { VisitInfo, type VisitPaths, VisitRequest } from '../../shared/wire.ts';
import { readCacheFile } from '../disk/index.ts';
import { type StreamEnd, type StreamWish, splice } from '../link/index.ts';
import { Cage } from './cage.ts';
import {
  cacheBytesPerDisk,
  cacheFolderInside,
  diskCacheCommand,
  diskExportName,
  diskSocketInside,
} from './disk-cache.ts';
import { grant, type HeldStream, refuse, wishOf } from './held-stream.ts';
import { diskSocketName, insidePaths, nicEnd, nicPort } from './inside.ts';
import type { Peers } from './peers.ts';
import { SocketDoor } from './socket-door.ts';
import { holderFiles, StreamHolder } from './stream-holder.ts';
import type { VisitState } from './visit-state.ts';

const VisitRecord = z.object({
  peer: Fingerprint,
  request: VisitRequest,
  since: z.iso.datetime(),
  state: VisitInfo.shape.state,
});
type VisitRecord = z.infer<typeof VisitRecord>;

export interface VisitOptions {
  readonly folder: string;
  readonly peers: Peers;
  readonly onFault: (error: unknown) => void;
}

export class Visit {
  readonly #cage: Cage;
  readonly #peers: Peers;
  /** Towards the laptop: disks. */
  readonly #doors: SocketDoor;
  /** Out of the visit's sight: its libvirtd, for the engine alone, and the laptop, for the stream holder. */
  readonly #ownDoor: SocketDoor;
  readonly #holder: StreamHolder;
  readonly #onFault: (error: unknown) => void;
  #record: VisitRecord;
  /** What of the record is not on the disk: nothing, something, or something of which it was told why. */
  #unsaved: 'no' | 'yes' | 'told' = 'no';
  #streams = 0;
  #ended = false;

  private constructor(record: VisitRecord, options: VisitOptions) {
    this.#record = record;
    this.#cage = new Cage(options.folder);
    this.#peers = options.peers;
    this.#doors = new SocketDoor(this.#cage.path('up'), options.onFault);
    this.#ownDoor = new SocketDoor(this.#cage.path(), options.onFault);
    this.#holder = new StreamHolder(options.folder);
    this.#onFault = options.onFault;
  }

  /** Starts the sandbox; returns once its libvirtd and its disk caches answer. */
  static async create(
    peer: string,
    request: VisitRequest,
    since: string,
    options: VisitOptions & { readonly capabilityCache?: string | undefined },
  ): Promise<Visit> {
    const visit = new Visit({ peer, request, since, state: 'empty' }, options);
    try {
      const caches = await visit.#furnish();
      await visit.#save();
      await visit.#listen();
      // The holder takes its time to start.
      const plugging = visit.#plugNics();
      plugging.catch(() => undefined);
      await visit.#cage.start({
        hostname: `visit-${request.visit.slice(0, 12)}`,
        kvm: request.accel === 'kvm',
        migrationFolder: request.migrationFolder,
        capabilityCache: options.capabilityCache,
        programs: {
          caches,
          maxFileBytes: request.memoryBytes + fileAllowanceBytes,
          plain: [['libvirtd'], ...Array.from({ length: request.nics }, (_, nic) => nicEnd(nic))],
        },
      });
      await visit.#cage.awaitSocket('hw', insidePaths.libvirtSocket, 10_000);
      for (const disk of request.disks) await visit.#cage.awaitSocket('hw', stepsOf(diskSocketInside(disk)), 5_000);
      await plugging;
    } catch (error) {
      await visit.end();
      throw error;
    }
    return visit;
  }

  /** Takes over what an earlier engine left in `folder`. Throws `damaged-file` where that cannot be read. */
  static async adopt(options: VisitOptions): Promise<Visit> {
    const file = join(options.folder, 'visit.json');
    let record: VisitRecord;
    try {
      record = VisitRecord.parse(JSON.parse(await readFile(file, 'utf8')));
    } catch (cause) {
      throw new HomewardError('damaged-file', `The record of a visit, ${file}, cannot be read.`, { cause });
    }
    const visit = new Visit(record, options);
    if (await visit.#cage.adopt()) {
      await visit.#listen();
      // A visitor without a network is better than none.
      visit.#plugNics().catch(options.onFault);
    } else await visit.setState('gone');
    return visit;
  }

  get id(): string {
    return this.#record.request.visit;
  }
  get peer(): string {
    return this.#record.peer;
  }
  get request(): VisitRequest {
    return this.#record.request;
  }
  get state(): VisitState {
    return this.#record.state;
  }
  /** The first process of the visit's PID namespace, while there is one. */
  get pid(): number | undefined {
    return this.#cage.pid;
  }
  /** Streams the laptop has open to libvirtd or a migration socket. */
  get streams(): number {
    return this.#streams;
  }

  get info(): VisitInfo {
    const { visit, vm, vmName, memoryBytes, vcpus } = this.#record.request;
    return { visit, vm, vmName, state: this.#record.state, since: this.#record.since, memoryBytes, vcpus };
  }

  get paths(): VisitPaths {
    const { disks, nics } = this.#record.request;
    return {
      disks: Object.fromEntries(disks.map((disk) => [disk, diskSocketInside(disk)])),
      exportName: diskExportName,
      nicPorts: Array.from({ length: nics }, (_, nic) => nicPort(nic)),
    };
  }

  /** For the engine's own libvirt connection; leads to the visit's libvirtd even after that was started anew. */
  get libvirtUri(): string {
    return `qemu:///session?socket=${this.#cage.path(ownLibvirtSocket)}`;
  }

  /** Holds at once; on a disk that is full it is written down with a later call, also one that changes nothing. */
  async setState(state: VisitState): Promise<void> {
    if (this.#ended) return;
    if (state !== this.#record.state) {
      this.#record = { ...this.#record, state };
      if (this.#unsaved === 'no') this.#unsaved = 'yes';
    }
    if (this.#unsaved === 'no') return;
    try {
      await this.#save();
      // From here on home does not write any more, so what is read may be kept.
      if (state === 'running') await writeFile(this.#cage.path('up', readCacheFile), '', { mode: 0o600 });
      this.#unsaved = 'no';
    } catch (thrown) {
      if (this.#unsaved === 'yes') this.#onFault(thrown);
      this.#unsaved = 'told';
    }
  }

  isUp(): Promise<boolean> {
    return this.#cage.isUp();
  }

  /** To the visit's libvirtd. */
  async libvirtEnd(): Promise<StreamEnd> {
    const local = await this.#counted(this.#cage.connect('hw', insidePaths.libvirtSocket, 5_000));
    return { attach: (wire) => splice(local, wire) };
  }

  /** The same for the migrate call `name`, which outlives its links, and both engines. */
  callEnd(name: string): Promise<StreamEnd> {
    return this.#heldEnd({ kind: 'migrate', name });
  }

  /** To the migration socket on which the visit's QEMU listens, as soon as it does. */
  migrationEnd(name: string): Promise<StreamEnd> {
    return this.#heldEnd({ kind: 'migration', name });
  }

  /** The connection the visit's QEMU makes to `name` in the migration folder becomes a stream home. */
  async listenMigration(name: string): Promise<void> {
    (await this.#holder.ask({ kind: 'listen', name })).destroy();
  }

  async #heldEnd(wish: HeldStream): Promise<StreamEnd> {
    const local = await this.#counted(this.#holder.ask(wish));
    return { attach: (wire) => splice(local, wire) };
  }

  /** Stops serving and leaves the sandbox alone: the engine goes, the visit stays. */
  async leave(): Promise<void> {
    await Promise.all([this.#doors.close(), this.#ownDoor.close()]);
  }

  /** Ends the sandbox and everything in it, and removes the folder. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.leave();
    await this.#holder.end();
    await this.#cage.end();
  }

  /** What a visit has besides a libvirtd. Returns the commands of its disk caches. */
  async #furnish(): Promise<string[][]> {
    const { visit, disks } = this.#record.request;
    const blocks = this.#cage.path('hw', ...stepsOf(cacheFolderInside));
    for (const folder of [this.#cage.path('up'), blocks]) await mkdir(folder, { recursive: true, mode: 0o700 });
    // In a folder that the visit cannot write to, so that the engine can.
    await symlink(`${insidePaths.up}/${readCacheFile}`, join(blocks, readCacheFile));
    const maxBytes = await cacheBytesPerDisk(blocks, disks.length);
    return disks.map((disk, at) => diskCacheCommand(disk, visit, `${insidePaths.up}/${diskSocketName(at)}`, maxBytes));
  }

  async #listen(): Promise<void> {
    const { visit, disks } = this.#record.request;
    await this.#ownDoor.open(ownLibvirtSocket, async (socket) =>
      splice(socket, await this.#cage.connect('hw', insidePaths.libvirtSocket, 5_000)),
    );
    await this.#ownDoor.open(holderFiles.engine, (socket, signal) => this.#carryHome(socket, signal));
    for (const [at, disk] of disks.entries()) await this.#door(diskSocketName(at), { kind: 'disk', visit, disk });
  }

  /** From here on the visit's QEMU may connect its NICs. Also without one the holder runs: a migration is near. */
  async #plugNics(): Promise<void> {
    await this.#holder.start();
    for (let nic = 0; nic < this.request.nics; nic += 1) (await this.#holder.ask({ kind: 'frames', nic })).destroy();
  }

  #door(fileName: string, wish: StreamWish): Promise<void> {
    return this.#doors.open(fileName, async (socket, signal) =>
      splice(socket, await this.#peers.requestStream(this.peer, wish, signal)),
    );
  }

  /** For as long as this connection to the laptop lasts; the holder asks for the next. */
  async #carryHome(socket: Socket, signal: AbortSignal): Promise<void> {
    let wire: Duplex;
    try {
      wire = await this.#peers.requestStream(this.peer, wishHome(this.id, await wishOf(socket)), signal);
    } catch (thrown) {
      refuse(socket, thrown);
      return;
    }
    grant(socket);
    await splice(socket, wire);
  }

  async #counted(opening: Promise<Duplex>): Promise<Duplex> {
    this.#streams += 1;
    try {
      const stream = await opening;
      stream.once('close', () => {
        this.#streams -= 1;
      });
      return stream;
    } catch (error) {
      this.#streams -= 1;
      throw error;
    }
  }

  async #save(): Promise<void> {
    const file = this.#cage.path('visit.json');
    await writeFile(`${file}.new`, JSON.stringify(this.#record), { mode: 0o600, flush: true });
    await rename(`${file}.new`, file);
  }
}

const ownLibvirtSocket = 'libvirt.sock';
/** For what a visit writes besides guest memory: logs, firmware variables. */
const fileAllowanceBytes = 256 * 1024 * 1024;

/** What the stream holder asks the engine for, as the laptop knows it. @throws HomewardError `refused` */
function wishHome(visit: string, wish: HeldStream): StreamWish {
  switch (wish.kind) {
    case 'migration':
      return { kind: 'migration', visit, name: wish.name };
    case 'frames':
      return { kind: 'frames', visit, nic: wish.nic };
    default:
      throw new HomewardError('refused', `Nothing of the kind ${wish.kind} leads home.`);
  }
}

/** A path below /hw as the steps that lead there from the outer folder. */
function stepsOf(inside: string): string[] {
  return inside.slice(insidePaths.home.length + 1).split('/');
}
