import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GuestNetwork, type GuestNetworkOptions } from '../../main/network/index.ts';
import { readRecord, stop } from '../../main/process/index.ts';
import { dhcpDiscover, FakePort, GuestTcp, isDhcpAnswer, type Lease, leaseOf } from '../unit/network/fake-guest.ts';

const run = promisify(execFile);
const asRoot = process.getuid?.() === 0;
const routes = await readFile('/proc/net/route', 'utf8');
/** passt takes its bearings from the default route and does not start without one. */
const online = routes.split('\n').some((line) => line.split('\t')[1] === '00000000');

let folder: string;
let port: number;
let cleanups: (() => unknown)[];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (typeof address !== 'object' || !address) throw new Error('no port');
  return address.port;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'homeward-net-'));
  port = await freePort();
  cleanups = [];
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  const record = await readRecord(join(folder, 'relay.json')).catch(() => undefined);
  if (record) await stop(record, { graceMs: 2_000 });
  await rm(folder, { recursive: true });
});

function options(change: Partial<GuestNetworkOptions> = {}): GuestNetworkOptions {
  return { vm: '11111111-2222-3333-4444-555555555555', folder, nics: [{ index: 0, port }], ...change };
}

async function plug(where: { port: number } | { path: string }): Promise<FakePort> {
  const plugged = await FakePort.plug('port' in where ? { host: '127.0.0.1', port: where.port } : where);
  cleanups.push(() => plugged.unplug());
  return plugged;
}

function visitor(network: GuestNetwork): { path: string } {
  return { path: network.visitorSocket(0) ?? '' };
}

async function lease(guest: FakePort): Promise<Lease> {
  for (let attempt = 1; ; attempt += 1) {
    guest.send(dhcpDiscover());
    const answer = await guest.next(isDhcpAnswer, 500).catch(() => undefined);
    if (answer) return leaseOf(answer);
    if (attempt === 20) throw new Error('passt gave no lease');
  }
}

async function echoServer(): Promise<{ address: string; port: number; connections: () => number }> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bound = server.address();
  const own = Object.values(networkInterfaces())
    .flatMap((all = []) => all)
    .find(({ family, internal }) => family === 'IPv4' && !internal);
  if (typeof bound !== 'object' || !bound || !own) throw new Error('no address');
  return { address: own.address, port: bound.port, connections: () => connections };
}

describe.runIf(online)('with passt behind it', () => {
  test('the guest gets the same addresses wherever the laptop is, and a resolver that is forwarded', async () => {
    const network = await GuestNetwork.ensure(options());
    expect(await lease(await plug({ port }))).toMatchObject({
      address: '10.0.2.15',
      router: '10.0.2.2',
      resolvers: ['10.0.2.3'],
    });
    await network.stop();
  });

  test('an open TCP connection survives the move out and home, with no byte lost', async () => {
    const network = await GuestNetwork.ensure(options());
    const home = await plug({ port });
    const echo = await echoServer();
    const tcp = new GuestTcp(home, await lease(home), echo);
    await tcp.open();
    expect(await tcp.exchange('at home')).toBe('at home');
    const away = await plug(visitor(network));
    await expect.poll(() => network.state()).toMatchObject({ wires: [{ plugged: 2 }] });
    tcp.port = away;
    expect(await tcp.exchange('away')).toBe('away');
    home.unplug();
    expect(await tcp.exchange('still away')).toBe('still away');
    const homeAgain = await plug({ port });
    await expect.poll(() => network.state()).toMatchObject({ wires: [{ plugged: 2 }] });
    tcp.port = homeAgain;
    away.unplug();
    expect(await tcp.exchange('home again')).toBe('home again');
    expect(echo.connections()).toBe(1);
    await network.stop();
  });

  test('outlives the engine, connections and all, and is adopted by the next', async () => {
    const script = `import { GuestNetwork } from '${join(import.meta.dirname, '../../main/network/index.ts')}';
      await GuestNetwork.ensure(${JSON.stringify(options())});
      process.stdout.write('ready');
      process.stdin.resume();`;
    const engine = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(engine.stdout, 'data');
    const home = await plug({ port });
    const echo = await echoServer();
    const tcp = new GuestTcp(home, await lease(home), echo);
    await tcp.open();
    engine.kill('SIGKILL');
    await once(engine, 'exit');
    const network = await GuestNetwork.ensure(options());
    expect(network.ports).toEqual([port]);
    expect(await tcp.exchange('hello')).toBe('hello');
    await network.stop();
    expect(await network.alive()).toBe(false);
  });

  test('passt that dies is started again, and ends with its relay', async () => {
    const network = await GuestNetwork.ensure(options());
    const home = await plug({ port });
    await lease(home);
    const record = await readRecord(join(folder, 'relay.json'));
    const passt = async () =>
      (await run('pgrep', ['-P', String(record?.pid)]).catch(() => ({ stdout: '' }))).stdout.trim();
    const first = await passt();
    process.kill(Number(first), 'SIGKILL');
    await expect.poll(passt, { timeout: 10_000 }).toMatch(new RegExp(`^(?!${first}$)\\d+$`));
    await lease(home);
    const second = Number(await passt());
    await network.stop();
    await expect
      .poll(() =>
        stat(`/proc/${second}`).then(
          () => true,
          () => false,
        ),
      )
      .toBe(false);
  });
});

describe('the relay', () => {
  test('refuses other users of this machine, though loopback is open to them', async () => {
    const network = await GuestNetwork.ensure(options());
    await plug({ port });
    await expect.poll(() => network.state()).toMatchObject({ wires: [{ plugged: 1 }] });
    if (asRoot) {
      const script = `const s = require('net').connect(${port}, '127.0.0.1'); s.on('close', () => process.exit(7)); s.on('error', () => {});`;
      const other = spawn('setpriv', ['--reuid=65534', '--clear-groups', process.execPath, '-e', script]);
      const [code] = await once(other, 'exit');
      expect(code).toBe(7);
      expect(await network.state()).toMatchObject({ wires: [{ plugged: 1 }] });
    }
    expect((await stat(network.visitorSocket(0) ?? '')).mode & 0o777).toBe(0o600);
    await network.stop();
  });

  test.each([
    ['longer than any frame', 'ffffffff'],
    ['just too long', '0001000e'],
    ['shorter than an Ethernet header', '0000000d'],
    ['empty', '00000000'],
  ])('hangs up on a port that announces a frame %s, and on no other', async (_, header) => {
    const network = await GuestNetwork.ensure(options());
    const home = await plug({ port });
    const away = await plug(visitor(network));
    away.sendRaw(Buffer.from(header, 'hex'));
    await expect.poll(() => away.closed).toBe(true);
    expect(home.closed).toBe(false);
    expect(await network.state()).toMatchObject({ wires: [{ plugged: 1 }] });
    await network.stop();
  });

  test('takes a new visitor for the old one whose link broke', async () => {
    const network = await GuestNetwork.ensure(options());
    const first = await plug(visitor(network));
    const second = await plug(visitor(network));
    await expect.poll(() => first.closed).toBe(true);
    expect(second.closed).toBe(false);
    await network.stop();
  });

  test('is replaced when the VM got other cards, but not while a QEMU is plugged in', async () => {
    const network = await GuestNetwork.ensure(options());
    const home = await plug({ port });
    await expect.poll(() => network.state()).toMatchObject({ wires: [{ plugged: 1 }] });
    const changed = options({ nics: [{ index: 0, port: await freePort() }] });
    await expect(GuestNetwork.ensure(changed)).rejects.toMatchObject({ code: 'vm-busy' });
    home.unplug();
    await expect.poll(() => network.state()).toMatchObject({ wires: [{ plugged: 0 }] });
    const second = await GuestNetwork.ensure(changed);
    expect(await network.alive()).toBe(false);
    expect(second.visitorSocket(0)).toBeDefined();
    expect(second.visitorSocket(1)).toBeUndefined();
    await second.stop();
  });

  test('says so when passt is not installed', async () => {
    const path = process.env['PATH'];
    cleanups.push(() => (process.env['PATH'] = path));
    process.env['PATH'] = folder;
    await expect(GuestNetwork.ensure(options())).rejects.toMatchObject({
      code: 'missing-tool',
      hint: expect.stringContaining('breaks its open connections'),
    });
  });

  test('says so when another program has the port', async () => {
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    cleanups.push(() => squatter.close());
    await expect(GuestNetwork.ensure(options())).rejects.toMatchObject({ code: 'vm-busy' });
    expect(await readRecord(join(folder, 'relay.json'))).toBeUndefined();
  });
});
