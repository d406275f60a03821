/**
 * Packages for Linux, as electron-builder.yml says: `npm run package`, all of them or `-- --dir` for the folder alone.
 * Where ELECTRON_OVERRIDE_DIST_PATH names Electron's own files, they are taken and nothing is fetched.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, Platform } from 'electron-builder';
import { windowIsBuilt } from '../bin/built.mjs';
import buildPrograms from './build.mjs';
import { drawIcons } from './icons.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
const electronDist = process.env.ELECTRON_OVERRIDE_DIST_PATH;

await buildPrograms();
if (!windowIsBuilt()) {
  console.error('The window is not built, or older than its sources. Build it first: npm run build:window');
  process.exit(1);
}
drawIcons(join(repository, '.cache/icons'));
await build({
  projectDir: repository,
  targets: Platform.LINUX.createTarget(process.argv.includes('--dir') ? 'dir' : undefined),
  config: { ...(electronDist ? { electronDist } : {}) },
  publish: 'never',
});
