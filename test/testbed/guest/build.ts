import { createHash } from 'node:crypto';
import { access, chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sh } from '../command.ts';
import { takeKernel } from './kernel.ts';

/** The guest, ready to be copied: nothing in it belongs to one VM. */
export interface GuestImage {
  readonly kernel: string;
  readonly initrd: string;
  /** qcow2 that boots by itself (FAT and syslinux on the whole disk); grown per VM beyond `bootAreaBytes`. */
  readonly template: string;
}

/** Where the boot file system ends and the disk workload's own area begins (workload.c: DATA_OFFSET). */
export const bootAreaBytes = 64 * 1024 * 1024;

/** `pti=on`: an emulated CPU whose TLB is seldom emptied loses writes in a move under QEMU before 9.0 (docs/decisions.md). */
const bootMenu = `DEFAULT guest
PROMPT 0
LABEL guest
  LINUX vmlinuz
  INITRD initrd
  APPEND console=ttyS0 quiet panic=-1 mitigations=off pti=on random.trust_cpu=on
`;

/** The guest's disk, in its folder of the cache. */
export const template = 'guest.qcow2';
export const sources = fileURLToPath(new URL('.', import.meta.url));
const repository = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Builds the guest from distribution packages, or finds it built: cached in `.cache/guest/<hash of the sources>`.
 * Needs apt-get (the kernel), gcc, cpio, zstd, busybox-static, syslinux, mtools and qemu-img, but not root.
 */
export async function buildGuest(): Promise<GuestImage> {
  const folder = await cached(['build.ts', 'kernel.ts', 'init', 'udhcpc', 'workload.c'], buildInto);
  return { kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd'), template: join(folder, template) };
}

/** The folder, named after the hash of `files` (beside this one), that `build` filled: the guest's disk is in it. */
export async function cached(files: readonly string[], build: (scratch: string) => Promise<void>): Promise<string> {
  const key = await sourcesKey(files);
  const folder = join(await cacheFolder(key), key);
  if (await exists(join(folder, template))) return folder;
  await mkdir(dirname(folder), { recursive: true });
  const scratch = await mkdtemp(`${folder}.part-`);
  try {
    await build(scratch);
    // Whoever finishes first wins; the loser's copy is the same guest.
    await rename(scratch, folder).catch(async (error: unknown) => {
      if (!(await exists(join(folder, template)))) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return folder;
}

async function buildInto(folder: string): Promise<void> {
  const root = join(folder, 'root');
  await mkdir(join(root, 'modules'), { recursive: true });
  const modules = await takeKernel(join(folder, 'kernel'), join(folder, 'vmlinuz'), join(root, 'modules'));
  await writeFile(join(root, 'modules/order'), `${modules.join('\n')}\n`);
  await sh('gcc', ['-O2', '-s', '-static', '-pthread', '-o', join(root, 'workload'), join(sources, 'workload.c')]);
  await packInitrd(root, join(sources, 'init'), join(folder, 'initrd'));
  await makeBootArea(folder, join(folder, 'disk.raw'));
  await sh('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', join(folder, 'disk.raw'), join(folder, template)]);
  for (const scratch of ['kernel', 'root', 'disk.raw', 'syslinux.cfg']) {
    await rm(join(folder, scratch), { recursive: true, force: true });
  }
  for (const kept of ['vmlinuz', 'initrd', template]) await chmod(join(folder, kept), 0o644);
  await chmod(folder, 0o755);
}

/** `root` with a busybox that runs `init`. */
export async function packInitrd(root: string, init: string, initrd: string): Promise<void> {
  for (const folder of ['bin', 'etc', 'dev', 'proc', 'sys', 'tmp']) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await copyFile(await busybox(), join(root, 'bin/busybox'));
  await copyFile(init, join(root, 'init'));
  await copyFile(join(sources, 'udhcpc'), join(root, 'etc/udhcpc'));
  for (const file of ['bin/busybox', 'init', 'etc/udhcpc']) await chmod(join(root, file), 0o755);
  await sh('sh', ['-c', 'find . | cpio --quiet -o -H newc -R 0:0 | zstd -q -19 -o "$0"', initrd], { cwd: root });
}

/** The set-up has seen to it that it is a static one. */
async function busybox(): Promise<string> {
  for (const path of ['/bin/busybox', '/usr/bin/busybox', '/sbin/busybox']) if (await exists(path)) return path;
  throw new Error('There is no busybox; `npm run setup` installs it.');
}

/** FAT and no partitions, of `folder`'s kernel and initrd: syslinux writes its boot sector through mtools, without root. */
export async function makeBootArea(folder: string, raw: string): Promise<void> {
  const menu = join(folder, 'syslinux.cfg');
  await writeFile(menu, bootMenu);
  await sh('truncate', ['-s', String(bootAreaBytes), raw]);
  await sh('mformat', ['-i', raw, '-v', 'HOMEWARD', '-h', '16', '-s', '63', '-t', '130', '-H', '0', '::']);
  await sh('syslinux', ['--install', raw]);
  await sh('mcopy', ['-i', raw, menu, join(folder, 'vmlinuz'), join(folder, 'initrd'), '::']);
}

async function sourcesKey(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(join(sources, file)));
  return hash.digest('hex').slice(0, 16);
}

/** Whether `cached` would find it built. */
export async function isCached(files: readonly string[]): Promise<boolean> {
  const key = await sourcesKey(files);
  return await exists(join(await cacheFolder(key), key, template));
}

/** In the repository; where that is another user's, readable but not ours to write, a folder of our own. */
async function cacheFolder(key: string): Promise<string> {
  const inRepository = join(repository, '.cache/guest');
  if (await exists(join(inRepository, key, template))) return inRepository;
  const made = await mkdir(inRepository, { recursive: true }).then(
    () => access(inRepository, 2).then(() => true),
    () => false,
  );
  return made === true ? inRepository : join(tmpdir(), `homeward-guest-${process.getuid?.() ?? 0}`);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
