import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';
import { requirements } from '../../scripts/requirements.mjs';

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const program = `await (await import('${new URL('../../scripts/setup.mjs', import.meta.url).href}')).setUp();`;

/** The system set-up as somebody who is not root and has no terminal, after `changes` to a private view of the machine. */
function setUpAsOrdinaryUser(changes: string): Promise<Said> {
  const isRoot = process.getuid?.() === 0;
  const script = `${changes}\nexec unshare --user --map-user=65534 --map-group=65534 -- "$@"`;
  const inside = ['--mount', 'sh', '-ec', script, 'sh', process.execPath, '--input-type=module', '-e', program];
  const { CI: _, ...env } = process.env;
  return new Promise((resolve) => {
    const args = [...(isRoot ? [] : ['--user', '--map-root-user']), ...inside];
    const child = execFile('unshare', args, { env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end();
  });
}

test('an ordinary user needs nothing on a machine that is set up', async () => {
  expect(await setUpAsOrdinaryUser(':')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('where something is missing it says what and why, installs nothing, and gives one command', async () => {
  const { code, stdout, stderr } = await setUpAsOrdinaryUser(
    'for name in socat passt; do mount --bind /dev/null "$(command -v $name)"; done',
  );
  expect(code).toBe(1);
  expect(stdout).toMatch(/passt\s+keeps a VM’s network address at home\n\s*socat/);
  expect(stderr).toMatch(/^This needs root once; run as root: .*install.* passt socat\n$/);
});

test('each requirement has a package for every package manager, a reason, and a way to see that it is there', () => {
  for (const requirement of requirements) {
    const { why, apt, dnf, pacman, commands, files, staticFiles } = requirement;
    expect([why, apt, dnf, pacman].every((word) => word.length > 0)).toBe(true);
    expect([commands, files, staticFiles].filter((way) => way !== undefined)).toHaveLength(1);
  }
});
