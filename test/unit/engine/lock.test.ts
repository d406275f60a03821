import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { acquireLock } from '../../../main/engine/lock.ts';
import { tempFolder } from './temp-folder.ts';

const lockModule = fileURLToPath(new URL('../../../main/engine/lock.ts', import.meta.url));

/** Another process that holds the lock until it is killed. */
async function holder(file: string): Promise<ChildProcess> {
  const script = `
    const { acquireLock } = await import(${JSON.stringify(lockModule)});
    await acquireLock(${JSON.stringify(file)});
    console.log('held');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('a second engine is refused with the pid of the first', async () => {
  const file = `${await tempFolder()}/engine.lock`;
  const first = await holder(file);
  await expect(acquireLock(file)).rejects.toMatchObject({
    code: 'engine-running',
    message: `An engine is already running for this user (process ${first.pid}).`,
    hint: expect.stringContaining('homeward engine stop'),
  });
});

test('the lock of a killed engine is taken over, and who left it is told', async () => {
  const file = `${await tempFolder()}/engine.lock`;
  const first = await holder(file);
  first.kill('SIGKILL');
  await once(first, 'exit');
  const lock = await acquireLock(file);
  expect(lock.leftBy).toEqual({ pid: first.pid });
  await lock.release();
});

test('a released lock can be taken again and names nobody', async () => {
  const file = `${await tempFolder()}/engine.lock`;
  await (await acquireLock(file)).release();
  const again = await acquireLock(file);
  expect(again.leftBy).toBeUndefined();
  expect(await readFile(file, 'utf8')).toMatch(new RegExp(`^${process.pid} \\d+\n$`));
  await again.release();
});

test('nonsense in the lock file does not matter', async () => {
  const file = `${await tempFolder()}/engine.lock`;
  await writeFile(file, '\0\0not a pid\n');
  const lock = await acquireLock(file);
  expect(lock.leftBy).toBeUndefined();
  await lock.release();
});

test('of ten at the same moment exactly one gets it', async () => {
  const file = `${await tempFolder()}/engine.lock`;
  const tries = await Promise.allSettled(Array.from({ length: 10 }, () => acquireLock(file)));
  const won = tries.filter((attempt) => attempt.status === 'fulfilled');
  expect(won).toHaveLength(1);
  await won[0]?.value.release();
});
