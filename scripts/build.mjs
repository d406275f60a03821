/**
 * Bundles the command line and every program it leads to into dist/: one file to parse per process or thread instead
 * of hundreds, and no compiler at run time. Programs are found by how a module names them,
 * `new URL('./program.ts', import.meta.url)`, which from source is the source file and from dist/ its bundle.
 */
import { renameSync, rmSync, utimesSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { builtProgram, programFile } from '../bin/built.mjs';

const repository = fileURLToPath(new URL('..', import.meta.url));
const programUrl = /new URL\(\s*'([^']+\.ts)',\s*import\.meta\.url,?\s*\)/g;

const programsByUrl = {
  name: 'programs-by-url',
  transform: {
    filter: { id: /\.ts$/, code: programUrl },
    handler(code, id) {
      return code.replace(programUrl, (_, path) => {
        const program = resolve(dirname(id), path);
        const name = relative(join(repository, 'main'), program).replaceAll(sep, '-').replace(/\.ts$/, '');
        const reference = this.emitFile({ type: 'chunk', id: program, name });
        return `new URL(import.meta.ROLLUP_FILE_URL_${reference})`;
      });
    },
  },
};

/** One character above U+00FF, and V8 keeps a whole file with two bytes for each. */
const asciiOnly = {
  name: 'ascii-only',
  // After the printer, which would write characters again.
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type === 'chunk') file.code = file.code.replace(/[^\p{ASCII}]/gu, escaped);
    }
  },
};

function escaped(character) {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

/** A sandboxed preload has to be one file of CommonJS. */
async function buildPreload(folder) {
  const bundle = await rolldown({
    cwd: repository,
    input: 'main/shell/electron/preload.ts',
    external: ['electron'],
    plugins: [asciiOnly],
    logLevel: 'warn',
  });
  try {
    await bundle.write({ file: join(folder, 'shell-electron-preload.cjs'), format: 'cjs', comments: false });
  } finally {
    await bundle.close();
  }
}

/** Leaves a dist/ alone that is as new as the sources, so that an engine running from it keeps its files. */
export default async function build() {
  if (builtProgram() !== undefined) return;
  const startedAt = new Date();
  const fresh = join(repository, `dist.${process.pid}.tmp`);
  const old = join(repository, 'dist');
  const bundle = await rolldown({
    cwd: repository,
    input: { [programFile.replace(/\.js$/, '')]: 'main/cli/homeward.ts' },
    platform: 'node',
    // With machine code beside it; part of Electron; what `ws` does without.
    external: ['koffi', 'electron', 'bufferutil', 'utf-8-validate'],
    plugins: [programsByUrl, asciiOnly],
    logLevel: 'warn',
  });
  try {
    await bundle.write({
      dir: fresh,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: '[name].js',
      // The text of a program stays in memory as long as it runs.
      comments: false,
    });
    await buildPreload(fresh);
    // What was saved while it was being read counts as newer.
    utimesSync(join(fresh, programFile), startedAt, startedAt);
    rmSync(old, { recursive: true, force: true });
    renameSync(fresh, old);
  } finally {
    await bundle.close();
    rmSync(fresh, { recursive: true, force: true });
  }
}

if (import.meta.main) await build();
