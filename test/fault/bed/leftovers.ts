/** What must be so wherever a VM has come to rest, besides that it runs once: invariants I2 and I5, and a tidy host. */
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GoodEnd } from './ends.ts';
import { guestMiB, type Rig } from './rig.ts';

/** The last step of a move tidies up, over a link that may only just be back. */
const patienceMs = 12_000;
const lookEveryMs = 500;
/** Of a visit; the host's own probe of libvirt may run beside. */
const visitPrograms = ['nbdkit', 'socat'];

/** Complaints, none where all is well, or soon is. */
export async function leftoversOf(rig: Rig, end: GoodEnd): Promise<readonly string[]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const complaints = [...(await writers(rig, end)), ...(await balloon(rig, end)), ...visitors(rig, end)];
    if (complaints.length === 0 || performance.now() > deadline) return complaints;
    await sleep(lookEveryMs);
  }
}

/** I2: the daemon serves one writer, the one that has the VM. */
async function writers({ scene }: Rig, end: GoodEnd): Promise<readonly string[]> {
  const { laptop } = scene.bed;
  const folder = join(laptop.env['XDG_RUNTIME_DIR'] ?? '', `homeward/vm-${scene.guest.uuid.slice(0, 8)}`);
  const { stdout, stderr, code } = await laptop.run('qemu-nbd', ['--list', '-k', join(folder, 'nbd.sock')]);
  if (code !== 0) return [`The disk is not served: ${stderr.trim()}`];
  const names = [...stdout.matchAll(/export: '([^']*)'/g)].map(([, name]) => name);
  const right = end === 'away-running' ? /^visit-[0-9a-f]{32}-vda$/ : /^home-vda$/;
  const [only = ''] = names;
  return names.length === 1 && right.test(only) ? [] : [`These may write to the disk: ${names.join(', ')}.`];
}

/** I5, seen where the VM is at home. */
async function balloon({ scene }: Rig, end: GoodEnd): Promise<readonly string[]> {
  if (end !== 'home-running') return [];
  const { stdout } = await scene.libvirtd.virsh('dommemstat', scene.guest.uuid);
  const kib = Number(/^actual (\d+)/m.exec(stdout)?.[1]);
  return kib === guestMiB * 1024 ? [] : [`The balloon was left at ${kib} KiB.`];
}

function visitors({ scene }: Rig, end: GoodEnd): readonly string[] {
  if (end === 'away-running') return [];
  const left = scene.bed.workstation.processes().map(({ args }) => basename(args[0] ?? ''));
  const programs = left.filter((program) => visitPrograms.includes(program));
  return programs.length === 0 ? [] : [`A visit was left at the host: ${programs.join(', ')}.`];
}
