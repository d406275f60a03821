import { expect, test, vi } from 'vitest';
import { away, pairing, status, vm } from './samples.ts';
import {
  emptySurroundings,
  runCli,
  type Script,
  scriptedEngine,
  startCli,
  startInTerminal,
} from './scripted-engine.ts';

vi.setConfig({ testTimeout: 30_000 });

const preview = {
  before: '<domain>\n  <name>work</name>\n  <disk type="file"/>\n</domain>\n',
  after: '<domain>\n  <name>work</name>\n  <disk type="network"/>\n</domain>\n',
  changes: ['the disk is served by the home storage daemon'],
};
const adoption: Script = {
  'vm.adoptPreview': () => preview,
  'vm.adopt': () => vm(),
  'vm.release': () => vm({ adopted: false }),
};
const pairable: Script = { 'pair.start': () => pairing(), 'pair.answer': ({ accept }) => ({ paired: accept }) };

test.each([
  ['y\n', 0, true],
  ['yes\n', 0, true],
  ['n\n', 5, false],
  ['\n', 5, false],
  ['maybe\n', 5, false],
  ['', 5, false],
])('adopt shows the difference, and %j to its question gives exit code %i', async (input, code, adopts) => {
  const engine = await scriptedEngine(adoption);
  const ran = await runCli(engine.env, ['adopt', 'work'], input);
  expect(ran.code).toBe(code);
  expect(ran.stderr).toContain('-  <disk type="file"/>\n+  <disk type="network"/>\n');
  expect(ran.stderr).toContain('- The disk is served by the home storage daemon.\n');
  expect(ran.stderr).toContain('Make work ready this way? [y/N]');
  expect(ran.stdout).toBe(adopts ? 'work is adopted and ready to move.\n' : '');
  expect(engine.asked.some(({ call }) => call === 'vm.adopt')).toBe(adopts);
});

test.each([
  [['adopt', 'work', '--apply'], 'vm.adopt'],
  [['adopt', 'work', '--yes', '--json'], 'vm.adopt'],
  [['adopt', 'work', '--undo', '--yes'], 'vm.release'],
  [['adopt', 'work', '--undo', '--json'], 'vm.release'],
])('%j asks nothing and acts', async (args, call) => {
  const engine = await scriptedEngine(adoption);
  const { code, stderr } = await runCli(engine.env, args);
  expect(code).toBe(0);
  expect(stderr).not.toContain('[y/N]');
  expect(engine.asked).toContainEqual({ call, params: { vm: 'work' } });
});

test('adopt --json only shows', async () => {
  const engine = await scriptedEngine(adoption);
  const { code, stdout } = await runCli(engine.env, ['adopt', 'work', '--json']);
  expect([code, JSON.parse(stdout)]).toEqual([0, { ...preview, applied: false }]);
  expect(engine.asked.map(({ call }) => call)).toEqual(['vm.adoptPreview']);
});

test.each([
  ['adopt --undo', ['adopt', 'work', '--undo'], 'vm.release'],
  ['peers revoke', ['peers', 'revoke', 'tower'], 'peers.revoke'],
])('%s without an answer changes nothing', async (_, args, call) => {
  const engine = await scriptedEngine(adoption);
  expect(await runCli(engine.env, args)).toMatchObject({
    code: 5,
    stderr: expect.stringContaining('Nothing was changed.'),
  });
  expect(engine.asked.some((one) => one.call === call)).toBe(false);
});

test('pair shows the code, asks, and says who it is paired with', async () => {
  const engine = await scriptedEngine(pairable);
  const cli = startInTerminal(engine.env, ['pair', 'tower']);
  await cli.sees(/ {4}123 456\r\n\r\nDoes tower show the same code\? \[y\/N\] /);
  cli.child.stdin?.write('y\n');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/Waiting for the answer at tower…\r\nPaired with tower\.\r\n$/);
  expect(engine.asked).toContainEqual({ call: 'pair.answer', params: { id: pairing().id, accept: true } });
});

test('pair with a no refuses at the engine too and has exit code 1', async () => {
  const engine = await scriptedEngine(pairable);
  expect(await runCli(engine.env, ['pair', 'tower'], 'n\n')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('The pairing with tower was refused here.'),
  });
  expect(engine.asked).toContainEqual({ call: 'pair.answer', params: { id: pairing().id, accept: false } });
});

test('pair says when the other side did not accept', async () => {
  const engine = await scriptedEngine({ ...pairable, 'pair.answer': () => ({ paired: false }) });
  const { code, stdout } = await runCli(engine.env, ['pair', 'tower', '--json'], 'y\n');
  expect([code, JSON.parse(stdout)]).toEqual([
    1,
    { error: expect.objectContaining({ code: 'pairing-failed', message: 'tower did not accept.' }) },
  ]);
});

test.each([
  ['123456', 0, true],
  ['123 456', 0, true],
  ['123457', 1, false],
  ['', 1, false],
])('pair --yes-if-code %j compares without asking: exit code %i', async (given, code, accept) => {
  const engine = await scriptedEngine(pairable);
  const ran = await runCli(engine.env, ['pair', 'tower', '--yes-if-code', given]);
  expect(ran.code).toBe(code);
  expect(ran.stderr).not.toContain('[y/N]');
  expect(engine.asked).toContainEqual({ call: 'pair.answer', params: { id: pairing().id, accept } });
});

test('pair without a name lists the hosts found', async () => {
  const engine = await scriptedEngine({ 'hosts.list': () => [] });
  expect(await runCli(engine.env, ['pair'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^No hosts yet/) });
});

test.each([['status'], ['vms'], ['offload', 'work'], ['engine', 'stop'], ['status', '--watch']])(
  'without an engine, %s %s says how to start it, with exit code 3',
  async (...args) => {
    const { env } = await emptySurroundings();
    const [words, json] = await Promise.all([runCli(env, args), runCli(env, [...args, '--json'])]);
    expect(words).toEqual({
      code: 3,
      stdout: '',
      stderr: 'homeward: The engine is not running.\n  Start it with: homeward engine --detach\n',
    });
    expect([json.code, JSON.parse(json.stdout)]).toEqual([
      3,
      { error: expect.objectContaining({ code: 'engine-not-running' }) },
    ]);
  },
);

test('Ctrl-C at a question ends the command and changes nothing', async () => {
  const engine = await scriptedEngine(adoption);
  const cli = startCli(engine.env, ['adopt', 'work'], 'open');
  await cli.sees(/\[y\/N\]/);
  cli.child.kill('SIGINT');
  await cli.ended;
  expect(engine.asked.some(({ call }) => call === 'vm.adopt')).toBe(false);
});

test('restart-here says what is lost and asks; without a yes nothing happens', async () => {
  const engine = await scriptedEngine({ 'vm.restartHere': () => vm() }, () => status({ vms: [away] }));
  const no = await runCli(engine.env, ['restart-here', 'work'], 'n\n');
  expect(no).toMatchObject({
    code: 5,
    stderr: expect.stringMatching(/in memory since then is lost.*power cut.*Go on with work from its disk here\?/s),
  });
  expect(engine.asked.map(({ call }) => call)).not.toContain('vm.restartHere');
  const json = await runCli(engine.env, ['restart-here', 'work', '--json']);
  expect(json.code).toBe(4);
  expect(engine.asked.map(({ call }) => call)).not.toContain('vm.restartHere');
  expect(await runCli(engine.env, ['restart-here', 'work'], 'y\n')).toMatchObject({ code: 0 });
  expect(engine.asked.map(({ call }) => call)).toContain('vm.restartHere');
});
