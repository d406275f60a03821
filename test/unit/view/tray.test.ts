import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Status } from '../../../shared/rpc.ts';
import { attention, type MenuEntry, type TrayIcon, trayModel } from '../../../shared/view/index.ts';
import { away, moving, status } from '../cli/samples.ts';
import { decision, host, hostFingerprint, MiB, move, vm, vmUuid } from '../samples.ts';

const suggestion = decision({ outcome: 'suggested', host: hostFingerprint, hostName: 'tower' });
const toHome = decision({ outcome: 'suggested', action: 'home', reason: 'idle for 5 min' });
const otherVm = { uuid: '00000000-0000-4000-8000-000000000001', name: 'play' };

function lines(entries: readonly MenuEntry[], indent = ''): string[] {
  return entries.flatMap((entry) => linesOf(entry).map((line) => indent + line));
}

function linesOf(entry: MenuEntry): string[] {
  switch (entry.kind) {
    case 'separator':
      return ['---'];
    case 'words':
      return [`(${entry.label})`];
    case 'action':
      return [entry.label];
    case 'check':
      return [`[${entry.checked ? 'x' : ' '}] ${entry.label}`];
    case 'submenu':
      return [`${entry.label} >`, ...lines(entry.entries, '  ')];
  }
}

function menu(over: Partial<Status> = {}): string[] {
  return lines(trayModel('up', status(over)).menu);
}

const foot = ['---', 'Open Homeward', 'Settings', '---'];

test.each<[string, Partial<Status>, TrayIcon]>([
  ['all at home', {}, { state: 'home' }],
  ['a suggestion', { suggestions: [suggestion] }, { state: 'suggestion' }],
  ['a move', { moves: [moving()], suggestions: [suggestion] }, { state: 'moving', percent: 62 }],
  ['a move of which nothing is known yet', { moves: [move()] }, { state: 'moving', percent: undefined }],
  ['away', { vms: [away] }, { state: 'away' }],
  ['away, its host lost', { vms: [away], hosts: [host({ reachable: false })] }, { state: 'attention' }],
  ['a move without a link', { moves: [moving({ linkDown: true })] }, { state: 'attention' }],
  ['a paused move', { moves: [moving({ phase: 'paused' })] }, { state: 'attention' }],
  ['a crashed VM', { vms: [vm({ state: 'crashed' })] }, { state: 'attention' }],
  ['a host out of reach that nobody visits', { hosts: [host({ reachable: false })] }, { state: 'home' }],
])('the icon: %s', (_, over, icon) => {
  expect(trayModel('up', status(over)).icon).toEqual(icon);
});

test.each<[string, Partial<Status>, string | undefined]>([
  ['nothing is away', { guard: { state: 'off' } }, undefined],
  ['one is away', { guard: { state: 'held' }, vms: [away] }, 'Sleep on lid close is held while work is away.'],
  [
    'two are on their way',
    { guard: { state: 'held' }, vms: [vm(), { ...away, ...otherVm }], moves: [move()] },
    'Sleep on lid close is held while work and play are away.',
  ],
  [
    'the system does not let us',
    { guard: { state: 'refused', sentence: 'logind says no', hint: 'Ask polkit.' }, vms: [away] },
    'Closing the lid would put this computer to sleep while work is away. Logind says no.',
  ],
  [
    'a desktop has taken it too',
    { guard: { state: 'held', takenBy: 'PowerDevil' }, vms: [away] },
    '“PowerDevil” handles the lid itself: closing it may put this computer to sleep while work is away. “homeward doctor” says what to do.',
  ],
])('the lid: %s', (_, over, words) => {
  const { menu: entries, tooltip } = trayModel('up', status(over));
  const shown = entries.find(({ id }) => id === 'guard');
  expect(shown).toEqual(words === undefined ? undefined : { kind: 'words', id: 'guard', label: words });
  if (words !== undefined) expect(tooltip.split('\n')).toContain(words);
  expect(attention(status(over), 0).includes(words ?? '')).toBe(over.guard?.state === 'refused');
});

test('a VM at home: where it is, where it may go, and whether Homeward acts by itself', () => {
  const hosts = [
    host(),
    host({ name: 'attic', fingerprint: 'ef'.repeat(32), paired: false }),
    host({ name: 'shed', fingerprint: '12'.repeat(32), reachable: false }),
    host({ name: 'cellar', fingerprint: '34'.repeat(32), obstacle: 'runs another architecture' }),
    host({ name: 'new', fingerprint: undefined }),
  ];
  expect(menu({ hosts })).toEqual([
    '(work: running here)',
    'Offload now >',
    '  tower',
    '  (attic (not paired))',
    '  (shed (out of reach))',
    '  (cellar (runs another architecture))',
    '  (new (has not answered yet))',
    '[ ] Automatic',
    ...foot,
    'Quit',
  ]);
});

test('a VM that is away can be brought home, and quitting leaves it where it is', () => {
  expect(menu({ vms: [{ ...away, level: 'automatic' }] })).toEqual([
    '(work: running at tower)',
    'Bring home',
    '[x] Automatic',
    ...foot,
    'Quit (VMs stay where they are)',
  ]);
});

test('a move can be cancelled while that is safe', () => {
  expect(menu({ moves: [moving()] })).toEqual([
    '(work → tower: copying memory, 62 %)',
    'Cancel the move',
    '[ ] Automatic',
    ...foot,
    'Quit (the move goes on)',
  ]);
  expect(menu({ moves: [moving({ cancellable: false })] })).toContain('(Cancel the move (too late, it finishes))');
});

test('a suggestion stands first, to be taken, put off, or never made again', () => {
  expect(menu({ suggestions: [suggestion] }).slice(0, 5)).toEqual([
    '(Move work to tower? CPU-bound for 20 s.)',
    'Offload',
    'Not now',
    'Never for work',
    '---',
  ]);
  expect(menu({ vms: [away], suggestions: [toHome] }).slice(0, 2)).toEqual([
    '(Bring work home? Idle for 5 min.)',
    'Bring home',
  ]);
});

test('several VMs have a submenu each', () => {
  const vms = [
    vm(),
    vm({ ...otherVm, state: 'shutoff' }),
    vm({ uuid: otherVm.uuid.replace('1', '2'), name: 'new', adopted: false }),
  ];
  expect(menu({ vms, hosts: [] })).toEqual([
    'work: running here >',
    '  (Offload now (no workstation found))',
    '  [ ] Automatic',
    'play: off here >',
    '  (Offload now (the VM is off))',
    '  [ ] Automatic',
    'new: running here >',
    '  Make ready to move …',
    ...foot,
    'Quit',
  ]);
});

test('visitors can be sent home, and trouble stands above everything', () => {
  const visit = {
    visit: 'a'.repeat(32),
    vm: vmUuid,
    vmName: 'guest',
    state: 'running' as const,
    since: '2026-11-25T08:00:00.000Z',
    memoryBytes: MiB,
    vcpus: 1,
  };
  const shown = menu({
    vms: [away],
    hosts: [host({ reachable: false })],
    host: { enabled: true, visitors: [visit] },
  });
  expect(shown[0]).toBe('(tower is out of reach; work is there.)');
  expect(shown).toContain('1 VM visiting this computer >');
  expect(shown).toContain('  Send guest home');
});

test('without an engine there is a way to start it, and nothing old is shown', () => {
  const old = status({ vms: [away] });
  expect(lines(trayModel('gone', old).menu)).toEqual([
    '(The engine is not running.)',
    'Start the engine',
    ...foot,
    'Quit',
  ]);
  expect(trayModel('gone', old).icon).toEqual({ state: 'engine-off' });
  expect(trayModel('connecting', undefined).tooltip).toBe('Looking for the engine … VMs stay where they are.');
});

test('no VM at all is said', () => {
  expect(menu({ vms: [] })[0]).toBe('(No VM on this computer)');
  expect(trayModel('up', status({ vms: [] })).tooltip).toBe('All VMs are at home.\nNo VM is running.');
});

test('the tooltip says what matters most first, then where each VM is', () => {
  expect(trayModel('up', status()).tooltip).toBe('All VMs are at home.\nwork: running here');
  expect(trayModel('up', status({ vms: [away] })).tooltip).toBe('1 VM away\nwork: running at tower');
  expect(trayModel('up', status({ suggestions: [suggestion] })).tooltip).toBe(
    'Move work to tower?\nwork: running here',
  );
  expect(trayModel('up', status({ moves: [moving()] })).tooltip).toBe(
    '1 VM moving\nwork → tower: copying memory, 62 %',
  );
});

test('an action names what it acts on, and ids are unique, whatever there is', () => {
  const anything = fc.record({
    vms: fc.uniqueArray(
      fc
        .record({ uuid: fc.uuid(), name: fc.string({ minLength: 1 }), adopted: fc.boolean(), isAway: fc.boolean() })
        .map(({ isAway, ...over }) => vm({ ...(isAway ? away : {}), ...over })),
      { maxLength: 5, selector: ({ uuid }) => uuid },
    ),
    hosts: fc.uniqueArray(
      fc
        .record({ name: fc.string({ minLength: 1 }), paired: fc.boolean(), reachable: fc.boolean(), number: fc.nat(9) })
        .map(({ number, ...over }) => host({ ...over, fingerprint: String(number).repeat(64) })),
      { maxLength: 4, selector: ({ fingerprint }) => fingerprint },
    ),
  });
  fc.assert(
    fc.property(anything, (over) => {
      const { menu: entries } = trayModel('up', status(over));
      const all = flat(entries);
      expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
      for (const entry of all) {
        if (entry.kind !== 'action' || entry.action.do !== 'offload') continue;
        const { host: wanted } = entry.action;
        expect(over.hosts.find(({ fingerprint }) => fingerprint === wanted)).toMatchObject({
          paired: true,
          reachable: true,
        });
      }
    }),
  );
});

function flat(entries: readonly MenuEntry[]): MenuEntry[] {
  return entries.flatMap((entry) => [entry, ...(entry.kind === 'submenu' ? flat(entry.entries) : [])]);
}
