/**
 * The frame relay: a process of its own, since a guest's NIC hangs on it and QEMU does not dial twice.
 *
 *     QEMU at home ──── 127.0.0.1:port ─┐
 *                                       ├─ hub ─ passt
 *     visiting QEMU ─ link ─ nic-N.sock ┘
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { peerUid } from '../process/index.ts';
import { FrameHub } from './hub.ts';
import type { RelayConfig, WireConfig } from './relay-config.ts';
import { type LastingUplink, passtUplink } from './uplink.ts';

const config: RelayConfig = JSON.parse(process.argv[2] ?? '');
/** passt ends at once when told to. */
const exitDeadlineMs = 1_000;

interface Wire {
  readonly config: WireConfig;
  readonly hub: FrameHub;
  readonly uplink: LastingUplink;
}

function log(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}

function startWire(wire: WireConfig): Wire {
  const say = (line: string) => log(`NIC ${wire.index}: ${line}`);
  const options = { log: say, onFrames: (pieces: readonly Buffer[]) => hub.fromUplink(pieces) };
  const uplink = passtUplink(options);
  const hub = new FrameHub(uplink, say);
  const started: Wire = { config: wire, hub, uplink };
  const tcp = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    admit(socket, started).catch((error: unknown) => {
      say(`a connection was refused: ${String(error)}`);
      socket.destroy();
    });
  });
  listening(tcp, say).listen(wire.port, '127.0.0.1');
  listenAt(wire.visitorSocket, say, visitorsOf(hub));
  return started;
}

/** Loopback is open to every user of the machine; a NIC is not. */
async function admit(socket: Socket, wire: Wire): Promise<void> {
  const uid = await peerUid(socket);
  if (uid === undefined || (uid !== 0 && !wire.config.uids.includes(uid))) throw new Error(`user ${uid}`);
  wire.hub.plug(socket);
  socket.resume();
}

/** One visitor: a new connection means that the link broke under the earlier one. */
function visitorsOf(hub: FrameHub): (socket: Socket) => void {
  let current: Socket | undefined;
  return (socket) => {
    current?.destroy();
    current = socket;
    hub.plug(socket);
  };
}

function listenAt(path: string, say: (line: string) => void, accept: (socket: Socket) => void): void {
  rmSync(path, { force: true });
  const server = listening(createServer(accept), say);
  server.listen(path, () => chmodSync(path, 0o600));
}

function listening(server: Server, say: (line: string) => void): Server {
  return server.on('error', (error) => {
    say(`cannot listen: ${error.message}`);
    process.exit(1);
  });
}

// A guest's NIC hangs on this process: what nobody foresaw is written down and survived.
process.on('uncaughtException', (error) => log(`unexpected: ${error.stack ?? error.message}`));
process.on('SIGTERM', () => {
  setTimeout(() => process.exit(0), exitDeadlineMs);
  void Promise.all(wires.map(({ uplink }) => uplink.close())).then(() => process.exit(0));
});

const wires = config.wires.map(startWire);
listenAt(config.statusSocket, log, (socket) => {
  socket.on('error', () => undefined);
  const state = wires.map(({ config: { index, port }, hub, uplink }) => ({
    index,
    port,
    plugged: hub.plugged,
    uplink: uplink.stream !== undefined,
  }));
  socket.end(`${JSON.stringify({ wires: state })}\n`);
});
