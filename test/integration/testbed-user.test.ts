import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { buildGuest } from '../testbed/index.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
/** Debian's `nobody`: exists everywhere and owns nothing. */
const nobody = '65534';
const asNobody = ['--reuid', nobody, '--regid', nobody, '--clear-groups'];
const files = ['test/integration/testbed.test.ts', 'test/integration/testbed-guest.test.ts'];

/** The repository may lie where only root can look; so the user gets a read-only view of it in a namespace of its own. */
const script = `
set -e
mount --make-rprivate /
mount --bind "$1" "$2/repository"
mount -o remount,bind,ro "$2/repository"
cd "$2/repository"
shift 2
exec setpriv "$@"`;

test('the bed does the same for an ordinary user', async () => {
  if (process.getuid?.() !== 0) {
    console.log('These tests run as an ordinary user already.');
    return;
  }
  const may = await promisify(execFile)('setpriv', [...asNobody, 'unshare', '--user', '--map-root-user', 'true']).then(
    () => true,
    (error: unknown) => {
      console.log(`Not run: this machine lets no ordinary user make namespaces (${String(error)}).`);
      return false;
    },
  );
  if (!may) return;
  await buildGuest();
  const folder = await mkdtemp('/var/tmp/hw-user-');
  try {
    await chmod(folder, 0o755);
    await mkdir(join(folder, 'repository'));
    await mkdir(join(folder, 'home'));
    await chown(join(folder, 'home'), Number(nobody), Number(nobody));
    const vitest = ['vitest', 'run', '--configLoader', 'native', '--project', 'integration', ...files];
    const bin = join(folder, 'repository/node_modules/.bin');
    const child = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', repository, folder, ...asNobody, ...vitest], {
      env: { HOME: join(folder, 'home'), PATH: `${bin}:${process.env['PATH']}`, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = await once(child, 'close');
    expect(code, said).toBe(0);
    expect(said).toMatch(/Test Files\s+2 passed/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
