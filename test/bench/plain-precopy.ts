import { execFile, spawn } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { asRoot } from '../testbed/host.ts';
import type { Scene } from '../testbed/index.ts';
import { guestProcesses } from '../testbed/places.ts';

export interface PlainPrecopy {
  readonly converged: boolean;
  /** Until it converged, or until it was given up. */
  readonly seconds: number;
  readonly said: string;
}

const port = 4_990;
const socketName = 'plain.sock';
/** The name home's definition opens; while the VM is away Homeward keeps it shut. */
const homeExport = { type: 'nbd', id: 'home-vda', name: 'home-vda', 'node-name': 'disk-vda', writable: true } as const;

/**
 * What people use without Homeward: `virsh migrate --live` from the visit back to the laptop, over the same link,
 * given up after `patienceS`. The VM is where it was afterwards.
 */
export async function plainPrecopyHome(scene: Scene, patienceS: number): Promise<PlainPrecopy> {
  const { bed, guest, libvirtd, laptop } = scene;
  const vm = await laptop.vm(guest.name);
  if (vm.place.kind !== 'away') throw new Error('The VM is not away.');
  const [qemu] = guestProcesses(bed.hosts, guest.uuid);
  if (qemu === undefined) throw new Error('The VM has no QEMU.');
  const root = `/proc/${qemu.pid}/root`;
  const folderName = (await readdir(`${root}/tmp`)).find((name) => name.startsWith('homeward-'));
  const folder = `/tmp/${folderName}`;
  const runtime = bed.laptop.env['XDG_RUNTIME_DIR'] ?? '';
  const daemon = join(runtime, 'homeward', `vm-${guest.uuid.slice(0, 8)}`, 'qmp.sock');

  const { stdout: xml } = await libvirtd.virsh('dumpxml', '--inactive', guest.uuid);
  const xmlFile = join(bed.folder, 'plain.xml');
  await writeFile(xmlFile, xml);
  const atHome = await bed.laptop.spawn('socat', [
    `TCP-LISTEN:${port},fork,reuseaddr`,
    `UNIX-CONNECT:${folder}/${socketName}`,
  ]);
  // On the workstation's network, in nobody's file system: the socket must lie inside the visit's.
  const away = spawn('nsenter', [
    ...(asRoot ? [] : [`--user=/proc/${bed.bedPid}/ns/user`, '--preserve-credentials']),
    '--target',
    String(bed.workstation.initPid),
    '--net',
    '--',
    'socat',
    `UNIX-LISTEN:${root}${folder}/${socketName},fork`,
    `TCP-CONNECT:${bed.laptop.address}:${port}`,
  ]);
  await qmp(daemon, { execute: 'block-export-add', arguments: homeExport });
  const source = `qemu:///session?socket=${root}/hw/run/libvirt/libvirt-sock`;
  const startedMs = performance.now();
  const virsh = spawn('virsh', [
    '-c',
    source,
    'migrate',
    '--live',
    '--xml',
    xmlFile,
    guest.uuid,
    libvirtd.uriFromOutside.replace(/^qemu:/, 'qemu+unix:'),
    '--migrateuri',
    `unix://${folder}/${socketName}`,
  ]);
  let said = '';
  virsh.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => virsh.once('exit', resolve));
  const code = await Promise.race([ended, sleep(patienceS * 1_000).then(() => 'patience over' as const)]);
  const seconds = (performance.now() - startedMs) / 1_000;
  if (code === 'patience over') {
    await new Promise((resolve) => execFile('virsh', ['-c', source, 'domjobabort', guest.uuid], resolve));
    await ended;
  } else if (code !== 0) {
    throw new Error(`virsh migrate failed by itself: ${said}`);
  }
  await qmp(daemon, { execute: 'block-export-del', arguments: { id: homeExport.id, mode: 'hard' } });
  atHome.kill('SIGKILL');
  away.kill('SIGKILL');
  return { converged: code === 0, seconds: Number(seconds.toFixed(1)), said: said.trim() };
}

/** One command to the home storage daemon, as a person would with socat. */
async function qmp(path: string, command: object): Promise<void> {
  const socket = createConnection(path);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const answer = async (): Promise<void> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error('The storage daemon hung up.');
      const said: unknown = JSON.parse(value);
      if (typeof said !== 'object' || said === null) continue;
      if ('error' in said) throw new Error(`The storage daemon refused: ${value}`);
      if ('return' in said) return;
    }
  };
  try {
    socket.write(`${JSON.stringify({ execute: 'qmp_capabilities' })}\n`);
    await answer();
    socket.write(`${JSON.stringify(command)}\n`);
    await answer();
  } finally {
    socket.destroy();
  }
}
