import { chmod, copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sh } from '../../command.ts';
import { bootAreaBytes, cached, isCached, makeBootArea, packInitrd, sources, template } from '../build.ts';
import { takeKernel } from '../kernel.ts';

const packages = ['ffmpeg', 'gcc', 'libc6-dev', 'make', 'qemu-guest-agent'];
/** What its root file system is grown to: room for what the workloads write. */
const rootMiB = 3_072;
/** The first build fetches and unpacks some 200 packages. */
const patienceMs = 1_200_000;
/** Of ext4, each after what it needs itself. */
const fileSystem = ['crc16', 'mbcache', 'jbd2', 'ext4'];
const workloads = ['encode', 'copy-file', 'copy-files', 'build'];
const ownSources = [
  'build.ts',
  'init',
  'initrd-init',
  'add-partition.c',
  ...workloads.map((name) => `workloads/${name}`),
];

const allSources = ['build.ts', 'kernel.ts', 'udhcpc', 'workload.c', ...ownSources.map((file) => `debian/${file}`)];

/**
 * A Debian 12 with real work to do, on a disk that boots by itself: the small guest's boot area, then its root file system.
 * Built once, without root; needs, beyond what the small guest needs, mmdebstrap, uidmap, genext2fs and e2fsprogs.
 */
export async function buildDebianGuest(): Promise<{ readonly template: string }> {
  return { template: join(await cached(allSources, buildInto), template) };
}

export function isDebianGuestBuilt(): Promise<boolean> {
  return isCached(allSources);
}

async function buildInto(folder: string): Promise<void> {
  const own = join(sources, 'debian');
  const initrdRoot = join(folder, 'initrd-root');
  await mkdir(join(initrdRoot, 'modules'), { recursive: true });
  const kernel = join(folder, 'vmlinuz');
  const modules = await takeKernel(join(folder, 'kernel'), kernel, join(initrdRoot, 'modules'), fileSystem);
  await writeFile(join(initrdRoot, 'modules/order'), `${modules.join('\n')}\n`);
  await sh('gcc', ['-O2', '-s', '-static', '-o', join(initrdRoot, 'add-partition'), join(own, 'add-partition.c')]);
  await packInitrd(initrdRoot, join(own, 'initrd-init'), join(folder, 'initrd'));
  const disk = join(folder, 'disk.raw');
  await makeBootArea(folder, disk);
  await makeRoot(folder, join(folder, 'root.ext2'));
  await sh('dd', [
    `if=${join(folder, 'root.ext2')}`,
    `of=${disk}`,
    'bs=1M',
    `seek=${bootAreaBytes / 1024 / 1024}`,
    'conv=sparse,notrunc',
    'status=none',
  ]);
  await sh('truncate', ['-s', String(bootAreaBytes + rootMiB * 1024 * 1024), disk]);
  await sh('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', disk, join(folder, template)], {
    timeoutMs: patienceMs,
  });
  for (const name of await readdir(folder)) {
    if (name !== template) await rm(join(folder, name), { recursive: true, force: true });
  }
  await chmod(join(folder, template), 0o644);
  await chmod(folder, 0o755);
}

async function makeRoot(folder: string, image: string): Promise<void> {
  const added = join(folder, 'added');
  await mkdir(join(added, 'workloads'), { recursive: true });
  await sh('gcc', ['-O2', '-s', '-static', '-pthread', '-o', join(added, 'workload'), join(sources, 'workload.c')]);
  await copyFile(join(sources, 'debian/init'), join(added, 'init'));
  await copyFile(join(sources, 'workload.c'), join(added, 'workloads/workload.c'));
  for (const name of workloads) await copyFile(join(sources, 'debian/workloads', name), join(added, 'workloads', name));
  for (const name of ['init', ...workloads.map((workload) => `workloads/${workload}`)])
    await chmod(join(added, name), 0o755);
  const without = ['doc', 'man', 'locale', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  await sh(
    'mmdebstrap',
    [
      '--quiet',
      '--variant=apt',
      `--include=${packages.join(',')}`,
      '--aptopt=APT::Install-Recommends "false"',
      ...without,
      `--customize-hook=sync-in ${added} /`,
      'bookworm',
      image,
    ],
    { timeoutMs: patienceMs },
  );
  // genext2fs, which mmdebstrap uses, makes it just as large as what is in it, and without a journal.
  await sh('truncate', ['-s', `${rootMiB}M`, image]);
  await sh('sh', ['-c', 'e2fsck -fy "$0" >/dev/null || [ $? -eq 1 ]', image]);
  await sh('resize2fs', [image]);
  await sh('tune2fs', ['-j', image]);
}
