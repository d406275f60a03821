import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('..', import.meta.url));
/** What dist/ is made of, and by. */
const sources = ['main', 'shared', 'package.json', 'package-lock.json', 'scripts/build.mjs'];
/** What dist-window/ is made of, and by. */
const windowSources = ['renderer', 'shared', 'package.json', 'package-lock.json', 'vite.config.ts'];
export const programFile = 'homeward.js';

/** The command line in dist/; undefined where there is none or a source is newer. A millisecond or two. */
export function builtProgram() {
  const program = join(repository, 'dist', programFile);
  const built = statSync(program, { throwIfNoEntry: false });
  if (built === undefined) return undefined;
  return sources.some((name) => isNewer(join(repository, name), built.mtimeMs)) ? undefined : program;
}

/** The window in dist-window/, where there are sources of it at all. */
export function windowIsBuilt() {
  if (!existsSync(join(repository, 'renderer'))) return true;
  const built = statSync(join(repository, 'dist-window/index.html'), { throwIfNoEntry: false });
  return built !== undefined && !windowSources.some((name) => isNewer(join(repository, name), built.mtimeMs));
}

/** A folder's own date tells of files that came or went. */
function isNewer(path, thanMs) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (found.mtimeMs > thanMs) return true;
  return found.isDirectory() && readdirSync(path).some((name) => isNewer(join(path, name), thanMs));
}
