import { expect, test } from 'vitest';
import { cancelledByUser } from '../../../shared/machine/move-machine.ts';
import { Phase } from '../../../shared/model/move.ts';
import { defaultDeparture } from '../../../shared/model/signal.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import type { LogEntry, Status } from '../../../shared/rpc.ts';
import {
  attention,
  canFinishNow,
  filterRows,
  firstSteps,
  hintOf,
  hostFigures,
  logRow,
  moveFigures,
  opinionOf,
  phaseTimeline,
  placesOf,
  primaryAction,
  strangers,
  targets,
  tooLateWords,
} from '../../../shared/view/index.ts';
import { ended, moving } from '../cli/samples.ts';
import { decision, facts, host, hostFingerprint, MiB, move, vm } from '../samples.ts';

const otherHost = 'cd'.repeat(32);
const away: Vm['place'] = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit: 'e'.repeat(32),
  since: '2026-11-20T10:00:00.000Z',
};

function status(over: Partial<Status> = {}): Status {
  return {
    version: '0.1.0',
    pid: 1,
    name: 'eva',
    fingerprint: '34'.repeat(32),
    startedAt: '2026-11-20T10:00:00.000Z',
    vms: [vm()],
    hosts: [host()],
    moves: [],
    suggestions: [],
    decisions: [],
    host: { enabled: false, visitors: [] },
    guard: { state: 'off' },
    preferences: {
      name: 'eva',
      cooldownS: 300,
      balloon: true,
      notify: { suggestions: true, moves: true, trouble: true, pairing: true },
      departure: defaultDeparture,
      leaving: [],
      closeToTray: true,
    },
    ...over,
  };
}

test.each([
  ['a VM at home with a host to go to', vm(), status(), 'Offload to tower'],
  ['a VM that is away', vm({ place: away }), status(), 'Bring home'],
  ['a VM that moves and may still be stopped', vm(), status({ moves: [moving()] }), 'Cancel'],
  ['a VM that is not made ready', vm({ adopted: false }), status(), 'Make ready'],
  ['a VM without any host', vm(), status({ hosts: [host({ paired: false })] }), 'Find a host'],
])('one click for %s is "%3$s"', (_, which, now, label) => {
  expect(primaryAction(which, now)).toMatchObject({ label });
});

test.each([
  ['does not run', vm({ state: 'shutoff' }), status(), 'Start the VM to move it.'],
  ['has no reachable host', vm(), status({ hosts: [host({ reachable: false })] }), 'No paired host can take it now.'],
  [
    'is past the flip',
    vm(),
    status({ moves: [moving({ phase: 'postcopy', cancellable: false })] }),
    'work already runs at tower and is fetching the rest of its memory. It is too late to cancel.',
  ],
])('a VM that %s says why nothing can be done', (_, which, now, why) => {
  expect(primaryAction(which, now)).toEqual({ kind: 'none', why });
});

test('the suggested host comes first, otherwise the one with most cores to spare', () => {
  const small = host({ facts: facts({ cores: 4 }) });
  const large = host({ fingerprint: otherHost, name: 'shed', facts: facts({ cores: 32, busyCores: 2 }) });
  const hosts = [small, large];
  expect(primaryAction(vm(), { ...status(), hosts })).toMatchObject({ hostName: 'shed' });
  const suggestions = [decision({ outcome: 'suggested', host: hostFingerprint })];
  expect(primaryAction(vm(), { ...status(), hosts, suggestions })).toMatchObject({ hostName: 'tower' });
});

test('only paired, reachable hosts without an obstacle are targets', () => {
  const hosts = [
    host({ paired: false }),
    host({ reachable: false }),
    host({ obstacle: 'too old' }),
    host({ fingerprint: undefined }),
    host({ name: 'shed' }),
  ];
  expect(targets(hosts)).toEqual([{ fingerprint: hostFingerprint, name: 'shed' }]);
});

test('every phase has a sentence for "too late"', () => {
  for (const phase of Phase.options) expect(tooLateWords(moving({ phase }))).toMatch(/^work .*\.$/);
});

test('"finish now" is for a copy under way to a host that can do post-copy', () => {
  const able = [host({ facts: facts() })];
  expect(canFinishNow(moving(), able)).toBe(true);
  expect(canFinishNow(moving(), [host()])).toBe(true);
  expect(canFinishNow(moving(), [host({ facts: facts({ postcopy: false }) })])).toBe(false);
  expect(canFinishNow(moving({ direction: 'home' }), [])).toBe(true);
  expect(canFinishNow(moving({ linkDown: true }), able)).toBe(false);
  expect(canFinishNow(moving({ mode: 'postcopy' }), able)).toBe(false);
  expect(canFinishNow(move({ phase: 'preparing' }), able)).toBe(false);
});

test('each VM stands in one place, and a move is announced where it leads', () => {
  const places = placesOf(
    status({ moves: [moving()], hosts: [host(), host({ fingerprint: otherHost, paired: false })] }),
  );
  expect(places.map(({ name, vms, arriving }) => [name, vms.length, arriving.length])).toEqual([
    ['eva', 1, 0],
    ['tower', 0, 1],
  ]);
  const homeward = placesOf(status({ vms: [vm({ place: away })], moves: [moving({ direction: 'home' })] }));
  expect(homeward.map(({ name, vms, arriving }) => [name, vms.length, arriving.length])).toEqual([
    ['eva', 0, 1],
    ['tower', 1, 0],
  ]);
});

test('a VM that already stands where its move leads is not announced there again', () => {
  const places = placesOf(status({ vms: [vm({ place: away })], moves: [moving({ phase: 'settling' })] }));
  expect(places[1]?.arriving).toEqual([]);
});

test('a VM at a host that is no longer listed still has a place', () => {
  const places = placesOf(status({ vms: [vm({ place: away })], hosts: [] }));
  expect(places.map(({ name }) => name)).toEqual(['eva', 'tower']);
});

test('hosts that are not paired are strangers', () => {
  expect(strangers([host(), host({ paired: false, name: 'shed' })]).map(({ name }) => name)).toEqual(['shed']);
});

test('the timeline tells what was, what is and what is still to come', () => {
  const steps = phaseTimeline(moving({ phases: [{ name: 'preparing', ms: 1_200 }] }));
  expect(steps.map(({ label, state, took }) => [label, state, took])).toEqual([
    ['Getting ready', 'past', '1.2 s'],
    ['Copying memory', 'now', undefined],
    ['Running at tower', 'ahead', undefined],
    ['Tidying up', 'ahead', undefined],
    ['Done', 'ahead', undefined],
  ]);
});

test('the timeline of a post-copy move shows the flip, the break and the recovery', () => {
  const phases = (['preparing', 'copying', 'postcopy', 'paused'] as const).map((name) => ({ name, ms: 1_000 }));
  const labels = phaseTimeline(moving({ mode: 'postcopy', phase: 'recovering', phases })).map(({ label }) => label);
  expect(labels).toEqual([
    'Getting ready',
    'Copying memory',
    'Running at tower, fetching the rest',
    'Paused, the link is gone',
    'The link is back',
    'All of its memory is at tower',
    'Tidying up',
    'Done',
  ]);
});

test('a move that failed or is over has nothing ahead', () => {
  expect(phaseTimeline(moving({ phase: 'settling', failure: 'no room' })).map(({ phase }) => phase)).toEqual([
    'settling',
  ]);
  expect(phaseTimeline(ended()).map(({ phase, state }) => [phase, state])).toEqual([['done', 'past']]);
  expect(phaseTimeline(move()).map(({ state }) => state)).toEqual(['ahead', 'ahead', 'ahead', 'ahead', 'ahead']);
});

test('a move has other figures while it runs than afterwards, and none before', () => {
  expect(moveFigures(move())).toEqual([]);
  const plan = { mode: 'pre-copy', confidence: 0.8, reason: 'pre-copy is converging' } as const;
  expect(moveFigures(move({ phase: 'preparing', plan, deadlineAt: '2026-11-20T10:01:00.000Z' }))).toEqual([
    { label: 'Plan', value: 'pre-copy: pre-copy is converging' },
    { label: 'In time', value: '80 % sure to be in time' },
  ]);
  expect(moveFigures(moving()).map(({ label }) => label)).toContain('Time left');
  expect(moveFigures(moving({ mode: 'postcopy' })).map(({ label }) => label)).toContain('Pages asked for');
  expect(moveFigures(ended())).toEqual([
    { label: 'Took', value: '5.3 s' },
    { label: 'Paused the VM', value: '120 ms' },
    { label: 'Sent', value: '482 MiB' },
    { label: 'Way', value: 'pre-copy' },
  ]);
});

test('a suggestion is the policy’s opinion before its latest word', () => {
  const suggestions = [decision({ outcome: 'suggested', hostName: 'tower' })];
  const calculation = { kind: 'idle', ageS: 0, restS: 0, runsKnown: 0 } as const;
  const decisions = [decision({ action: 'stay', outcome: 'noted', reason: 'enough CPU', calculation })];
  expect(opinionOf(vm(), { suggestions, decisions })).toEqual({
    sentence: 'Suggestion: move work to tower. CPU-bound for 20 s.',
    figures: [],
    suggestion: suggestions[0],
  });
  expect(opinionOf(vm(), { suggestions: [], decisions })).toMatchObject({
    sentence: 'work stays where it is: Enough CPU.',
    figures: [{ label: 'What it does', value: 'idle' }],
    suggestion: undefined,
  });
  const none = { suggestions: [], decisions: [] };
  expect(opinionOf(vm({ level: 'off' }), none).sentence).toBe(
    'Moves only when you ask, or home before this computer sleeps.',
  );
  expect(opinionOf(vm(), none).sentence).toBe('Nothing to say yet; still measuring.');
  expect(opinionOf(vm({ state: 'shutoff' }), none).sentence).toBe('Nothing to say while it does not run.');
});

test('attention is for VMs that crashed, are cut off, or ended away', () => {
  const now = Date.parse('2026-11-25T09:00:00.000Z');
  expect(attention(status(), now)).toEqual([]);
  expect(attention(status({ vms: [vm({ place: away })] }), now)).toEqual([]);
  const cutOff = status({ vms: [vm({ place: away }), vm({ name: 'build', state: 'crashed' })], hosts: [] });
  expect(attention(cutOff, now)).toEqual([
    'build has crashed.',
    expect.stringMatching(/^work is at tower, which cannot be reached\. .* nothing is lost by waiting\.$/),
  ]);
  const ended = { why: 'host-restarted', at: away.kind === 'away' ? away.since : '', hostName: 'tower' } as const;
  expect(attention(status({ vms: [vm({ state: 'shutoff', place: { kind: 'home', ended } })] }), now)).toEqual([
    expect.stringMatching(/^tower was restarted while work was there\. Its disk is here/),
  ]);
});

test('the first steps are done one by one, and vanish when each VM can say itself what to do', () => {
  const done = (over: Partial<Status>): boolean[] => firstSteps(status(over)).map((step) => step.done);
  expect(done({ hosts: [], vms: [vm({ adopted: false })] })).toEqual([false, false, false, false]);
  expect(done({ hosts: [host({ paired: false })], vms: [vm({ adopted: false })] })).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect(done({ vms: [vm({ adopted: false })] })).toEqual([true, true, false, false]);
  expect(done({})).toEqual([]);
});

const entries: LogEntry[] = [
  { kind: 'move', at: '2026-11-20T10:00:00.000Z', move: ended() },
  { kind: 'move', at: '2026-11-20T11:00:00.000Z', move: ended({ phase: 'failed', failure: 'no room' }) },
  { kind: 'move', at: '2026-11-20T11:30:00.000Z', move: ended({ phase: 'failed', failure: cancelledByUser }) },
  { kind: 'move', at: '2026-11-20T11:40:00.000Z', move: ended({ phase: 'lost', vmName: 'build' }) },
  { kind: 'move', at: '2026-11-20T11:50:00.000Z', move: moving() },
  {
    kind: 'decision',
    at: '2026-11-20T12:00:00.000Z',
    decision: decision({ outcome: 'noted', expectedGainS: 60, expectedCostS: 9 }),
  },
  { kind: 'event', at: '2026-11-20T13:00:00.000Z', text: 'the link is back' },
];

test('a row of the past says in a word how it went', () => {
  expect(entries.map((entry) => logRow(entry).tag)).toEqual([
    'Offloaded',
    'Not moved',
    'Cancelled',
    'Lost',
    'Moving',
    'Noted',
    'Event',
  ]);
  expect(logRow({ kind: 'move', at: '', move: ended({ direction: 'home' }) }).tag).toBe('Came home');
  expect(entries.map(logRow)[5]?.figures).toEqual([
    { label: 'Policy', value: 'muda' },
    { label: 'Expected gain', value: '1 min' },
    { label: 'Expected cost', value: '9.0 s' },
  ]);
});

test('the past is narrowed by kind, VM and text', () => {
  const rows = entries.map(logRow);
  expect(filterRows(rows, { kind: '', vm: '', text: '' })).toHaveLength(7);
  expect(filterRows(rows, { kind: 'decision', vm: '', text: '' })).toHaveLength(1);
  expect(filterRows(rows, { kind: '', vm: 'build', text: '' })).toHaveLength(1);
  expect(filterRows(rows, { kind: 'move', vm: '', text: ' NO ROOM ' })).toHaveLength(1);
  expect(filterRows(rows, { kind: 'event', vm: 'work', text: '' })).toEqual([]);
});

test('a host’s figures are what it told and what was measured', () => {
  expect(hostFigures(host())).toEqual([]);
  const figures = hostFigures(
    host({
      facts: facts({ accels: ['tcg'], postcopy: false, postcopyObstacle: 'the kernel forbids it' }),
      traffic: { outBytesPerSec: MiB, homeBytesPerSec: 0 },
      benchmark: {
        cpuSingleOpsPerSec: 2_400_000,
        memcpyBytesPerSec: 9_000 * MiB,
        diskWriteBytesPerSec: 700 * MiB,
        linkOutBytesPerSec: 100 * MiB,
        takenAt: '2026-11-20T10:00:00.000Z',
      },
    }),
  );
  expect(Object.fromEntries(figures.map(({ label, value }) => [label, value]))).toMatchObject({
    'Runs VMs with': 'emulation',
    'Post-copy': 'not possible: the kernel forbids it',
    'Link now': '↑ 1.0 MiB/s ↓ 0 B/s',
    'One core': '2.4 million steps/s',
    'Link there': '100 MiB/s',
  });
});

test('a hint that came along is better than the usual one; some errors need none', () => {
  expect(hintOf({ code: 'timeout', message: 'No answer.', hint: 'Wait.' })).toBe('Wait.');
  expect(hintOf({ code: 'vm-busy', message: 'It moves.' })).toBe('See what is going on under Moves.');
  expect(hintOf({ code: 'cancelled', message: 'Cancelled.' })).toBeUndefined();
});
