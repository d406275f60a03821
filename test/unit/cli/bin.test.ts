import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { tempFolder } from '../engine/temp-folder.ts';
import { homeward } from './scripted-engine.ts';

/** Stands for the command line: tells how often it was interrupted, and ends as it is asked to. */
const program = `
let interrupts = 0;
process.on('SIGINT', () => {
  interrupts += 1;
  setTimeout(() => { console.log('interrupts ' + interrupts); process.exit(42); }, 300);
});
console.log('args', JSON.stringify(process.argv.slice(2)), process.versions.node === process.env.REAL ? 'new' : 'old');
if (process.argv[2] === 'wait') setInterval(() => undefined, 1000);
else process.exitCode = Number(process.argv[2]);
`;

/** A checkout with the real bin/homeward.mjs, which believes it runs on Node 20. */
async function checkout(withOwnNode: boolean): Promise<{ readonly command: string[]; readonly folder: string }> {
  const folder = await tempFolder();
  await Promise.all(
    ['bin', 'main/cli', 'node_modules/.bin'].map((name) => mkdir(join(folder, name), { recursive: true })),
  );
  await cp(dirname(homeward), join(folder, 'bin'), { recursive: true });
  await writeFile(join(folder, 'main/cli/homeward.ts'), program);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  if (withOwnNode) await symlink(process.execPath, join(folder, 'node_modules/.bin/node'));
  const old = join(folder, 'old.cjs');
  await writeFile(
    old,
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } });",
  );
  return { command: [process.execPath, '--require', old, join(folder, 'bin/homeward.mjs')], folder };
}

async function run(child: ChildProcess, meanwhile: (child: ChildProcess) => void = () => undefined) {
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  const hear = (chunk: Buffer): void => {
    text += chunk.toString();
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  const closed = once(child, 'close');
  if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), closed]);
  meanwhile(child);
  const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null];
  return { code, signal, text };
}

const cache = fileURLToPath(new URL('../../../node_modules/.cache/compiled', import.meta.url));
const env = { ...process.env, REAL: process.versions.node, NODE_COMPILE_CACHE: cache };

test.each(['0', '4', '130'])(
  'an older Node hands over to the one of the checkout, exit code %s included',
  async (code) => {
    const { command } = await checkout(true);
    const [node = '', ...args] = command;
    const ran = await run(spawn(node, [...args, code, 'a b'], { env }));
    expect(ran).toEqual({ code: Number(code), signal: null, text: `args ["${code}","a b"] new\n` });
  },
);

test('without a newer Node it says what is missing', async () => {
  const { command } = await checkout(false);
  const [node = '', ...args] = command;
  expect(await run(spawn(node, [...args, '0'], { env }))).toEqual({
    code: 1,
    signal: null,
    text: 'homeward: needs Node 24 or newer; this is 20.1.0. Run: npm install\n',
  });
});

test('what was built runs until a source is newer', async () => {
  const { folder } = await checkout(true);
  await mkdir(join(folder, 'dist'));
  await writeFile(join(folder, 'dist/homeward.js'), "console.log('built');");
  const ran = () => run(spawn(process.execPath, [join(folder, 'bin/homeward.mjs'), '0'], { env }));
  expect(await ran()).toMatchObject({ code: 0, text: 'built\n' });
  const later = new Date(Date.now() + 1_000);
  await utimes(join(folder, 'main/cli/homeward.ts'), later, later);
  expect(await ran()).toMatchObject({ code: 0, text: 'args ["0"] new\n' });
});

test('a signal sent to it reaches the command', async () => {
  const { command } = await checkout(true);
  const [node = '', ...args] = command;
  const interrupted = await run(spawn(node, [...args, 'wait'], { env }), (child) => child.kill('SIGINT'));
  expect(interrupted).toMatchObject({ code: 42, text: expect.stringContaining('interrupts 1\n') });
  const terminated = await run(spawn(node, [...args, 'wait'], { env }), (child) => child.kill('SIGTERM'));
  expect(terminated.code).toBe(128 + 15);
});

test('Ctrl-C in a terminal reaches the command once, not once more through the wrapper', async () => {
  const { command } = await checkout(true);
  const words = [...command, 'wait'].map((word) => `'${word}'`).join(' ');
  const terminal = spawn('script', ['-qefc', `exec ${words}`, '/dev/null'], { env });
  const ran = await run(terminal, (child) => child.stdin?.write('\u0003'));
  expect(ran).toMatchObject({ code: 42, text: expect.stringContaining('interrupts 1\r\n') });
});

test.each(['--help', 'engine --help', '--version'])('a reader that has gone away is no error: %s', async (words) => {
  const child = spawn(process.execPath, [homeward, ...words.split(' ')], { env });
  child.stdout.destroy();
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(said).toBe('');
});
