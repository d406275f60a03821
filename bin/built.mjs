import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('..', import.meta.url));
/** What dist/ is made of, and by. */
const sources = ['main', 'shared', 'package.json', 'package-lock.json', 'scripts/build.mjs'];
export const programFile = 'homeward.js';

/** The command line in dist/; undefined where there is none or a source is newer. A millisecond or two. */
export function builtProgram() {
  const program = join(repository, 'dist', programFile);
  const built = statSync(program, { throwIfNoEntry: false });
  if (built === undefined) return undefined;
  return sources.some((name) => isNewer(join(repository, name), built.mtimeMs)) ? undefined : program;
}

/** A folder's own date tells of files that came or went. */
function isNewer(path, thanMs) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (found.mtimeMs > thanMs) return true;
  return found.isDirectory() && readdirSync(path).some((name) => isNewer(join(path, name), thanMs));
}
