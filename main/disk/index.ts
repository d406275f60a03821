/** The home disk: one storage daemon per VM owns its images; export names say who may write. */
export type { DiskImage } from './daemon.ts';
export { exportName, type Writer } from './exports.ts';
export { HomeDisk, type HomeDiskOptions } from './home-disk.ts';
export { type DiskCache, nbdkitCommand } from './nbdkit.ts';
