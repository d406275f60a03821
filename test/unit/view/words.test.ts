import { expect, test } from 'vitest';
import type { Host } from '../../../shared/model/host.ts';
import { type Move, Phase } from '../../../shared/model/move.ts';
import type { Decision } from '../../../shared/rpc.ts';
import {
  count,
  decisionSentence,
  formatBytes,
  formatDuration,
  formatRate,
  formatSince,
  hostLine,
  logSentence,
  moveLine,
  moveSummary,
  pairingView,
  phaseWords,
  planLines,
  preferenceViews,
  progressView,
  sentence,
  suggestionCommand,
  visitLine,
  vmLine,
  vmView,
} from '../../../shared/view/index.ts';
import { plannedWords } from '../../../shared/view/planned.ts';
import { ended, moving, pairing, plan, preferences } from '../cli/samples.ts';
import { decision, facts, host, MiB, move, vm, vmUuid } from '../samples.ts';

const now = Date.parse('2026-11-20T12:00:00.000Z');

test.each([
  [-5, '0 B'],
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [10 * 1024, '10 KiB'],
  [1023.6 * 1024, '1.0 MiB'],
  [512 * MiB, '512 MiB'],
  [16 * 1024 * MiB, '16 GiB'],
  [5000 * 1024 * 1024 * MiB, '5000 TiB'],
])('%d bytes are "%s"', (bytes, words) => {
  expect(formatBytes(bytes)).toBe(words);
  expect(formatRate(bytes)).toBe(`${words}/s`);
});

test.each([
  [-1, '0 ms'],
  [0.4, '0 ms'],
  [340, '340 ms'],
  [999.6, '1.0 s'],
  [3_240, '3.2 s'],
  [9_949, '9.9 s'],
  [9_951, '10 s'],
  [59_400, '59 s'],
  [59_600, '1 min'],
  [200_000, '3 min 20 s'],
  [3_599_600, '1 h'],
  [7_500_000, '2 h 5 min'],
  [86_390_000, '1 d'],
  [273_600_000, '3 d 4 h'],
])('%d ms are "%s"', (ms, words) => {
  expect(formatDuration(ms)).toBe(words);
});

test.each([
  ['2026-11-20T11:59:59.500Z', 'a moment'],
  ['2026-11-20T12:00:05.000Z', 'a moment'],
  ['2026-11-20T11:59:55.100Z', '4 s'],
  ['2026-11-20T11:48:00.000Z', '12 min'],
])('since %s is "%s"', (at, words) => {
  expect(formatSince(at, now)).toBe(words);
});

test.each([
  ['', ''],
  ['it works', 'It works.'],
  ['Really?', 'Really?'],
  ['  wait… ', 'Wait…'],
])('%j as a sentence is %j', (text, words) => {
  expect(sentence(text)).toBe(words);
});

test('one thing is singular', () => {
  expect([count(0, 'vCPU'), count(1, 'vCPU'), count(2, 'box', 'boxes')]).toEqual(['0 vCPUs', '1 vCPU', '2 boxes']);
});

test('each phase has words of its own, both ways', () => {
  for (const direction of ['out', 'home'] as const) {
    const words = Phase.options.map((phase) => phaseWords({ phase, direction }));
    expect(new Set(words).size).toBe(Phase.options.length);
  }
});

test.each<[string, Partial<Move>, string]>([
  ['planned', {}, 'work → tower: about to start'],
  ['home', { direction: 'home', phase: 'preparing' }, 'work ← tower: getting ready'],
  ['settling', { direction: 'home', phase: 'settling' }, 'work ← tower: running at home, tidying up'],
  ['without figures', { phase: 'copying' }, 'work → tower: copying memory'],
  ['without a link', { phase: 'postcopy', linkDown: true }, 'work → tower: waiting for the link to come back'],
])('a move that is %s', (_, over, words) => {
  expect(moveLine(move(over))).toBe(words);
});

test('figures are told only while memory crosses', () => {
  expect(moveLine(moving())).toBe('work → tower: copying memory, 62 %, 190 MiB of 512 MiB left, 22 MiB/s, about 8.6 s');
  expect(moveLine(moving({ phase: 'settling' }))).toBe('work → tower: running there, tidying up');
});

test.each([
  [0, '100 %'],
  [1, '99 %'],
  [1000, '0 %'],
  [1500, '0 %'],
])('with %d of 1000 bytes left it is at %s', (remainingBytes, percent) => {
  const { progress } = moving();
  if (progress === undefined) throw new Error('The sample has progress.');
  expect(progressView({ ...progress, remainingBytes, totalBytes: 1000 }).percent).toBe(percent);
});

test('before anything is known no figure is made up', () => {
  const { progress } = moving();
  if (progress === undefined) throw new Error('The sample has progress.');
  const nothing = { percent: undefined, left: undefined, rate: undefined, timeLeft: undefined };
  expect(progressView(undefined)).toEqual(nothing);
  expect(progressView({ ...progress, totalBytes: 0 })).toEqual(nothing);
});

test.each<[string, Partial<Move>, string]>([
  ['well', {}, 'work now runs at tower. The move took 5.3 s, paused the VM for 120 ms and sent 482 MiB.'],
  [
    'well, at home, without figures',
    { direction: 'home', totalMs: undefined, downtimeMs: undefined, wireBytes: undefined },
    'work now runs at home.',
  ],
  [
    'well, with one figure',
    { downtimeMs: undefined, wireBytes: undefined },
    'work now runs at tower. The move took 5.3 s.',
  ],
  [
    'cancelled',
    { phase: 'failed', failure: 'cancelled before the switch' },
    'The move was cancelled. work still runs at home.',
  ],
  [
    'failed',
    { phase: 'failed', direction: 'home', failure: 'link too slow' },
    'work was not moved and still runs at tower. Link too slow.',
  ],
  [
    'failed for no reason told',
    { phase: 'failed' },
    'work was not moved and still runs at home. The reason is not known.',
  ],
  [
    'lost',
    { phase: 'lost', failure: 'tower was switched off in the middle' },
    'work does not run any more. Tower was switched off in the middle.',
  ],
])('a move that ended %s', (_, over, words) => {
  const { totalMs, downtimeMs, wireBytes, ...rest } = { ...ended(), ...over };
  const known = Object.fromEntries(
    Object.entries({ totalMs, downtimeMs, wireBytes }).filter(([, value]) => value !== undefined),
  );
  expect(moveSummary({ ...rest, ...known })).toBe(words);
});

const away = {
  kind: 'away',
  host: 'ab'.repeat(32),
  hostName: 'tower',
  visit: '1'.repeat(32),
  since: '2026-11-20T11:48:00.000Z',
} as const;
const way = { mode: 'pre-copy', totalMs: 12_000, bytes: 120 * MiB, confidence: 0.999, reason: 'it is quiet' } as const;

test('what is planned says how, why, for how much, and how sure it is where somebody waits', () => {
  expect(plannedWords(way, false)).toBe('pre-copy, since it is quiet: about 12 s and 120 MiB');
  expect(plannedWords(way, true)).toMatch(/; 99 % sure to be in time$/);
  expect(plannedWords({ mode: 'safe-end', confidence: 0, reason: 'time is short' }, true)).toBe(
    'it would be paused where it is and go on when this computer is back, since time is short',
  );
  expect(planLines(plan({ way }))[1]).toBe('Plan: pre-copy, since it is quiet: about 12 s and 120 MiB.');
});

test('a move that must be over in time says how sure that is, until it has switched', () => {
  const pressed = moving({ plan: { ...way, confidence: 0.5 }, deadlineAt: '2026-11-20T10:01:00.000Z' });
  expect(moveLine(pressed)).toMatch(/, about 8\.6 s, 50 % sure to be in time$/);
  expect(moveLine({ ...pressed, phase: 'settling' })).not.toMatch(/sure/);
});

test('a VM that waits for this computer is told from one that somebody paused', () => {
  const place = { ...away, pausedSince: '2026-11-20T10:00:00.000Z' } as const;
  expect(vmLine(vm({ state: 'paused', place }), [], now)).toBe('work: paused by Homeward at tower for 12 min');
  expect(vmLine(vm({ state: 'paused', place: away }), [], now)).toBe('work: paused at tower for 12 min');
});

test('a plan says the answer first, then obstacles, then warnings', () => {
  expect(planLines(plan({ postcopy: false }))).toEqual([
    'work can move to tower: about 23 s, about 512 MiB to send, pre-copy only.',
  ]);
  expect(planLines(plan({ possible: false, obstacles: ['host is full'], warnings: ['slow link'] }))).toEqual([
    'work cannot move to tower.',
    'Obstacle: Host is full.',
    'Beware: Slow link.',
  ]);
});

test('a VM in one line: at home, away, moving, off', () => {
  const sample = {
    at: 0,
    vcpus: 2,
    busyVcpus: 1.83,
    waitingVcpus: 0,
    busiestVcpu: 1,
    diskBytesPerSec: 0,
    diskRequestsPerSec: 0,
    diskBusy: 0,
    netBytesPerSec: 0,
    memoryBytes: MiB,
    usedMemoryBytes: MiB,
  };
  expect(vmLine(vm({ sample }), [], now)).toBe('work: running here, busy 1.8 of 2 vCPUs');
  expect(vmLine(vm({ place: away }), [], now)).toBe('work: running at tower for 12 min');
  expect(vmLine(vm({ sample }), [moving()], now)).toMatch(/^work → tower: copying memory, 62 %/);
  expect(vmLine(vm({ state: 'shutoff', sample }), [moving({ vm: vmUuid.replace('3', '4') })], now)).toBe(
    'work: off here',
  );
});

test('a VM that is not ready says why', () => {
  expect(vmView(vm({ adopted: false }), [], now).readiness).toBe('not adopted (homeward adopt work)');
  expect(vmView(vm({ obstacles: ['no balloon', 'host CPU'] }), [], now).readiness).toBe('no balloon; host CPU');
});

test.each<[Partial<Host>, string]>([
  [
    { facts: facts({ cores: 8, busyCores: 1.5 }) },
    'tower: ready, 8 cores, 6.5 free, 12 GiB of 16 GiB free, 1.2 ms away',
  ],
  [{ paired: false }, 'tower: not paired, 1.2 ms away'],
  [{ reachable: false, roundTripMs: 34 }, 'tower: out of reach, 34 ms away'],
  [{ obstacle: 'another version' }, 'tower: another version, 1.2 ms away'],
])('a host with %j', (over, words) => {
  expect(hostLine(host(over))).toBe(words);
});

test('a visitor in one line', () => {
  const visit = {
    visit: '1'.repeat(32),
    vm: vmUuid,
    vmName: 'guest',
    state: 'incoming',
    since: '2026-11-20T11:48:00.000Z',
    memoryBytes: 512 * MiB,
    vcpus: 1,
  } as const;
  expect(visitLine(visit, now)).toBe('guest: arriving, 1 vCPU, 512 MiB, for 12 min');
});

test.each<[Partial<Decision>, string, string | undefined]>([
  [{ hostName: 'tower' }, 'work moves to tower: CPU-bound for 20 s.', undefined],
  [
    { hostName: 'tower', outcome: 'suggested' },
    'Suggestion: move work to tower. CPU-bound for 20 s.',
    'homeward offload work --to tower',
  ],
  [
    { outcome: 'suggested', vmName: "eva's box" },
    "Suggestion: move eva's box away. CPU-bound for 20 s.",
    `homeward offload 'eva'\\''s box'`,
  ],
  [{ outcome: 'noted' }, 'work would move away: CPU-bound for 20 s.', undefined],
  [{ action: 'home', reason: 'it is idle' }, 'work comes home: It is idle.', undefined],
  [{ action: 'home', outcome: 'suggested' }, 'Suggestion: bring work home. CPU-bound for 20 s.', 'homeward home work'],
  [{ action: 'home', outcome: 'noted' }, 'work would come home: CPU-bound for 20 s.', undefined],
  [{ action: 'stay', reason: 'load is falling' }, 'work stays where it is: Load is falling.', undefined],
  [{ action: 'stay', reason: 'work has been busy.' }, 'work stays where it is: It has been busy.', undefined],
  [
    { expectedGainS: 90, expectedCostS: 12 },
    'work moves away: CPU-bound for 20 s. Expected gain about 1 min 30 s, cost about 12 s.',
    undefined,
  ],
])('a decision %j', (over, words, command) => {
  expect(decisionSentence(decision(over))).toBe(words);
  expect(suggestionCommand(decision(over))).toBe(command);
});

test('pairing asks the same question on both sides', () => {
  expect(pairingView(pairing())).toEqual({
    code: '123 456',
    title: 'Pairing with tower, where VMs of this computer may run.',
    question: 'Does tower show the same code?',
  });
  expect(pairingView(pairing({ role: 'host', peerName: 'laptop' }))).toMatchObject({
    title: 'laptop wants to let its VMs run on this computer.',
    question: 'Does laptop show the same code?',
  });
});

test('the log tells a move under way by its phase and an ended one by its end', () => {
  const at = '2026-11-20T10:00:00.000Z';
  expect(logSentence({ kind: 'move', at, move: move() })).toBe('work → tower: about to start.');
  expect(logSentence({ kind: 'move', at, move: ended() })).toMatch(/^work now runs at tower\./);
  expect(logSentence({ kind: 'decision', at, decision: decision() })).toMatch(/^work moves away/);
  expect(logSentence({ kind: 'event', at, text: 'engine started' })).toBe('Engine started.');
});

test('preferences are shown as one sets them, each with what it means', () => {
  const off = { suggestions: false, moves: true, trouble: true, pairing: true };
  const departure = { ...preferences.departure, power: { on: false, deadlineS: 60 } };
  const views = preferenceViews({
    ...preferences,
    cooldownS: 90,
    notify: off,
    departure,
    leaving: [{ from: 'fri', to: 'fri', at: '17:30' }],
    closeToTray: false,
  });
  expect(views.map(({ key, value }) => `${key} ${value}`)).toEqual([
    'name eva',
    'cooldown 1 min 30 s',
    'balloon on',
    'notify.suggestions off',
    'notify.moves on',
    'notify.trouble on',
    'notify.pairing on',
    'departure.lid on, within 5 min',
    'departure.sleep on',
    'departure.battery on, within 10 min',
    'departure.dock on, within 5 min',
    'departure.cable on, within 5 min',
    'departure.wifi on, within 1 min',
    'departure.power off',
    'leaving Fri 17:30',
    'close-to-tray off',
  ]);
  expect(views.every(({ meaning }) => meaning !== '')).toBe(true);
});
