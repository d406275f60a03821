/**
 * A paired laptop that means harm. It has all of its visit's libvirt, and whoever may call libvirt may have any program
 * run: that is taken for granted here, and what such a program can then see and do is what is tested.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { VisitRequest } from '../../shared/wire.ts';
import { domainXml, eventually, type Laptop, Workstation } from './host-fixture.ts';

const canary = 'the-owner-s-own-words';

describe('a paired but hostile laptop', () => {
  let host: Workstation;
  let laptop: Laptop;
  let visit: VisitRequest;
  /** The owner's home: a file everybody may read, a listening port, a socket. */
  let home: string;
  let server: Server;
  let port: number;
  let socketServer: Server;
  const callers: string[] = [];

  beforeAll(async () => {
    host = await Workstation.start();
    home = await mkdtemp('/var/tmp/hwo-');
    await chmod(home, 0o755);
    await writeFile(join(home, 'diary'), canary, { mode: 0o644 });
    server = createServer((socket) => {
      callers.push('tcp');
      socket.end(canary);
    });
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
    socketServer = createServer((socket) => {
      callers.push('unix');
      socket.end(canary);
    });
    await new Promise<void>((resolve) => socketServer.listen(join(home, 'own.sock'), resolve));
  });

  afterEach(async () => {
    await host.clear();
    callers.length = 0;
  });

  afterAll(async () => {
    await host.close();
    await Promise.all([server, socketServer].map((open) => new Promise((resolve) => open.close(resolve))));
    await rm(home, { recursive: true, force: true });
  });

  /** Has the visit run `lines` of shell as the emulator of a domain, and returns what they printed. */
  async function run(lines: string): Promise<string> {
    laptop = host.laptop();
    visit = await laptop.visit();
    const folder = join(host.visitFolder(visit.visit), 'hw/tmp');
    await writeFile(
      join(folder, 'evil'),
      `#!/bin/sh\nexec >/hw/tmp/said 2>&1\n${lines}\nmv /hw/tmp/said /hw/tmp/done\n`,
      {
        mode: 0o755,
      },
    );
    const libvirt = await laptop.connect(visit);
    // libvirt runs it to learn what it can do, and then finds that it is no QEMU.
    await expect(libvirt.createXml(domainXml(visit, { emulator: '/hw/tmp/evil' }))).rejects.toThrow();
    return eventually(() => readFile(join(folder, 'done'), 'utf8').catch(() => undefined));
  }

  it('can read neither the home of the owner, nor the secrets of the system, nor the engine’s folder', async () => {
    const said = await run(`
      for file in ${home}/diary /etc/shadow /etc/ssh /root /home /var/lib /boot ${host.folder} /proc/1/root${home}; do
        if [ -e "$file" ]; then echo "SEES $file"; fi
      done
      find / -name diary -not -path '/proc/*'; cat /etc/passwd; id -u`);
    expect(said).not.toContain('SEES');
    expect(said).not.toContain('diary');
    expect(said).toContain('visitor:x:1000');
    expect(said).not.toMatch(/^(?!root|visitor).*:x:/m);
    expect(said.trimEnd().endsWith('1000')).toBe(true);
  });

  it('sees no other visit', async () => {
    const other = await host.laptop().visit();
    await writeFile(join(host.visitFolder(other.visit), 'hw/tmp/secret'), canary);
    const said =
      await run(`grep -r ${canary.slice(0, 5)}'${canary.slice(5)}' /hw /tmp /run /var /up -s; find / -name secret -not -path '/proc/*' 2>/dev/null
      hostname; echo end`);
    expect(said).toBe(`visit-${visit.visit.slice(0, 12)}\nend\n`);
  });

  it('sees no process of the host, and can signal none', async () => {
    const said = await run(
      `for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done; kill -0 ${process.pid} && echo SIGNALLED`,
    );
    expect(said).toContain('libvirtd');
    expect(said).not.toMatch(/vitest|SIGNALLED/);
  });

  it('reaches no network, not even what listens on the host itself', async () => {
    const addresses = [
      '127.0.0.1',
      ...Object.values(networkInterfaces())
        .flatMap((list) => list ?? [])
        .filter(({ family }) => family === 'IPv4')
        .map(({ address }) => address),
    ];
    const said = await run(`
      for address in ${[...new Set(addresses)].join(' ')} 8.8.8.8; do
        socat -T2 - TCP:$address:${port},connect-timeout=2 </dev/null
      done
      cat /proc/net/dev; echo end`);
    expect(said).not.toContain(canary);
    expect(said).toMatch(/\blo:/);
    expect(said).not.toMatch(/\b(eth|en|wl|veth)\w*:/);
    expect(callers).toEqual([]);
  });

  it('gets no device of the host, no capability and no namespace of its own', async () => {
    const said = await run(`
      echo "devices: $(ls /dev | tr '\\n' ' ')"
      grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status
      unshare -Ur true && echo UNSHARED
      mount -t tmpfs none /mnt && echo MOUNTED
      mknod /hw/tmp/mem c 1 1 && echo DEVICE
      dd if=/dev/mem count=1 && echo MEMORY
      cp /proc/sys/vm/swappiness /hw/tmp/v; cat /hw/tmp/v > /proc/sys/vm/swappiness && echo TUNED
      echo b > /proc/sysrq-trigger && echo SYSRQ
      echo 1 > /sys/devices/system/cpu/cpu1/online && echo OFFLINE
      dmesg && echo LOG
      echo end`);
    expect(said).not.toMatch(/UNSHARED|MOUNTED|DEVICE|MEMORY|TUNED|SYSRQ|OFFLINE|LOG/);
    expect(said.match(/Cap\w+:\t0{16}\n/g)).toHaveLength(3);
    expect(
      /devices: (.*) \n/
        .exec(said)?.[1]
        ?.split(' ')
        .filter((name) => name !== 'userfaultfd'),
    ).toEqual('core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero'.split(' '));
  });

  it('changes no program and nothing that the engine trusts', async () => {
    const said = await run(`
      for file in /usr/bin/evil /etc/passwd /up/supervise.sh /up/new /root.txt /dev/new; do
        (echo evil > $file) 2>/dev/null && echo "WROTE $file"
      done
      rm -f /up/supervise.sh; mv /up /up2 && echo MOVED; echo end`);
    expect(said).not.toMatch(/WROTE|MOVED/);
    expect(await readFile(join(host.visitFolder(visit.visit), 'up/supervise.sh'), 'utf8')).toContain('libvirtd');
  });

  it('cannot have libvirt open what it cannot see itself', async () => {
    laptop = host.laptop();
    visit = await laptop.visit();
    const libvirt = await laptop.connect(visit);
    const file = (path: string): string =>
      `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${path}'/><target dev='vda' bus='virtio'/><readonly/></disk>`;
    for (const path of [join(home, 'diary'), '/etc/shadow', '/dev/vda', '/dev/sda', '/proc/kcore']) {
      await expect(libvirt.createXml(domainXml(visit, { devices: file(path) })), path).rejects.toThrow();
    }
    const serial = `<serial type='file'><source path='${join(home, 'planted')}'/></serial>`;
    await expect(libvirt.createXml(domainXml(visit, { devices: serial }))).rejects.toThrow();
    const share = `<filesystem type='mount'><source dir='${home}'/><target dir='x'/></filesystem>`;
    await expect(libvirt.createXml(domainXml(visit, { devices: share }))).rejects.toThrow();
    const tcp = ['-chardev', `socket,id=x,host=127.0.0.1,port=${port}`];
    await expect(libvirt.createXml(domainXml(visit, { arguments: tcp }))).rejects.toThrow();
    const usb = `<hostdev mode='subsystem' type='usb'><source><vendor id='0x1d6b'/><product id='0x0002'/></source></hostdev>`;
    await expect(libvirt.createXml(domainXml(visit, { devices: usb }))).rejects.toThrow();
    expect(callers).toEqual([]);
  });

  it('cannot lead the engine to a socket of the owner by a link in the socket’s place', async () => {
    laptop = host.laptop();
    visit = await laptop.visit();
    const folder = host.visitFolder(visit.visit);
    const { fingerprint } = laptop;
    const libvirt = { kind: 'libvirt', visit: visit.visit } as const;
    await rm(join(folder, 'hw/run/libvirt/libvirt-sock'));
    await symlink(join(home, 'own.sock'), join(folder, 'hw/run/libvirt/libvirt-sock'));
    await expect(host.role.openLocal(fingerprint, libvirt)).rejects.toMatchObject({ code: 'refused' });

    await rename(join(folder, 'hw/run'), join(folder, 'hw/aside'));
    await mkdir(join(home, 'libvirt'), { recursive: true });
    await symlink(join(home, 'own.sock'), join(home, 'libvirt/libvirt-sock')).catch(() => undefined);
    await symlink(home, join(folder, 'hw/run'));
    await expect(host.role.openLocal(fingerprint, libvirt)).rejects.toThrow();

    await symlink(join(home, 'own.sock'), join(folder, 'm/trap'));
    const migration = { kind: 'migration', visit: visit.visit, name: 'trap' } as const;
    await expect(host.role.openLocal(fingerprint, migration)).rejects.toMatchObject({ code: 'refused' });
    expect(callers).toEqual([]);
  });

  it('that takes more memory than admitted is shown out, and the owner reads why', async () => {
    await run(`setsid sh -c 'dd if=/dev/zero bs=1200M count=1 | sleep 60' >/dev/null 2>&1 & sleep 0.2`);
    await eventually(() => (host.role.visits().length === 0 ? true : undefined), 30_000);
    expect(host.faults.map(String).join()).toMatch(/was admitted with 256 MiB and uses \d+ MiB/);
  });

  it('cannot fill the memory with files, nor start processes without end', async () => {
    const said = await run(`
      for folder in /tmp /run /dev/shm; do
        head -c 100000000 /dev/zero > $folder/big 2>/dev/null || echo full
        rm -f $folder/big
      done
      setsid sh -c '
        (i=0; while [ $i -lt 2000 ]; do sleep 60 & i=$((i + 1)); done) || : > /hw/tmp/limited
        sleep 60' >/dev/null 2>&1 &`);
    expect(said.match(/full/g)).toHaveLength(3);
    const limited = join(host.visitFolder(visit.visit), 'hw/tmp/limited');
    // The kernel does not count root's processes; there the whole visit is ended for it.
    await eventually(() => existsSync(limited) || host.role.visits().length === 0 || undefined);
  });

  it('cannot leave anything running behind its visit', async () => {
    const marker = `visit-${hostname()}-${process.pid}`;
    await run(`setsid sh -c 'trap "" TERM HUP INT; sleep 300; : ${marker}' >/dev/null 2>&1 & sleep 0.3`);
    await host.role.endVisit(visit.visit);
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
    expect(lines.filter((line) => line.includes(marker))).toEqual([]);
  });
});
