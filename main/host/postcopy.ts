/** Whether QEMU, run by this user, may handle page faults of a guest whose memory is still elsewhere. */
import { readFile } from 'node:fs/promises';
import { isOpenTo } from './accel.ts';

export interface PostcopyVersions {
  readonly libvirtVersion: number;
  readonly qemuVersion: number;
}

export interface UserfaultAccess {
  /** vm.unprivileged_userfaultfd is 1. */
  readonly sysctl: boolean;
  /** /dev/userfaultfd may be opened. */
  readonly device: boolean;
}

export async function readUserfaultAccess(): Promise<UserfaultAccess> {
  const sysctl = await readFile('/proc/sys/vm/unprivileged_userfaultfd', 'utf8').catch(() => '');
  return { sysctl: sysctl.trim() === '1', device: await isOpenTo('/dev/userfaultfd') };
}

/** What stands in the way, in words; undefined where nothing does. Pure. */
export function postcopyObstacle(access: UserfaultAccess, versions: PostcopyVersions): string | undefined {
  if (access.sysctl) return undefined;
  // QEMU learned to use the device in 8.0, libvirt to hand it over in 10.1.
  const canUseDevice = versions.qemuVersion >= 8_000_000 && versions.libvirtVersion >= 10_001_000;
  if (access.device && canUseDevice) return undefined;
  return 'QEMU may not use userfaultfd here; allow it with: sudo sysctl vm.unprivileged_userfaultfd=1';
}
