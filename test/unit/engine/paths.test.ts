import { chmod, mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { preparePaths } from '../../../main/engine/paths.ts';
import { makePrivateInShared } from '../../../main/process/index.ts';
import { foldersOf } from '../../../shared/folders.ts';
import { tempFolder } from './temp-folder.ts';

const uid = process.getuid?.() ?? 0;

function surroundingsIn(folder: string, env: Record<string, string> = {}) {
  return { env: { XDG_RUNTIME_DIR: `${folder}/run`, ...env }, homeFolder: folder, uid };
}

test('folders follow the XDG variables, else the home folder', () => {
  const none = { env: {}, homeFolder: '/home/eva', uid: 1000 };
  expect(foldersOf(none)).toEqual({
    state: '/home/eva/.local/state/homeward',
    config: '/home/eva/.config/homeward',
    runtime: '/tmp/homeward-1000',
    runtimeIsShared: true,
  });
  const env = { XDG_STATE_HOME: '/s/', XDG_CONFIG_HOME: 'relative', XDG_RUNTIME_DIR: '/run/user/1000' };
  expect(foldersOf({ ...none, env })).toEqual({
    state: '/s/homeward',
    config: '/home/eva/.config/homeward',
    runtime: '/run/user/1000/homeward',
    runtimeIsShared: false,
  });
});

test('folders are made with mode 0700, and made private where they were open', async () => {
  const folder = await tempFolder();
  await mkdir(`${folder}/.config/homeward`, { recursive: true });
  await chmod(`${folder}/.config/homeward`, 0o755);
  const paths = await preparePaths(surroundingsIn(folder));
  for (const made of [paths.stateFolder, paths.runtimeFolder, paths.configFolder]) {
    expect((await stat(made)).mode & 0o777).toBe(0o700);
  }
});

test('a socket path beyond what Linux takes is refused in a sentence', async () => {
  const folder = await tempFolder();
  const env = { XDG_RUNTIME_DIR: `${folder}/${'x'.repeat(100)}` };
  await expect(preparePaths(surroundingsIn(folder, env))).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringMatching(/^The socket path .* bytes long; Linux allows 107\.$/),
    hint: 'Set XDG_RUNTIME_DIR to a folder with a shorter path.',
  });
});

test('a folder of another user is refused', async () => {
  const folder = await tempFolder();
  await expect(preparePaths({ ...surroundingsIn(folder), uid: uid + 1 })).rejects.toMatchObject({
    code: 'permission',
    message: expect.stringContaining('belongs to another user'),
  });
});

test('a folder that cannot be made is refused in a sentence', async () => {
  const file = `${await tempFolder()}/file`;
  await writeFile(file, '');
  await expect(preparePaths(surroundingsIn(file))).rejects.toMatchObject({
    code: 'permission',
    message: expect.stringMatching(/^The folder .*\/file\/.* cannot be used: /),
  });
});

test.each([
  ['open to others', (trap: string) => mkdir(trap).then(() => chmod(trap, 0o777))],
  ['a link to somewhere else', (trap: string) => symlink('/tmp', trap)],
])('in a folder everybody may write to, one that is %s is not trusted', async (_, plant) => {
  const trap = `${await tempFolder()}/homeward-0`;
  await plant(trap);
  await expect(makePrivateInShared(trap, uid)).rejects.toMatchObject({
    code: 'permission',
    message: `${trap} exists and is not a private folder of yours.`,
  });
});

test('in a folder everybody may write to, an own private folder is made and found again', async () => {
  const folder = `${await tempFolder()}/homeward-0`;
  await makePrivateInShared(folder, uid);
  await makePrivateInShared(folder, uid);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
});
