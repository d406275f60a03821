import { access, constants, open, rm, stat } from 'node:fs/promises';
import { HomewardError } from '../../shared/errors.ts';
import { type ChildRecord, endsWithin, forgetRecord, isAlive, spawnDetached } from '../process/index.ts';
import { nodeName } from './exports.ts';
import { converse } from './qmp.ts';

export interface DiskImage {
  /** libvirt's target name, e.g. `vda`. */
  readonly target: string;
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
}

export interface Paths {
  readonly nbd: string;
  readonly qmp: string;
  readonly record: string;
  readonly log: string;
}

/** sun_path of unix(7), without its final zero. */
const maxSocketPathBytes = 107;
const startDeadlineMs = 20_000;

export function pathsIn(folder: string): Paths {
  const paths = {
    nbd: `${folder}/nbd.sock`,
    qmp: `${folder}/qmp.sock`,
    record: `${folder}/storage-daemon.json`,
    log: `${folder}/storage-daemon.log`,
  };
  if (Buffer.byteLength(paths.nbd) > maxSocketPathBytes) {
    throw new HomewardError('bad-input', `The folder ${folder} has too long a name to hold sockets.`);
  }
  return paths;
}

/** qemu-storage-daemon(1). The monitor comes last: once it answers, the images are open and NBD listens. */
export function daemonArgs(paths: Paths, disks: readonly DiskImage[]): string[] {
  const blockdevs = disks.flatMap(({ target, file, format }) => {
    const protocol = { driver: 'file', 'node-name': `file-${target}`, filename: file, discard: 'unmap' };
    const top = { driver: format, 'node-name': nodeName(target), file: `file-${target}`, discard: 'unmap' };
    return ['--blockdev', JSON.stringify(protocol), '--blockdev', JSON.stringify(top)];
  });
  return [
    ...blockdevs,
    '--nbd-server',
    `addr.type=unix,addr.path=${escaped(paths.nbd)}`,
    '--chardev',
    `socket,id=qmp,path=${escaped(paths.qmp)},server=on,wait=off`,
    '--monitor',
    'chardev=qmp',
  ];
}

/** A comma ends a QemuOpts value; two stand for one. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,');
}

/** Starts the daemon and waits until it serves. Nothing is left running when it throws. */
export async function startDaemon(paths: Paths, disks: readonly DiskImage[]): Promise<ChildRecord> {
  for (const disk of disks) await checkReadable(disk);
  await Promise.all([rm(paths.nbd, { force: true }), rm(paths.qmp, { force: true })]);
  const logBytes = await stat(paths.log).then(
    ({ size }) => size,
    () => 0,
  );
  let record: ChildRecord;
  try {
    record = await spawnDetached({
      command: 'qemu-storage-daemon',
      args: daemonArgs(paths, disks),
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
      logFile: paths.log,
      recordFile: paths.record,
    });
  } catch (error) {
    if (error instanceof HomewardError && error.code === 'missing-tool') {
      throw new HomewardError('missing-tool', 'qemu-storage-daemon is not installed; it serves the disk at home.', {
        hint: 'Debian, Ubuntu: apt install qemu-system-common. Fedora: dnf install qemu-img.',
        cause: error,
      });
    }
    throw error;
  }
  try {
    await serving(record, paths, disks, logBytes);
  } catch (error) {
    await forgetRecord(paths.record);
    throw error;
  }
  return record;
}

async function serving(
  record: ChildRecord,
  paths: Paths,
  disks: readonly DiskImage[],
  logBytes: number,
): Promise<void> {
  const deadline = performance.now() + startDeadlineMs;
  for (;;) {
    try {
      await converse(paths.qmp, 2_000, async (execute) => execute('query-version'));
      return;
    } catch (error) {
      if (!(await isAlive(record))) throw refusal(await logTail(paths.log, logBytes), disks);
      if (performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        continue;
      }
      process.kill(record.pid, 'SIGKILL');
      await endsWithin(record, 5_000);
      throw new HomewardError('timeout', 'The storage daemon did not come up.', { cause: error });
    }
  }
}

async function checkReadable({ file }: DiskImage): Promise<void> {
  try {
    await access(file, constants.R_OK | constants.W_OK);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new HomewardError('not-ready', `The disk image ${file} is not there.`, {
        hint: 'If it lies on another drive, connect that drive first.',
        cause,
      });
    }
    throw new HomewardError('permission', `The disk image ${file} may not be read and written by you.`, {
      hint: `Make it yours, or run: setfacl -m u:$USER:rw '${file}'`,
      cause,
    });
  }
}

async function logTail(file: string, fromByte: number): Promise<string> {
  const log = await open(file, 'r');
  try {
    const { size } = await log.stat();
    // The log may have been begun anew.
    const start = size >= fromByte ? fromByte : 0;
    const { buffer, bytesRead } = await log.read(Buffer.alloc(8_192), 0, 8_192, start);
    return buffer.toString('utf8', 0, bytesRead).trim();
  } finally {
    await log.close();
  }
}

/** The daemon's own words (LC_ALL=C) as an error for people. */
export function refusal(words: string, disks: readonly DiskImage[]): HomewardError {
  const cause = new Error(words);
  const named = disks.find(({ file }) => words.includes(file))?.file;
  const image = named ? `The disk image ${named}` : 'A disk image';
  if (/Failed to get .* lock/.test(words)) {
    return new HomewardError('vm-busy', `${image} is in use by another program.`, {
      hint: 'Shut the VM down first, and close whatever else has the image open.',
      cause,
    });
  }
  if (/Image is not in .* format|Image is corrupt|qcow2: .*(?:invalid|corrupt)/i.test(words)) {
    return new HomewardError('damaged-file', `${image} is not what it should be: ${words.split('\n')[0]}`, { cause });
  }
  if (words.includes('No space left on device')) {
    return new HomewardError('disk-full', 'There is no room left for the storage daemon to start.', { cause });
  }
  if (/Permission denied|Operation not permitted|Read-only file system/.test(words)) {
    return new HomewardError('permission', `${image} may not be opened for writing.`, { cause });
  }
  return new HomewardError('internal', `The storage daemon did not start: ${words || 'it said nothing'}`, { cause });
}
