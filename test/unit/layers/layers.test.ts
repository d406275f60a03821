import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

/** What `npm run check:layers` says of a tree made of these files. */
async function check(files: Readonly<Record<string, string>>): Promise<{ code: number; text: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'layers-'));
  folders.push(folder);
  await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'));
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  }
  const depcruise = join(repository, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [depcruise, '--config', join(repository, '.dependency-cruiser.json'), 'main', 'shared'];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, text: stdout + stderr });
    });
  });
}

const face = 'export const x = 1;\nexport type X = number;\n';
const good = {
  'shared/errors.ts': face,
  'main/libvirt/index.ts': face,
  'main/trust/index.ts': "import { x } from '../../shared/errors.ts';\nexport const y = x;\n",
  'main/trust/inner.ts': face,
  'main/client/index.ts': "import { x } from '../../shared/errors.ts';\nexport const c = x;\n",
  'main/shell/index.ts': "import { c } from '../client/index.ts';\nexport const s = c;\n",
  'main/cli/good.ts': "import { c } from '../client/index.ts';\nexport const good = c;\n",
  'main/link/index.ts': "import { y } from '../trust/index.ts';\nexport const z = y;\n",
};

describe('the layer check', () => {
  it('passes a tree that keeps the rules', async () => {
    const { code, text } = await check(good);
    expect(text).toContain('no dependency violations');
    // A checker that reads no file finds nothing, too.
    expect(text).toMatch(/\([1-9]\d* modules/);
    expect(code).toBe(0);
  });

  it.each([
    ['shared-is-pure', 'shared/bad.ts', "import { readFile } from 'node:fs';\nexport const bad = readFile;\n"],
    ['shared-is-pure', 'shared/bad.ts', "import type { X } from '../main/trust/inner.ts';\nexport type Bad = X;\n"],
    [
      'libvirt-stands-alone',
      'main/libvirt/bad.ts',
      "import { x } from '../../shared/errors.ts';\nexport const bad = x;\n",
    ],
    ['one-public-face', 'main/link/bad.ts', "import { x } from '../trust/inner.ts';\nexport const bad = x;\n"],
    ['one-public-face', 'main/link/bad.ts', "import type { X } from '../trust/inner.ts';\nexport type Bad = X;\n"],
    ['floor-ground', 'main/trust/bad.ts', "import { x } from '../link/index.ts';\nexport const bad = x;\n"],
    ['shells-stand-on-shared', 'main/cli/bad.ts', "import { y } from '../trust/index.ts';\nexport const bad = y;\n"],
    ['shells-and-cli-stay-apart', 'main/cli/bad.ts', "import { s } from '../shell/index.ts';\nexport const bad = s;\n"],
    ['client-is-for-shells', 'main/trust/bad.ts', "import { c } from '../client/index.ts';\nexport const bad = c;\n"],
    [
      'main-and-renderer-stay-apart',
      'main/link/bad.ts',
      "import { r } from '../../renderer/r.ts';\nexport const bad = r;\n",
    ],
  ])('refuses a planted violation of %s in %s', async (rule, file, text) => {
    const found = await check({ ...good, 'renderer/r.ts': 'export const r = 1;\n', [file]: text });
    expect(found.text).toContain(rule);
    expect(found.code).not.toBe(0);
  });
});
