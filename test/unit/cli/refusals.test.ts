import { expect, test, vi } from 'vitest';
import { exitCodeOf } from '../../../main/cli/exit-codes.ts';
import { HomewardError } from '../../../shared/errors.ts';
import { status, vm } from './samples.ts';
import { runCli, scriptedEngine, startCli } from './scripted-engine.ts';

// Each command is a process of its own, and two cores may be busy with other tests.
vi.setConfig({ testTimeout: 30_000 });

test('an error of the engine gives its sentence and hint, in words and as JSON, and its exit code', async () => {
  const engine = await scriptedEngine({
    'move.offload': () => {
      throw new HomewardError('host-full', 'Tower is full.', { hint: 'Try another.' });
    },
  });
  const [words, json] = await Promise.all([
    runCli(engine.env, ['offload', 'work']),
    runCli(engine.env, ['offload', 'work', '--json']),
  ]);
  expect(words).toEqual({ code: 4, stdout: '', stderr: 'homeward: Tower is full.\n  Try another.\n' });
  expect(JSON.parse(json.stdout)).toEqual({
    error: { code: 'host-full', message: 'Tower is full.', hint: 'Try another.' },
  });
  expect(json).toMatchObject({ code: 4, stderr: '' });
});

test.each([
  ['bad-input', 2],
  ['unknown-vm', 2],
  ['unknown-host', 2],
  ['engine-not-running', 3],
  ['vm-away', 4],
  ['not-paired', 4],
  ['incompatible', 4],
  ['too-late', 4],
  ['cancelled', 5],
  ['host-unreachable', 1],
  ['disk-full', 1],
  ['libvirt', 1],
] as const)('error %s has exit code %i', (errorCode, exitCode) => {
  expect(exitCodeOf(new HomewardError(errorCode, 'x'))).toBe(exitCode);
});

test.each([
  [['hosts', 'add', 'tower'], /"tower" is not ADDRESS:PORT\./],
  [['hosts', 'add', 'fd00::20:7420'], /is not ADDRESS:PORT\./],
  [['hosts', 'add', 'tower:99999'], /is not ADDRESS:PORT\./],
  [['hosts', 'add', '192.168.1.20/24:7420'], /is not ADDRESS:PORT\./],
  [['hosts', 'add', 'tower lan:7420'], /is not ADDRESS:PORT\./],
  [['hosts', 'add', 'tower\u200b:7420'], /is not ADDRESS:PORT\./],
  [['home', 'work', '--later', '--dry-run'], /cannot be used with option/],
  [['home', 'work', '--later', '--by', '60'], /cannot be used with option/],
  [['host', 'on', '--port', '70000'], /--port is "70000"; it can be 0 to 65535\./],
  [['host', 'on', '--max-memory', 'much'], /"much" is not a size\./],
  [['host', 'on', '--lease', 'long'], /--lease is "long"; it can be 1h to 365d\./],
  [['host', 'on', '--lease', '0h'], /--lease is "0h"; it can be 1h to 365d\./],
  [['host', 'maybe'], /Allowed choices are on, off, status/],
  [['log', '-n', '0'], /--lines is "0"; it can be 1 to 10000\./],
  [['auto', 'work', 'maybe'], /Allowed choices are off, suggest, automatic/],
  [['settings', 'set', 'colour', 'red'], /Allowed choices are name, cooldown, balloon, notify\.suggestions/],
  [['settings', 'set', 'notify.moves', 'maybe'], /notify\.moves is "maybe"; it can be on or off\./],
  [['settings', 'set', 'cooldown', 'soon'], /cooldown is "soon"; it can be 0 to 86400\./],
  [['settings', 'set', 'leaving', 'soon'], /"soon" cannot be read as times of leaving\./],
  [['settings', 'set', 'name', 'a/b'], /"a\/b" cannot be the name of a computer\./],
  [['host', 'send-home'], /missing required argument 'visitor'/],
  [['notnow'], /missing required argument 'vm'/],
  [['offload'], /missing required argument 'vm'/],
  [['offload', 'work', '--fast'], /unknown option '--fast'/],
  [['teleport'], /unknown command 'teleport'/],
  [['offload', 'work', 'home'], /too many arguments/],
])('bad input %j has exit code 2 and is explained, in words and as JSON', async (args, message) => {
  const engine = await scriptedEngine({ 'vms.list': () => [] });
  const [words, json] = await Promise.all([runCli(engine.env, args), runCli(engine.env, [...args, '--json'])]);
  expect(words).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
  expect(json.code).toBe(2);
  expect(JSON.parse(json.stdout)).toMatchObject({
    error: { code: 'bad-input', message: expect.stringMatching(message) },
  });
});

test('a name that fits no VM or several is refused', async () => {
  const twin = vm({ uuid: '00000000-0000-0000-0000-000000000001', connection: 'system' });
  const engine = await scriptedEngine({ 'vms.list': () => [vm(), twin] });
  expect(await runCli(engine.env, ['auto', 'wrk'])).toMatchObject({
    code: 2,
    stderr: 'homeward: There is no VM called wrk.\n  See: homeward vms\n',
  });
  expect(await runCli(engine.env, ['auto', 'work'])).toMatchObject({
    code: 2,
    stderr: 'homeward: work names 2 VMs.\n  Use its UUID: homeward vms --json\n',
  });
});

test('a visitor that is not there, or one of two of that name, is not sent home', async () => {
  const guest = { visit: '1'.repeat(32), vm: vm().uuid, vmName: 'guest', state: 'running' } as const;
  const size = { since: '2026-11-20T10:00:00.000Z', memoryBytes: 1, vcpus: 1 };
  const visitors = [
    { ...guest, ...size },
    { ...guest, ...size, visit: '2'.repeat(32) },
  ];
  const engine = await scriptedEngine({}, () => status({ host: { enabled: true, visitors } }));
  expect(await runCli(engine.env, ['host', 'send-home', 'work'])).toMatchObject({
    code: 2,
    stderr: 'homeward: No VM called work is visiting this computer.\n  See who is here with: homeward host status\n',
  });
  expect(await runCli(engine.env, ['host', 'send-home', 'guest'])).toMatchObject({
    code: 2,
    stderr: 'homeward: 2 visiting VMs are called guest.\n  Use its visit: homeward host status --json\n',
  });
  expect(engine.asked.map(({ call }) => call)).not.toContain('visit.sendHome');
});

test('what another machine says cannot steer the terminal', async () => {
  const engine = await scriptedEngine({
    'move.offload': () => {
      throw new HomewardError('refused', '\u001b]0;owned\u0007no');
    },
  });
  const { stderr } = await runCli(engine.env, ['offload', 'work']);
  expect(stderr).toMatch(/^homeward: .\]0;owned.no\n$/);
  expect(stderr).not.toContain('\u001b');
});

test('a reader that has seen enough is no error', async () => {
  const engine = await scriptedEngine({
    'log.list': () =>
      Array.from({ length: 5_000 }, () => ({ kind: 'event', at: '2026-11-20T10:00:00.000Z', text: 'x'.repeat(100) })),
  });
  const cli = startCli(engine.env, ['log']);
  cli.child.stdout?.destroy();
  expect(await cli.ended).toMatchObject({ code: 0, stderr: '' });
});
