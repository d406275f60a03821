import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const face = join(import.meta.dirname, '../../main/discovery/index.ts');
const fingerprint = 'ab'.repeat(32);
const asRoot = process.getuid?.() === 0;

/** Names are machine-wide: unique to this run. */
const laptop = `hwd${process.pid}l`;
const workstation = `hwd${process.pid}w`;

interface Event {
  readonly at: number;
  readonly found?: { fingerprint: string; name: string; addresses: { address: string; port: number }[] };
  readonly gone?: string;
}

let folder: string;
let children: ChildProcess[];

async function ip(...args: string[]): Promise<void> {
  await run('ip', args);
}

/** A wire between the two, as `device` on both. */
async function plug(device: string, subnet: string): Promise<void> {
  await ip('link', 'add', 'l0', 'netns', laptop, 'type', 'veth', 'peer', 'name', 'w0', 'netns', workstation);
  for (const [name, end, host] of [
    [laptop, 'l0', 1],
    [workstation, 'w0', 2],
  ] as const) {
    await ip('-n', name, 'link', 'set', end, 'name', device);
    await ip('-n', name, 'addr', 'add', `${subnet}.${host}/24`, 'dev', device);
    await ip('-n', name, 'link', 'set', device, 'up', 'multicast', 'on');
  }
}

function start(name: string, command: string, args: string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', name, command, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

function node(name: string, body: string): ChildProcess {
  const script = `import { Announcer, Discovery } from '${face}';
    const onFault = (thrown) => process.stderr.write(String(thrown) + '\\n');
    const tell = (event) => process.stdout.write(JSON.stringify(event) + '\\n');
    ${body}`;
  return start(name, process.execPath, ['--input-type=module', '-e', script]);
}

function find(name: string): Event[] {
  const child = node(
    name,
    `const discovery = new Discovery({ onFault, onFound: (found) => tell({ found }), onGone: (gone) => tell({ gone }) });
     await discovery.start();`,
  );
  const events: Event[] = [];
  if (!child.stdout) throw new Error('no output');
  createInterface(child.stdout).on('line', (line) => events.push({ at: performance.now(), ...JSON.parse(line) }));
  return events;
}

async function announce(name: string, announcement: { name: string; port: number }): Promise<ChildProcess> {
  const child = node(
    name,
    `const announcer = new Announcer({ onFault });
     await announcer.start(${JSON.stringify({ fingerprint, ...announcement })});
     process.on('SIGTERM', async () => { await announcer.stop(); });
     tell({});`,
  );
  if (!child.stdout) throw new Error('no output');
  await once(child.stdout, 'data');
  return child;
}

/** Real Avahi with its own bus, one per network. Its pid file has a fixed place, hence the private /run. */
async function avahi(name: string): Promise<Record<string, string>> {
  const bus = `unix:path=${folder}/${name}.bus`;
  await writeFile(
    join(folder, `${name}.bus.conf`),
    `<busconfig><type>system</type><listen>${bus}</listen><auth>EXTERNAL</auth><policy context="default">
     <allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
     <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
     <allow receive_sender="*"/></policy></busconfig>`,
  );
  await writeFile(
    join(folder, `${name}.avahi.conf`),
    `[server]\nhost-name=${name}\nuse-ipv6=no\n[publish]\npublish-workstation=no\n[wide-area]\nenable-wide-area=no\n`,
  );
  start(name, 'dbus-daemon', [`--config-file=${folder}/${name}.bus.conf`, '--nofork', '--nopidfile']);
  const env = { DBUS_SYSTEM_BUS_ADDRESS: bus };
  const script = `mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && hostname ${name} &&
    while ! avahi-daemon -f ${folder}/${name}.avahi.conf --no-chroot --no-drop-root --no-rlimits; do sleep 0.1; done`;
  start(name, 'unshare', ['--uts', '--mount', 'sh', '-c', script], env);
  await expect
    .poll(() => inside(name, 'avahi-browse', ['-p', '-t', '-a'], env).then(() => true, String), { timeout: 10_000 })
    .toBe(true);
  return env;
}

async function inside(name: string, command: string, args: string[], env: Record<string, string>): Promise<string> {
  const options = { env: { ...process.env, ...env }, timeout: 10_000 };
  return (await run('ip', ['netns', 'exec', name, command, ...args], options)).stdout;
}

function found(events: readonly Event[]) {
  return events.filter((event) => event.found).at(-1)?.found;
}

describe.runIf(asRoot)('on a network of their own', () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'homeward-mdns-'));
    children = [];
    for (const name of [laptop, workstation]) {
      await ip('netns', 'add', name);
      await ip('-n', name, 'link', 'set', 'lo', 'up');
    }
  });
  afterEach(async () => {
    for (const name of [laptop, workstation]) {
      // Everything in there is ours, grandchildren included.
      const { stdout } = await run('ip', ['netns', 'pids', name]);
      for (const pid of stdout.split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
    }
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    for (const name of [laptop, workstation]) await ip('netns', 'del', name);
    await rm(folder, { recursive: true });
  });

  test('a host that Avahi announces is found, dots in its name and all, and gone when Avahi says goodbye', async () => {
    await plug('eth0', '10.77.0');
    const env = await avahi(workstation);
    const events = find(laptop);
    const txt = [`id=${fingerprint}`, 'v=1', 'n=Big.Box no. 1'];
    const published = start(
      workstation,
      'avahi-publish',
      ['-s', 'big.box v1.2', '_homeward._tcp', '7788', ...txt],
      env,
    );
    await expect
      .poll(() => found(events), { timeout: 10_000 })
      .toEqual({ fingerprint, name: 'Big.Box no. 1', addresses: [{ address: '10.77.0.2', port: 7788 }] });
    published.kill();
    await expect.poll(() => events.at(-1)?.gone, { timeout: 10_000 }).toBe(fingerprint);
  });

  test('what we announce, Avahi finds and resolves', async () => {
    await plug('eth0', '10.77.0');
    const env = await avahi(laptop);
    await announce(workstation, { name: 'Büro; PC', port: 4711 });
    const resolved = () => inside(laptop, 'avahi-browse', ['-p', '-r', '-t', '_homeward._tcp'], env);
    await expect.poll(resolved, { timeout: 20_000, interval: 1_000 }).toMatch(/^=;/m);
    const line = (await resolved()).split('\n').find((one) => one.startsWith('=')) ?? '';
    expect(line).toContain(`;homeward-${fingerprint.slice(0, 16)};_homeward._tcp;local;`);
    expect(line).toContain(';10.77.0.2;4711;');
    expect(line).toContain(`"id=${fingerprint}"`);
  });

  test('a host on two networks is one host with both addresses; its goodbye is heard', async () => {
    await plug('eth0', '10.77.0');
    await plug('eth1', '10.78.0');
    const events = find(laptop);
    const host = await announce(workstation, { name: 'big', port: 4711 });
    await expect
      .poll(
        () =>
          found(events)
            ?.addresses.map(({ address }) => address)
            .sort(),
        { timeout: 10_000 },
      )
      .toEqual(['10.77.0.2', '10.78.0.2']);
    host.kill('SIGTERM');
    await expect.poll(() => events.at(-1)?.gone, { timeout: 10_000 }).toBe(fingerprint);
  });

  test('a network that comes later is noticed on both sides, without any route', async () => {
    const events = find(laptop);
    await announce(workstation, { name: 'big', port: 4711 });
    await plug('eth0', '10.77.0');
    const pluggedAt = performance.now();
    await expect.poll(() => found(events)?.name, { timeout: 10_000 }).toBe('big');
    expect((events[0]?.at ?? Number.POSITIVE_INFINITY) - pluggedAt).toBeLessThan(10_000);
    await ip('-n', workstation, 'addr', 'del', '10.77.0.2/24', 'dev', 'eth0');
    await ip('-n', workstation, 'addr', 'add', '10.77.0.9/24', 'dev', 'eth0');
    await expect
      .poll(() => found(events)?.addresses, { timeout: 20_000 })
      .toContainEqual({ address: '10.77.0.9', port: 4711 });
    expect(events.some(({ gone }) => gone)).toBe(false);
  });

  test('a host that died without a word and came back elsewhere is found at its new port', async () => {
    await plug('eth0', '10.77.0');
    const events = find(laptop);
    const first = await announce(workstation, { name: 'big', port: 4711 });
    await expect.poll(() => found(events)?.name, { timeout: 10_000 }).toBe('big');
    first.kill('SIGKILL');
    await announce(workstation, { name: 'bigger', port: 4712 });
    await expect
      .poll(() => found(events)?.addresses, { timeout: 20_000 })
      .toEqual([{ address: '10.77.0.2', port: 4712 }]);
    expect(found(events)?.name).toBe('bigger');
  });

  test('10,000 broken packets later both sides still work', async () => {
    await plug('eth0', '10.77.0');
    const events = find(laptop);
    await announce(workstation, { name: 'big', port: 4711 });
    await expect.poll(() => found(events)?.name, { timeout: 10_000 }).toBe('big');
    const noise = node(
      workstation,
      `import('node:dgram').then(async ({ createSocket }) => {
        const socket = createSocket({ type: 'udp4', reuseAddr: true });
        const sample = await new Promise((resolve) => {
          socket.on('message', (packet) => packet.includes('_homeward') && packet.length > 200 && resolve(packet));
          socket.bind(5353, () => {
            socket.addMembership('224.0.0.251', '10.77.0.2');
            socket.setMulticastInterface('10.77.0.2');
          });
        });
        let seed = 1;
        const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
        for (let round = 0; round < 10_000; round += 1) {
          const packet = Buffer.from(sample);
          if (round % 2) for (let hit = 0; hit <= random(8); hit += 1) packet[random(packet.length)] = random(256);
          else { packet.fill(0, 12); for (let at = 0; at < packet.length; at += 1) packet[at] = random(256); packet.write('homeward', random(100)); }
          const bytes = 1 + random(packet.length);
          await new Promise((sent) => socket.send(packet, 0, round % 3 ? packet.length : bytes, 5353, '224.0.0.251', sent));
        }
        process.exit(0);
      });`,
    );
    await once(noise, 'exit');
    await announce(workstation, { name: 'still here', port: 4799 });
    await expect
      .poll(
        () => events.some((event) => event.found?.fingerprint === fingerprint && event.found.name === 'still here'),
        {
          timeout: 20_000,
        },
      )
      .toBe(true);
    for (const child of children.filter((one) => one !== noise)) expect(child.exitCode).toBeNull();
  }, 60_000);
});
