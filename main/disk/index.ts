/** The home disk: one storage daemon per VM owns its images; export names say who may write. */
export { exportName, type Writer } from './exports.ts';
export { HomeDisk, type HomeDiskOptions } from './home-disk.ts';
export { nbdkitCommand, readCacheFile } from './nbdkit.ts';
