import { access, copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { basename, join } from 'node:path';
import { sh } from '../command.ts';

/** What every guest needs, each after what it needs itself. */
const moduleNames = [
  'virtio_ring',
  'virtio',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'virtio_blk',
  'failover',
  'net_failover',
  'virtio_net',
  'virtio_balloon',
  'virtio_console',
  'loop',
];

const unpackers = new Map([
  ['zst', ['zstd', '-dcq']],
  ['xz', ['xz', '-dc']],
  ['gz', ['gzip', '-dc']],
]);

/**
 * Puts a kernel at `vmlinuz` and its modules, unpacked and in load order, into `modulesFolder`; the module files' names.
 * Debian's smallest packaged kernel where there is apt (it checks the signature; dpkg only unpacks), else the one
 * this machine runs. `scratch` is for the caller to remove. `further`: modules beyond those of every guest.
 */
export async function takeKernel(
  scratch: string,
  vmlinuz: string,
  modulesFolder: string,
  further: readonly string[] = [],
): Promise<readonly string[]> {
  const debian = await sh('apt-get', ['--version']).then(
    () => true,
    () => false,
  );
  const source = debian ? await debianKernel(scratch) : await ownKernel();
  await copyFile(source.vmlinuz, vmlinuz);
  const builtIn = await readFile(join(source.modules, 'modules.builtin'), 'utf8');
  const files = await readdir(source.modules, { recursive: true });
  const taken: string[] = [];
  for (const name of [...moduleNames, ...further]) {
    const file = files.find((path) => new RegExp(`/${name}\\.ko(\\.\\w+)?$`).test(path));
    if (file !== undefined) await unpackModule(join(source.modules, file), join(modulesFolder, `${name}.ko`));
    else if (!builtIn.includes(`/${name}.ko`))
      throw new Error(`The kernel ${basename(source.modules)} has no ${name}.`);
    if (file !== undefined) taken.push(`${name}.ko`);
  }
  return taken;
}

interface KernelSource {
  readonly vmlinuz: string;
  /** lib/modules/RELEASE. */
  readonly modules: string;
}

async function debianKernel(scratch: string): Promise<KernelSource> {
  await mkdir(scratch, { recursive: true });
  const depends = await sh('apt-cache', ['depends', 'linux-image-cloud-amd64']);
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (name === undefined) throw new Error('apt knows no linux-image-cloud-amd64; run `apt-get update` once as root.');
  await sh('apt-get', ['download', name], { cwd: scratch, timeoutMs: 300_000 });
  const archive = (await readdir(scratch)).find((file) => file.endsWith('.deb'));
  if (archive === undefined) throw new Error(`apt-get downloaded no ${name}.`);
  await sh('dpkg', ['-x', archive, 'unpacked'], { cwd: scratch });
  const version = name.replace('linux-image-', '');
  return {
    vmlinuz: join(scratch, `unpacked/boot/vmlinuz-${version}`),
    modules: join(scratch, `unpacked/lib/modules/${version}`),
  };
}

async function ownKernel(): Promise<KernelSource> {
  const modules = `/lib/modules/${release()}`;
  for (const vmlinuz of [`${modules}/vmlinuz`, `/boot/vmlinuz-${release()}`]) {
    const readable = await access(vmlinuz, 4).then(
      () => true,
      () => false,
    );
    if (readable) return { vmlinuz, modules };
  }
  throw new Error(`The guest needs a kernel: there is no apt to fetch one, and ${modules}/vmlinuz is not readable.`);
}

async function unpackModule(from: string, to: string): Promise<void> {
  const [program, ...args] = unpackers.get(from.slice(from.lastIndexOf('.') + 1)) ?? [];
  if (program === undefined) await copyFile(from, to);
  else await sh('sh', ['-c', 'exec "$@" > "$0"', to, program, ...args, from]);
}
