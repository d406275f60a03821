import { randomUUID } from 'node:crypto';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sh } from '../command.ts';
import type { BedHost } from '../host.ts';
import type { Libvirtd } from '../libvirtd.ts';
import { bootAreaBytes, buildGuest } from './build.ts';
import { buildDebianGuest } from './debian/build.ts';

export interface GuestSpec {
  readonly name: string;
  /** `small` (the default) holds the workload alone; `debian` has compilers, ffmpeg and the guest agent, and no `disk` workload. */
  readonly system?: 'small' | 'debian';
  /** Default 512. */
  readonly memoryMiB?: number;
  /** Default 1. */
  readonly vcpus?: number;
  /** The disk workload's area behind the boot file system; default 64. */
  readonly dataMiB?: number;
  /** `user` is libvirt's user-mode NIC (slirp), the default. */
  readonly nic?: 'user' | 'none';
  /** Default `virtio`. */
  readonly balloon?: 'virtio' | 'none';
}

/** A VM as its owner had it before Homeward came: a qcow2 file, a user-mode NIC, a plain balloon. */
export interface Guest {
  readonly name: string;
  /** libvirt's domain UUID. */
  readonly uuid: string;
  /** The qcow2 file, the same path inside the host and outside. */
  readonly image: string;
  /** Where its QEMU listens, as that QEMU sees the file system: in /tmp, which every host and sandbox has. */
  readonly beatPath: string;
  readonly controlPath: string;
}

/** Copies the guest's disk onto `host` and defines it in that host's libvirt; `virsh start` boots it in seconds. */
export async function defineGuest(host: BedHost, libvirtd: Libvirtd, spec: GuestSpec): Promise<Guest> {
  const isDebian = spec.system === 'debian';
  const { template } = isDebian ? await buildDebianGuest() : await buildGuest();
  const uuid = randomUUID();
  const guest: Guest = {
    name: spec.name,
    uuid,
    image: join(host.folder, 'images', `${spec.name}.qcow2`),
    beatPath: `/tmp/${uuid}.beat`,
    controlPath: `/tmp/${uuid}.control`,
  };
  await copyFile(template, guest.image);
  if (!isDebian)
    await sh('qemu-img', ['resize', '-q', guest.image, String(bootAreaBytes + (spec.dataMiB ?? 64) * 1024 * 1024)]);
  const { code, stderr } = await libvirtd.virsh('define', '--validate', await xmlFile(host, guest, spec));
  if (code !== 0) throw new Error(`libvirt refused the guest ${spec.name}: ${stderr.trim()}`);
  return guest;
}

/** Starts it and returns at once: an observer sees it come up. */
export async function startGuest(libvirtd: Libvirtd, guest: Guest): Promise<void> {
  const { code, stderr } = await libvirtd.virsh('start', guest.uuid);
  if (code !== 0) throw new Error(`The guest ${guest.name} did not start: ${stderr.trim()}`);
}

async function xmlFile(host: BedHost, guest: Guest, spec: GuestSpec): Promise<string> {
  const file = join(host.folder, 'images', `${guest.name}.xml`);
  await writeFile(file, domainXml(guest, spec));
  return file;
}

function domainXml(guest: Guest, spec: GuestSpec): string {
  const channel = (path: string, name: string) =>
    `<channel type='unix'><source mode='bind' path='${path}'/><target type='virtio' name='${name}'/></channel>`;
  return `<domain type='qemu'>
  <name>${guest.name}</name>
  <uuid>${guest.uuid}</uuid>
  <memory unit='MiB'>${spec.memoryMiB ?? 512}</memory>
  <vcpu>${spec.vcpus ?? 1}</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>
  <clock offset='utc'/>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='${guest.image}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    ${spec.nic === 'none' ? '' : "<interface type='user'><model type='virtio'/></interface>"}
    <serial type='pty'/>
    ${channel(guest.beatPath, 'homeward.beat')}
    ${channel(guest.controlPath, 'homeward.control')}
    ${spec.system === 'debian' ? "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>" : ''}
    <memballoon model='${spec.balloon ?? 'virtio'}'/>
  </devices>
</domain>
`;
}
