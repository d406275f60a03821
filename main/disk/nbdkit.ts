import { HomewardError } from '../../shared/errors.ts';

export interface DiskCache {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /**
   * Create this file when the visiting QEMU has begun to run, and not before: what it reads while the VM
   * still runs at home (the boot sector, when its disk is plugged) must not be remembered, since home goes
   * on writing.
   */
  readonly readCacheSwitch: string;
}

/** `DiskCache.readCacheSwitch` in the cache folder. */
export const readCacheFile = 'read-cache-on';

export interface DiskCacheOptions {
  /** Where the visiting QEMU connects; any export name will do there. */
  readonly listenSocket: string;
  /** Where a connection leads to the home disk. */
  readonly upstreamSocket: string;
  /** As `exportName` gives it. */
  readonly exportName: string;
  /** For the cache file, which has no name and is gone with the process. */
  readonly cacheFolder: string;
  /** Most the cache may take there. */
  readonly cacheMaxBytes: number;
}

/** Smallest size nbdkit can reclaim within: some blocks of 64 KiB on either side of its thresholds. */
const minCacheBytes = 16 * 1024 * 1024;

/**
 * nbdkit(1) between the visiting QEMU and the home disk: keeps what was read, writes through, and when
 * the link is gone lets requests wait instead of failing them, for as long as it takes.
 *
 *     QEMU ─ listenSocket ─ cache ─ retry ─ nbd ─ upstreamSocket ─ link ─ home disk
 *
 * The cache lies over the retrying, so that what is cached is served even while the link is down. Not
 * write-back: an nbdkit that dies would take acknowledged writes along.
 */
export function nbdkitCommand(options: DiskCacheOptions): DiskCache {
  const { listenSocket, upstreamSocket, exportName, cacheFolder, cacheMaxBytes } = options;
  if (cacheMaxBytes < minCacheBytes) {
    throw new HomewardError('bad-input', `A disk cache of ${cacheMaxBytes} bytes is too small.`);
  }
  const readCacheSwitch = `${cacheFolder}/${readCacheFile}`;
  return {
    command: 'nbdkit',
    args: [
      '--foreground',
      '--unix',
      listenSocket,
      '--filter=cache',
      '--filter=retry',
      'nbd',
      `socket=${upstreamSocket}`,
      `export=${exportName}`,
      'cache=writethrough',
      `cache-on-read=${readCacheSwitch}`,
      `cache-max-size=${cacheMaxBytes}`,
      // The plugin retries a connection that is refused at the start, the filter one that breaks.
      'retry=2147483647',
      'retries=2147483647',
      'retry-delay=1',
      'retry-exponential=no',
    ],
    env: { TMPDIR: cacheFolder },
    readCacheSwitch,
  };
}
