import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import {
  connectUnixSocket,
  type HostHandlers,
  HostLink,
  type HostLinkOptions,
  LinkServer,
  type LinkServerOptions,
  type LocalHello,
  serveUnixSocket,
  splice,
} from '../../../main/link/index.ts';
import { type Identity, makeIdentity, PeerStore } from '../../../main/trust/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { VisitInfo } from '../../../shared/wire.ts';

export const visit = 'a'.repeat(32);
export const visitInfo: VisitInfo = {
  visit,
  vm: '00000000-0000-4000-8000-000000000001',
  vmName: 'work',
  state: 'running',
  since: '2026-01-01T00:00:00.000Z',
  memoryBytes: 1,
  vcpus: 1,
};

const notHere = (): never => {
  throw new HomewardError('refused', 'Not in this test.');
};
/** A host that answers little. */
export const handlers: HostHandlers = {
  'host.facts': notHere,
  'host.benchmark': notHere,
  'host.hashChain': notHere,
  'cpu.compare': notHere,
  'cpu.model': notHere,
  'visit.admit': notHere,
  'visit.prepare': notHere,
  'visit.listen': notHere,
  'visit.list': () => ({ visits: [visitInfo] }),
  'visit.end': () => ({}),
};

/** A host with a "libvirt" socket behind it and a laptop paired with it, over loopback. */
export interface Bed {
  readonly folder: string;
  readonly host: Identity;
  readonly laptop: Identity;
  readonly hostPeers: PeerStore;
  readonly server: LinkServer;
  /** Connections the "libvirt" got; each echoes what it reads unless `onLocal` says otherwise. */
  readonly local: Socket[];
  readonly hellos: LocalHello[];
  readonly faults: HomewardError[];
  onLocal: (socket: Socket) => void;
  link(options?: Partial<HostLinkOptions>): HostLink;
  listen(options?: Partial<LinkServerOptions>): Promise<LinkServer>;
  address(): { address: string; port: number };
  /** Closes the bed when the test does. */
  atEnd(close: () => unknown): void;
  close(): Promise<void>;
}

/** Keys take a thread each to make: one pair of machines does for all beds of a file. */
let machines: Promise<readonly [Identity, Identity]> | undefined;

export async function makeBed(options: Partial<LinkServerOptions> = {}): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'link-'));
  machines ??= Promise.all([makeIdentity(), makeIdentity()]);
  const [host, laptop] = await machines;
  const hostPeers = await PeerStore.open(join(folder, 'peers.json'));
  await hostPeers.add({
    fingerprint: laptop.fingerprint,
    name: 'lap',
    pairedAt: '2026-01-01T00:00:00.000Z',
    role: 'laptop',
  });
  const local: Socket[] = [];
  const hellos: LocalHello[] = [];
  const faults: HomewardError[] = [];
  const closers: (() => unknown)[] = [];
  const path = join(folder, 'libvirt-sock');
  const libvirt = await serveUnixSocket(path, (socket) => {
    local.push(socket);
    bed.onLocal(socket);
  });
  closers.push(() => libvirt.close());

  const bed: Omit<Bed, 'server'> = {
    folder,
    host,
    laptop,
    hostPeers,
    local,
    hellos,
    faults,
    onLocal: (socket) => void socket.pipe(socket),
    address: () => ({ address: '127.0.0.1', port: server.port }),
    async listen(more = {}) {
      const listening = await LinkServer.listen({
        port: 0,
        address: '127.0.0.1',
        identity: host,
        peers: hostPeers,
        handlers: () => handlers,
        openLocal: async (_peer, hello) => {
          hellos.push(hello);
          const local = await connectUnixSocket(path);
          return { attach: (wire) => splice(local, wire) };
        },
        onPairing: (connection) => connection.destroy(),
        onFault: (fault) => faults.push(fault),
        ...options,
        ...more,
      });
      closers.unshift(() => listening.close());
      return listening;
    },
    link(more = {}) {
      const link = new HostLink({
        identity: laptop,
        fingerprint: host.fingerprint,
        addresses: () => [bed.address()],
        onWanted: async () => notHere(),
        onVisitChanged: () => undefined,
        onHomeWanted: () => undefined,
        onFault: (fault) => faults.push(fault),
        ...more,
      });
      closers.unshift(() => link.close());
      return link;
    },
    atEnd: (close) => void closers.unshift(close),
    async close() {
      for (const close of closers) await close();
      await rm(folder, { recursive: true });
    },
  };
  const server = await bed.listen();
  return Object.assign(bed, { server });
}

/** Fulfilled when `condition` holds; looks every few milliseconds. */
export async function until(condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** All that `stream` says until it ends; unlike `for await`, leaves what it still has to say alone. */
export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
  if (!stream.readableEnded) {
    await new Promise<void>((resolve, reject) => stream.once('end', resolve).once('error', reject));
  }
  return Buffer.concat(chunks);
}

/** A TCP relay whose traffic can be stopped without a word, as a dead network stops it. */
export async function makeRelay(target: () => number): Promise<{ port: number; freeze(): void; close(): void }> {
  const sockets = new Set<Socket>();
  let frozen = false;
  const server: Server = createServer((socket) => {
    const out = connect(target(), '127.0.0.1');
    for (const [from, to] of [
      [socket, out],
      [out, socket],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('data', (data) => {
        if (!frozen) to.write(data);
      });
      from.on('close', () => {
        if (!frozen) to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    freeze: () => {
      frozen = true;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
