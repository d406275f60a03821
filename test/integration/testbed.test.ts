import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Bed, type BedHost, type BedOptions, createBed } from '../testbed/index.ts';

const beds: Bed[] = [];

async function bedOf(options?: BedOptions): Promise<Bed> {
  const bed = await createBed(options);
  beds.push(bed);
  return bed;
}

afterEach(async () => {
  await Promise.all(beds.splice(0).map((bed) => bed.close()));
});

/** What a host prints, trimmed. */
async function output(host: BedHost, script: string): Promise<string> {
  const { stdout, stderr, code } = await host.run('sh', ['-c', script]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.trim();
}

/** Payload in Mbit/s from one host to the other. */
async function throughputMbit(from: BedHost, to: BedHost, bytes: number): Promise<number> {
  const sink = await to.spawn('socat', ['-u', 'TCP-LISTEN:9000,reuseaddr', 'OPEN:/dev/null']);
  const since = performance.now();
  await output(from, `head -c ${bytes} /dev/zero | socat -u - TCP:${to.address}:9000,retry=20,interval=0.05`);
  await sink.exited;
  return (bytes * 8) / 1000 / (performance.now() - since);
}

describe('two hosts on one machine', () => {
  test('each has its own name, address, files and processes', async () => {
    const { laptop, workstation } = await bedOf();
    for (const host of [laptop, workstation]) {
      expect(await output(host, 'hostname')).toBe(host.name);
      expect(await output(host, `getent ahostsv4 ${host.name} | head -1`)).toContain(host.address);
      expect(await output(host, 'ls -A /tmp; echo mine > /tmp/same-name')).toBe('');
    }
    await laptop.spawn('sleep', ['1000']);
    expect(laptop.processes().map(({ args }) => args)).toEqual([['sleep', '1000']]);
    expect(workstation.processes()).toEqual([]);
  });

  test('a host is not root where its user is not', async () => {
    const { laptop } = await bedOf();
    expect(await output(laptop, 'id -u')).toBe(String(process.getuid?.()));
  });

  test('a name nobody knows is refused at once', async () => {
    const { laptop } = await bedOf();
    const since = performance.now();
    expect((await laptop.run('getent', ['hosts', 'nowhere.example'])).code).not.toBe(0);
    expect(performance.now() - since).toBeLessThan(1_000);
  });

  test('a rate limit holds in both directions, and can be changed and taken away', async () => {
    const bed = await bedOf({ rateMbit: 50 });
    const { laptop, workstation } = bed;
    for (const mbit of [
      await throughputMbit(laptop, workstation, 5e6),
      await throughputMbit(workstation, laptop, 5e6),
    ]) {
      expect(mbit).toBeGreaterThan(35);
      expect(mbit).toBeLessThan(52);
    }
    await bed.setRate(null);
    expect(await throughputMbit(laptop, workstation, 20e6)).toBeGreaterThan(100);
    const { sent } = await laptop.networkBytes();
    expect(sent).toBeGreaterThan(25e6);
  });

  test('a pulled cable takes the carrier and leaves the address', async () => {
    const bed = await bedOf();
    await bed.linkDown();
    const state = 'cat /sys/class/net/eth0/carrier; ip -br -4 addr show eth0';
    await expect.poll(() => output(bed.laptop, state)).toMatch(/^0\s[\s\S]*10\.77\.0\.1/);
    await bed.linkUp();
    await expect.poll(() => output(bed.laptop, state)).toMatch(/^1\s[\s\S]*10\.77\.0\.1/);
    expect(await throughputMbit(bed.laptop, bed.workstation, 1e5)).toBeGreaterThan(0);
  });

  test('a signal reaches the process itself, and its end is told', async () => {
    const { laptop } = await bedOf();
    const polite = await laptop.spawn('sh', ['-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.01; done']);
    if (polite.child.stdout !== null) await once(polite.child.stdout, 'data');
    polite.kill('SIGTERM');
    expect(await polite.exited).toEqual({ code: 7, signal: null });
    const killed = await laptop.spawn('sleep', ['1000']);
    killed.kill('SIGKILL');
    expect(await killed.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await expect(laptop.spawn('no-such-program', [])).rejects.toThrow(/no-such-program/);
  });

  test('orphans are reaped, so that a dead process does not look alive', async () => {
    const { laptop } = await bedOf();
    await output(laptop, '(setsid sleep 0.2 >/dev/null 2>&1 &)');
    expect(laptop.processes()).toHaveLength(1);
    await expect.poll(() => laptop.processes()).toEqual([]);
  });

  test('a power cut ends every process, says no goodbye, and keeps the disk', async () => {
    const { laptop, workstation } = await bedOf();
    await workstation.spawn('socat', ['TCP-LISTEN:9000,reuseaddr', 'EXEC:cat']);
    const client = await laptop.spawn('socat', ['-', `TCP:${workstation.address}:9000,retry=20,interval=0.05`]);
    client.child.stdin?.write('hello\n');
    if (client.child.stdout !== null) await once(client.child.stdout, 'data');
    await output(workstation, 'echo kept > "$HOME/file"; echo lost > /tmp/file');
    await workstation.powerOff();
    expect(workstation.processes()).toEqual([]);
    await sleep(300);
    expect(await output(laptop, 'ss -Htn state established')).toContain(`${workstation.address}:9000`);
    await workstation.powerOn();
    expect(await output(workstation, 'cat "$HOME/file"; ls -A /tmp')).toBe('kept');
  });

  test('a third host can join', async () => {
    const bed = await bedOf();
    const other = await bed.addHost('tablet');
    expect(await throughputMbit(other, bed.workstation, 1e5)).toBeGreaterThan(0);
  });

  test('two beds at once do not see each other', async () => {
    const [one, two] = await Promise.all([bedOf(), bedOf()]);
    await one.workstation.spawn('socat', ['TCP-LISTEN:9000,fork,reuseaddr', 'EXEC:cat']);
    const reach = ['-u', '/dev/null', `TCP:${one.workstation.address}:9000,retry=20,interval=0.05`];
    expect((await one.laptop.run('socat', reach)).code).toBe(0);
    expect((await two.laptop.run('socat', ['-u', '/dev/null', `TCP:${two.workstation.address}:9000`])).code).toBe(1);
    await one.close();
    expect(await output(two.laptop, 'hostname')).toBe('laptop');
  });
});

const Owned = z.object({ folder: z.string(), pids: z.array(z.number()) });

/** A program of its own that holds a bed with something running in it, so that it can be ended in unkind ways. */
async function owner(ending: string) {
  const program = `
    import { createBed } from ${JSON.stringify(fileURLToPath(new URL('../testbed/index.ts', import.meta.url)))};
    const bed = await createBed();
    const running = await Promise.all(bed.hosts.map((host) => host.spawn('sh', ['-c', 'trap "" HUP INT TERM; sleep 1000'])));
    const pids = [bed.bedPid, ...bed.hosts.map((host) => host.initPid), ...running.map(({ pid }) => pid)];
    console.log(JSON.stringify({ folder: bed.folder, pids }));
    ${ending}`;
  // A process group of its own, as a shell gives each command: what Ctrl-C reaches.
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const { folder, pids } = Owned.parse(JSON.parse(String(line)));
  expect(existsSync(folder)).toBe(true);
  expect(pids.every(exists)).toBe(true);
  return { child, folder, pids };
}

const exists = (pid: number): boolean => existsSync(`/proc/${pid}`);
const forever = 'setInterval(() => {}, 1000);';
const onceAsked = (what: string) => `process.once('SIGUSR2', async () => { ${what} }); ${forever}`;
const ask = (pid: number) => process.kill(pid, 'SIGUSR2');

describe('a bed that ended leaves nothing behind', () => {
  test.each([
    ['its owner is killed', forever, (pid: number) => process.kill(pid, 'SIGKILL')],
    ['Ctrl-C reaches its owner and all its children', forever, (pid: number) => process.kill(-pid, 'SIGINT')],
    ['its owner is told to terminate', forever, (pid: number) => process.kill(pid, 'SIGTERM')],
    ['its owner throws', onceAsked('throw new Error("on purpose")'), ask],
    ['it is closed', onceAsked('await bed.close(); process.exit()'), ask],
  ])('when %s', async (_, ending, end) => {
    const { child, folder, pids } = await owner(ending);
    end(child.pid ?? 0);
    await expect.poll(() => pids.filter(exists), { timeout: 5_000 }).toEqual([]);
    await expect.poll(() => existsSync(folder), { timeout: 5_000 }).toBe(false);
    // Namespaces and mounts go with their last process; none of them ever had a name.
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(folder);
  });

  test('when a host holds a mount and a file nobody may read', async () => {
    const bed = await createBed();
    await writeFile(join(bed.laptop.home, 'secret'), '', { mode: 0o000 });
    await output(bed.laptop, 'mkdir -p "$HOME/deep/er" && chmod 500 "$HOME/deep"');
    await bed.close();
    expect(existsSync(bed.folder)).toBe(false);
  });
});
