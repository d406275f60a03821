/** Which accelerators really run code here. A usable /dev/kvm proves nothing, so QEMU boots a small program. */
import { execFile } from 'node:child_process';
import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Accel } from '../../shared/model/host.ts';
import { probeSector, probeText } from './probe-sector.ts';

const run = promisify(execFile);
/** TCG needs half a second on an old machine; a KVM slower than that is of no use to anybody. */
const deadlineS = 5;

/** Those of kvm and tcg that got through, best first. `folder` holds the boot sector for a moment. */
export async function probeAccels(emulator: string, folder: string, signal?: AbortSignal): Promise<Accel[]> {
  const sector = join(folder, `probe-${process.pid}.bin`);
  await writeFile(sector, probeSector(), { mode: 0o600 });
  try {
    const accels: Accel[] = [];
    if ((await isOpenTo('/dev/kvm')) && (await boots('kvm', emulator, sector, signal))) accels.push('kvm');
    if (await boots('tcg', emulator, sector, signal)) accels.push('tcg');
    return accels;
  } finally {
    await rm(sector, { force: true });
  }
}

async function boots(accel: Accel, emulator: string, sector: string, signal?: AbortSignal): Promise<boolean> {
  const machine = ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-m', '64', '-accel', accel];
  const devices = ['-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0x501'];
  const disk = ['-drive', `if=floppy,format=raw,readonly=on,file=${sector}`];
  // timeout(1) and not a timer of ours: an engine that dies meanwhile would leave QEMU spinning for ever.
  const command = ['--signal=KILL', String(deadlineS), emulator, ...machine, ...devices, ...disk];
  const said = await run('timeout', command, { signal }).catch((error: { stdout?: unknown }) => error);
  signal?.throwIfAborted();
  // The way out through isa-debug-exit is never exit code 0, so what it said counts.
  return String(said.stdout ?? '').startsWith(probeText);
}

export async function isOpenTo(device: string): Promise<boolean> {
  return access(device, 6).then(
    () => true,
    () => false,
  );
}
