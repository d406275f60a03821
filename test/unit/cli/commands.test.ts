import { expect, test, vi } from 'vitest';
import { changedDeparture } from '../../../shared/model/signal.ts';
import { outOfTime } from '../../../shared/plan/homecoming.ts';
import type { VisitInfo } from '../../../shared/wire.ts';
import { decision, MiB } from '../samples.ts';
import {
  away,
  ended,
  host,
  hostFingerprint,
  hostSettings,
  move,
  moving,
  peer,
  plan,
  preferences,
  status,
  vm,
  vmUuid,
} from './samples.ts';
import { emptySurroundings, runCli, type Script, scriptedEngine } from './scripted-engine.ts';

// Each command is a process of its own, and two cores may be busy with other tests.
vi.setConfig({ testTimeout: 30_000 });

/** Runs one command against a script, in words and as JSON, and gives both. */
async function both(script: Script, args: readonly string[]) {
  const engine = await scriptedEngine(script);
  const [words, json] = await Promise.all([runCli(engine.env, args), runCli(engine.env, [...args, '--json'])]);
  return { words, json, asked: engine.asked, value: JSON.parse(json.stdout) as unknown };
}

const weighed = decision({
  policy: 'homeward',
  action: 'stay',
  outcome: 'noted',
  reason: 'it is too early to tell.',
  calculation: { kind: 'cpu-bound', program: 'ffmpeg', ageS: 90, restS: 60, runsKnown: 7, gainS: -3, lossChance: 0.12 },
});

const weekTimes = [
  { from: 'mon', to: 'fri', at: '17:30' },
  { from: 'sat', to: 'sat', at: '09:00' },
];

const visitor = (over: Partial<VisitInfo> = {}): VisitInfo => ({
  visit: '1'.repeat(32),
  vm: vmUuid,
  vmName: 'guest',
  state: 'running',
  since: '2026-11-20T10:00:00.000Z',
  memoryBytes: 2 ** 29,
  vcpus: 1,
  ...over,
});

const hosting = {
  'engine.status': () => status({ host: { enabled: true, port: 7420, visitors: [] } }),
  'host.settings': () => hostSettings,
  'host.configure': (given: object) => ({ ...hostSettings, ...given }),
};

test.each<{
  name: string;
  args: string[];
  script?: Script;
  words: RegExp;
  value: unknown;
  asked?: { call: string; params: unknown };
  code?: number;
}>([
  {
    name: 'vms lists name, state, place, size, level and readiness',
    args: ['vms'],
    words: /^NAME +STATE .*\nwork +running +here +2 vCPUs, 1\.0 GiB +suggests +ready\n$/,
    value: [expect.objectContaining({ name: 'work' })],
  },
  {
    name: 'hosts lists those known',
    args: ['hosts'],
    script: { 'hosts.list': () => [host()] },
    words: /^NAME .*\ntower +ready +1\.2 ms away +10\.0\.0\.2:7420 +found nearby\n$/,
    value: [host()],
  },
  {
    name: 'hosts list without any says how to get one',
    args: ['hosts', 'list'],
    script: { 'hosts.list': () => [] },
    words: /^No hosts yet\. Run "homeward host"/,
    value: [],
  },
  {
    name: 'hosts add takes an IPv6 address in brackets',
    args: ['hosts', 'add', '[fd00::20]:7420'],
    script: { 'hosts.add': () => host({ paired: false }) },
    words: /^Added tower\. Pair with it: homeward pair tower\n$/,
    value: host({ paired: false }),
    asked: { call: 'hosts.add', params: { address: 'fd00::20', port: 7420 } },
  },
  {
    name: 'hosts forget',
    args: ['hosts', 'forget', 'tower'],
    script: { 'hosts.forget': () => ({}) },
    words: /^Forgotten\.\n$/,
    value: {},
    asked: { call: 'hosts.forget', params: { host: 'tower' } },
  },
  {
    name: 'peers lists pairings',
    args: ['peers'],
    script: { 'peers.list': () => [peer] },
    words: /tower +VMs of this computer visit it +2026-11-19 +abababababababab\n$/,
    value: [peer],
  },
  {
    name: 'peers rename',
    args: ['peers', 'rename', 'tower', 'attic'],
    script: { 'peers.rename': () => ({ ...peer, name: 'attic' }) },
    words: /^It is called attic now\.\n$/,
    value: { ...peer, name: 'attic' },
    asked: { call: 'peers.rename', params: { fingerprint: 'tower', name: 'attic' } },
  },
  {
    name: 'peers revoke --yes',
    args: ['peers', 'revoke', 'tower', '--yes'],
    script: { 'peers.revoke': () => ({}) },
    words: /^The pairing is ended\.\n$/,
    value: {},
    asked: { call: 'peers.revoke', params: { fingerprint: 'tower' } },
  },
  {
    name: 'auto sets the level',
    args: ['auto', 'work', 'automatic'],
    script: { 'vm.setLevel': ({ level }) => vm({ level }) },
    words: /^work: automatic \(automatic\)\n$/,
    value: vm({ level: 'automatic' }),
    asked: { call: 'vm.setLevel', params: { vm: 'work', level: 'automatic' } },
  },
  {
    name: 'auto without a level shows it',
    args: ['auto', vmUuid.toUpperCase()],
    script: { 'vms.list': () => [vm({ level: 'off' })] },
    words: /^work: off \(by hand\)\n$/,
    value: vm({ level: 'off' }),
  },
  {
    name: 'offload shows how the move ended',
    args: ['offload', 'work', '--to', 'tower'],
    script: { 'move.offload': () => moving(), 'move.wait': () => ended() },
    words: /^work now runs at tower\. The move took 5\.3 s, paused the VM for 120 ms and sent 482 MiB\.\n$/,
    value: ended(),
    asked: { call: 'move.offload', params: { vm: 'work', host: 'tower' } },
  },
  {
    name: 'home shows how the move ended',
    args: ['home', 'work'],
    script: { 'move.home': () => moving({ direction: 'home' }), 'move.wait': () => ended({ direction: 'home' }) },
    words: /^work now runs at home\. /,
    value: ended({ direction: 'home' }),
    asked: { call: 'move.home', params: { vm: 'work' } },
  },
  {
    name: 'home --by gives the engine a deadline, and says what comes of one that cannot be kept',
    args: ['home', 'work', '--by', '60'],
    script: {
      'move.home': () => moving({ direction: 'home' }),
      'move.wait': () => move({ direction: 'home', phase: 'failed', failure: outOfTime }),
    },
    words:
      /^work could not be home in time\. It waits at tower, paused, and goes on when this computer is back; .*homeward home work\n$/,
    value: expect.objectContaining({ phase: 'failed' }),
    code: 1,
    asked: { call: 'move.home', params: { vm: 'work', deadlineMs: 60_000 } },
  },
  {
    name: 'home --by --dry-run says how sure it is',
    args: ['home', 'work', '--by', '60', '--dry-run'],
    script: {
      'move.plan': () =>
        plan({
          direction: 'home',
          way: { mode: 'post-copy', totalMs: 23_000, bytes: 512 * MiB, confidence: 0.934, reason: 'it writes a lot' },
          inTime: true,
        }),
    },
    words: /\nPlan: post-copy, since it writes a lot: about 23 s and 512 MiB; 93 % sure to be in time\.\n$/,
    value: expect.objectContaining({ inTime: true }),
    asked: { call: 'move.plan', params: { vm: 'work', direction: 'home', deadlineMs: 60_000 } },
  },
  {
    name: 'offload --detach returns at once',
    args: ['offload', 'work', '--detach'],
    script: { 'move.offload': () => move() },
    words: /^work → tower: about to start\.\n$/,
    value: move(),
    asked: { call: 'move.offload', params: { vm: 'work' } },
  },
  {
    name: 'offload --dry-run says what it would cost',
    args: ['offload', 'work', '--dry-run'],
    script: { 'move.plan': () => plan({ warnings: ['open connections are lost'] }) },
    words:
      /^work can move to tower: about 23 s, about 512 MiB to send, post-copy if it does not converge\.\nBeware: Open connections are lost\.\n$/,
    value: plan({ warnings: ['open connections are lost'] }),
    asked: { call: 'move.plan', params: { vm: 'work', direction: 'out' } },
  },
  {
    name: 'home --dry-run that is not possible has exit code 4 and the reasons',
    args: ['home', 'work', '--dry-run'],
    script: { 'move.plan': () => plan({ direction: 'home', possible: false, obstacles: ['the link is down'] }) },
    words: /^work cannot come home from tower\.\nObstacle: The link is down\.\n$/,
    value: expect.objectContaining({ possible: false }),
    code: 4,
  },
  {
    name: 'a move that failed has exit code 1 and says where the VM runs',
    args: ['offload', 'work'],
    script: {
      'move.offload': () => move(),
      'move.wait': () => ended({ phase: 'failed', failure: 'tower stopped answering' }),
    },
    words: /^work was not moved and still runs at home\. Tower stopped answering\.\n$/,
    value: expect.objectContaining({ phase: 'failed' }),
    code: 1,
  },
  {
    name: 'a move that was cancelled has exit code 5',
    args: ['offload', 'work'],
    script: {
      'move.offload': () => move(),
      'move.wait': () => ended({ phase: 'failed', failure: 'cancelled before the switch' }),
    },
    words: /^The move was cancelled\. work still runs at home\.\n$/,
    value: expect.objectContaining({ phase: 'failed' }),
    code: 5,
  },
  {
    name: 'cancel',
    args: ['cancel', 'work'],
    script: { 'move.cancel': () => moving() },
    words: /^Cancelling the move of work\.\n$/,
    value: moving(),
  },
  {
    name: 'cancel of a VM that only waits to come home',
    args: ['cancel', 'work'],
    script: {
      'engine.status': () =>
        status({ vms: [{ ...away, homeWanted: { reason: 'the battery is low', since: '2026-11-25T08:00:00.000Z' } }] }),
      'home.unwant': () => away,
    },
    words: /^work does not wait to come home any more\.\n$/,
    value: away,
    asked: { call: 'home.unwant', params: { vm: 'work' } },
  },
  {
    name: 'home --later',
    args: ['home', 'work', '--later'],
    script: { 'home.want': () => away },
    words: /^work comes home as soon as its host can be reached\. Call that off with: homeward cancel work\n$/,
    value: away,
    asked: { call: 'home.want', params: { vm: 'work' } },
  },
  {
    name: 'restart-here --yes',
    args: ['restart-here', 'work', '--yes'],
    script: { 'engine.status': () => status({ vms: [away] }), 'vm.restartHere': () => vm() },
    words: /^work was started here from its disk\.\n$/,
    value: vm(),
    asked: { call: 'vm.restartHere', params: { vm: vmUuid, start: true } },
  },
  {
    name: 'restart-here --yes --no-start',
    args: ['restart-here', 'work', '--yes', '--no-start'],
    script: { 'engine.status': () => status({ vms: [away] }), 'vm.restartHere': () => vm({ state: 'shutoff' }) },
    words: /^The disk of work is here again\. Start it with: virsh -c qemu:\/\/\/session start work\n$/,
    value: vm({ state: 'shutoff' }),
    asked: { call: 'vm.restartHere', params: { vm: vmUuid, start: false } },
  },
  {
    name: 'host on with a lease',
    args: ['host', 'on', '--lease', '2d'],
    script: hosting,
    words: /^This computer takes visitors/,
    value: expect.objectContaining({ enabled: true }),
    asked: { call: 'host.configure', params: { enabled: true, leaseHours: 48 } },
  },
  {
    name: 'finish',
    args: ['finish', 'work'],
    script: { 'move.finishNow': () => moving({ phase: 'postcopy' }) },
    words: /running there, fetching the rest of its memory, 62 %/,
    value: moving({ phase: 'postcopy' }),
  },
  {
    name: 'host on with limits',
    args: ['host', 'on', '--port', '0', '--max-visitors', '3', '--max-memory', '8G', '--max-vcpus', '4'],
    script: hosting,
    words:
      /^This computer takes visitors on port 7420: 3 visitors, 8\.0 GiB, 4 vCPUs at most; one whose computer is silent is kept for 7 d\.\n$/,
    value: expect.objectContaining({ settings: expect.objectContaining({ enabled: true, maxVisitors: 3 }) }),
    asked: {
      call: 'host.configure',
      params: { enabled: true, port: 0, maxVisitors: 3, maxMemoryBytes: 8 * 2 ** 30, maxVcpus: 4 },
    },
  },
  {
    name: 'host off',
    args: ['host', 'off'],
    script: { ...hosting, 'engine.status': () => status() },
    words: /^This computer takes no visitors\. Limits when it does: 2 visitors/,
    value: expect.objectContaining({ settings: expect.objectContaining({ enabled: false }) }),
    asked: { call: 'host.configure', params: { enabled: false } },
  },
  {
    name: 'host status',
    args: ['host', 'status'],
    script: hosting,
    words:
      /^This computer takes visitors on port 7420: 2 visitors, 8\.0 GiB, 8 vCPUs at most; one whose computer is silent is kept for 7 d\.\n$/,
    value: { settings: hostSettings, enabled: true, port: 7420, visitors: [] },
  },
  {
    name: 'host send-home finds the visitor by name; one that has gone is not meant',
    args: ['host', 'send-home', 'guest'],
    script: {
      'engine.status': () =>
        status({
          host: { enabled: true, port: 7420, visitors: [visitor({ visit: '2'.repeat(32), state: 'gone' }), visitor()] },
        }),
      'visit.sendHome': () => ({}),
    },
    words: /^guest's computer was asked to bring it home\. See how it goes with: homeward host status\n$/,
    value: visitor(),
    asked: { call: 'visit.sendHome', params: { visit: '1'.repeat(32) } },
  },
  {
    name: 'notnow puts a suggestion off',
    args: ['notnow', 'work'],
    script: { 'suggestion.dismiss': () => ({}) },
    words: /^Not now: it is not suggested again for half an hour\.\n$/,
    value: {},
    asked: { call: 'suggestion.dismiss', params: { vm: 'work' } },
  },
  {
    name: 'notnow --never rules the host out',
    args: ['notnow', 'work', '--never'],
    script: { 'suggestion.dismiss': () => ({}) },
    words: /^Never: that host is not suggested for it again, until you move it there yourself\.\n$/,
    value: {},
    asked: { call: 'suggestion.dismiss', params: { vm: 'work', forEver: true } },
  },
  {
    name: 'forget erases what was learnt of a VM',
    args: ['forget', 'work'],
    script: { 'policy.forget': () => ({}) },
    words: /^What was learnt of work is erased\.\n$/,
    value: {},
    asked: { call: 'policy.forget', params: { vm: 'work' } },
  },
  {
    name: 'why shows the latest decision and its figures',
    args: ['why', 'work'],
    script: { 'engine.status': () => status({ decisions: [weighed] }) },
    words:
      /^work stays where it is: .*\n {2}What it does +cpu-bound \(ffmpeg\)\n {2}Work so far +1 min 30 s\n(?:.*\n)* {2}Chance of a loss +12 %\n$/,
    value: weighed,
    asked: { call: 'engine.status', params: {} },
  },
  {
    name: 'settings shows them and what they mean',
    args: ['settings'],
    words:
      /^SETTING +VALUE +MEANING\nname +eva .*\ncooldown +2 min .*\nballoon +on .*\nnotify\.suggestions +on (?:.*\n){4}departure\.lid +on, within 5 min .*\n(?:.*\n){6}leaving +not set .*\nclose-to-tray +on .*\n$/,
    value: preferences,
  },
  {
    name: 'settings set turns one notification off and shows all',
    args: ['settings', 'set', 'notify.moves', 'off'],
    script: { 'preferences.change': () => ({ ...preferences, notify: { ...preferences.notify, moves: false } }) },
    words: /\nnotify\.moves +off +tell when/,
    value: { ...preferences, notify: { ...preferences.notify, moves: false } },
    asked: { call: 'preferences.change', params: { notify: { moves: false } } },
  },
  {
    name: 'settings set name takes any name a computer may have',
    args: ['settings', 'set', 'name', 'Büro PC'],
    script: { 'preferences.change': ({ name = '' }) => ({ ...preferences, name }) },
    words: /\nname +Büro PC /,
    value: { ...preferences, name: 'Büro PC' },
    asked: { call: 'preferences.change', params: { name: 'Büro PC' } },
  },
  {
    name: 'settings set cooldown takes seconds',
    args: ['settings', 'set', 'cooldown', '0'],
    script: { 'preferences.change': ({ cooldownS = 1 }) => ({ ...preferences, cooldownS }) },
    words: /\ncooldown +none +rest of a VM/,
    value: { ...preferences, cooldownS: 0 },
    asked: { call: 'preferences.change', params: { cooldownS: 0 } },
  },
  {
    name: 'settings set balloon turns lending memory off',
    args: ['settings', 'set', 'balloon', 'off'],
    script: { 'preferences.change': ({ balloon = true }) => ({ ...preferences, balloon }) },
    words: /\nballoon +off +a VM that is away/,
    value: { ...preferences, balloon: false },
    asked: { call: 'preferences.change', params: { balloon: false } },
  },
  {
    name: 'settings set departure takes seconds, and turns the sign on by that',
    args: ['settings', 'set', 'departure.lid', '120'],
    script: {
      'preferences.change': ({ departure = {} }) => ({
        ...preferences,
        departure: changedDeparture(preferences.departure, departure),
      }),
    },
    words: /\ndeparture\.lid +on, within 2 min +closing/,
    value: { ...preferences, departure: { ...preferences.departure, lid: { on: true, deadlineS: 120 } } },
    asked: { call: 'preferences.change', params: { departure: { lid: { on: true, deadlineS: 120 } } } },
  },
  {
    name: 'settings set leaving takes days and times',
    args: ['settings', 'set', 'leaving', 'mon-fri 17:30, Sat 9:00'],
    script: { 'preferences.change': ({ leaving = [] }) => ({ ...preferences, leaving }) },
    words: /\nleaving +Mon-Fri 17:30, Sat 09:00 +when you usually leave/,
    value: { ...preferences, leaving: weekTimes },
    asked: { call: 'preferences.change', params: { leaving: weekTimes } },
  },
  {
    name: 'status says that closing the lid waits, and for whom',
    args: ['status'],
    script: { 'engine.status': () => status({ vms: [away], guard: { state: 'held' } }) },
    words: /\nLid\n {2}Sleep on lid close is held while work is away\.\n/,
    value: expect.objectContaining({ guard: { state: 'held' } }),
  },
  {
    name: 'log is oldest first, with local times and sentences',
    args: ['log', '-n', '2'],
    script: {
      'log.list': () => [
        { kind: 'move', at: '2026-11-20T10:00:05.300Z', move: ended() },
        { kind: 'event', at: '2026-11-20T10:00:00.000Z', text: 'the engine started' },
      ],
    },
    words: /^2026-11-20 10:00:00 {2}The engine started\.\n2026-11-20 10:00:05 {2}work now runs at tower\./,
    value: [expect.objectContaining({ kind: 'event' }), expect.objectContaining({ kind: 'move' })],
    asked: { call: 'log.list', params: { limit: 2 } },
  },
  {
    name: 'doctor has exit code 1 for a problem and shows the command',
    args: ['doctor'],
    script: {
      'doctor.run': () => [
        { id: 'a', severity: 'ok', title: 'libvirt 9.0.0', detail: '' },
        { id: 'b', severity: 'problem', title: 'No post-copy', detail: 'userfaultfd is off', command: 'sysctl -w x=1' },
      ],
    },
    words: /^ok +libvirt 9\.0\.0\nPROBLEM +No post-copy\n +Userfaultfd is off\.\n +sysctl -w x=1\n$/,
    value: [expect.anything(), expect.objectContaining({ id: 'b' })],
    code: 1,
  },
])('$name', async ({ args, script = {}, words, value, asked, code = 0 }) => {
  const ran = await both(script, args);
  expect(ran.words.stdout).toMatch(words);
  expect(ran.value).toEqual(value);
  expect(ran.json.stdout.trimEnd()).not.toContain('\n');
  expect([ran.words.code, ran.json.code]).toEqual([code, code]);
  if (asked !== undefined) expect(ran.asked).toContainEqual(asked);
});

test.each([
  [[], 'The engine is stopped.\n'],
  [['--json'], '{"stopped":true}\n'],
])('engine stop waits until the engine has gone', async (extra, stdout) => {
  const engine = await scriptedEngine({
    'engine.stop': () => {
      setTimeout(() => void engine.server.close(), 50);
      return {};
    },
  });
  expect(await runCli(engine.env, ['engine', 'stop', ...extra])).toEqual({ code: 0, stdout, stderr: '' });
  expect(engine.server.clients).toBe(0);
});

test('status tells moves, suggestions, VMs, hosts and visitors', async () => {
  const engine = await scriptedEngine({}, () =>
    status({
      moves: [moving()],
      suggestions: [
        {
          at: '2026-11-20T10:00:00.000Z',
          vm: vmUuid,
          vmName: 'build box',
          policy: 'muda',
          action: 'offload',
          host: hostFingerprint,
          hostName: 'tower',
          reason: 'busy for 40 s',
          outcome: 'suggested',
        },
      ],
      host: {
        enabled: true,
        port: 7420,
        visitors: [visitor({ since: new Date().toISOString() })],
      },
    }),
  );
  const { stdout, code } = await runCli(engine.env, ['status']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^eva: engine 0\.1\.0, process 4242, for 2 min \d+ s\n/);
  expect(stdout).toContain(
    'Moves\n  work → tower: copying memory, 62 %, 190 MiB of 512 MiB left, 22 MiB/s, about 8.6 s\n',
  );
  expect(stdout).toContain(
    "Suggestion: move build box to tower. Busy for 40 s.\n    homeward offload 'build box' --to tower\n",
  );
  expect(stdout).toMatch(/\nVMs\n {2}NAME .*\n {2}work +moving +here/);
  expect(stdout).toMatch(/\nHosts\n {2}NAME .*\n {2}tower +ready/);
  expect(stdout).toContain('Visitors\n  Listening on port 7420.\n  guest: running, 1 vCPU, 512 MiB, for a moment\n');
});

test('--help of every command has exit code 0 and names its options', async () => {
  const { env } = await emptySurroundings();
  const commands = ['status', 'vms', 'adopt', 'auto', 'offload', 'home', 'cancel', 'finish', 'hosts', 'peers'];
  commands.push('pair', 'host', 'log', 'doctor', 'engine', 'notnow', 'settings');
  const helps = await Promise.all(commands.map((command) => runCli(env, [command, '--help'])));
  for (const [index, help] of helps.entries()) {
    expect(help.code, commands[index]).toBe(0);
    expect(help.stdout).toContain(`Usage: homeward ${commands[index]}`);
  }
  const main = await runCli(env, ['--help']);
  for (const command of commands) expect(main.stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  expect(main.stdout).toContain('Exit codes:');
});
