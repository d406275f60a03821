import { expect, test } from 'vitest';
import { cancelledByUser } from '../../../shared/machine/move-machine.ts';
import {
  decisionNotification,
  moveNotification,
  notificationsBetween,
  pairingNotification,
  refusalNotification,
} from '../../../shared/view/index.ts';
import { away, ended, moving, pairing, preferences, status } from '../cli/samples.ts';
import { decision, host, hostFingerprint, vmUuid } from '../samples.ts';

const all = preferences.notify;
const none = { suggestions: false, moves: false, trouble: false, pairing: false };
const suggestion = decision({ outcome: 'suggested', host: hostFingerprint, hostName: 'tower' });

test.each([
  [suggestion, 'Move work to tower?', ['Offload', 'Not now', 'Never for work']],
  [{ ...suggestion, action: 'home' as const }, 'Bring work home?', ['Bring home', 'Not now', 'Never for work']],
  [decision({ hostName: 'tower' }), 'work moves to tower', ['Cancel']],
  [decision({ action: 'home' }), 'work comes home', ['Cancel']],
])('a decision: %#', (made, title, buttons) => {
  const shown = decisionNotification(made, all);
  expect(shown?.title).toBe(title);
  expect(shown?.body).toContain('CPU-bound for 20 s.');
  expect(shown?.buttons.map(({ label }) => label)).toEqual(buttons);
  expect(decisionNotification(made, none)).toBeUndefined();
});

test('what stays, or was only noted, is not worth a notification', () => {
  expect(decisionNotification(decision({ action: 'stay' }), all)).toBeUndefined();
  expect(decisionNotification(decision({ outcome: 'noted' }), all)).toBeUndefined();
});

test.each([
  [ended(), 'work is at tower', false, ['Bring home']],
  [ended({ direction: 'home' }), 'work is home', false, []],
  [ended({ phase: 'failed', failure: 'no room' }), 'work was not moved', true, []],
  [ended({ phase: 'lost', failure: 'the host lost power' }), 'work is lost', true, []],
])('an ended move: %#', (move, title, urgent, buttons) => {
  const shown = moveNotification(move, all);
  expect(shown).toMatchObject({ title, urgent });
  expect(shown?.buttons.map(({ label }) => label)).toEqual(buttons);
  expect(moveNotification(move, none)).toBeUndefined();
  // A move that ended badly is trouble, whatever is chosen for moves.
  expect(moveNotification(move, { ...all, moves: false }) !== undefined).toBe(urgent);
});

test('a move under way says nothing, and one that the user cancelled neither', () => {
  expect(moveNotification(moving(), all)).toBeUndefined();
  expect(moveNotification(ended({ phase: 'failed', failure: cancelledByUser }), all)).toBeUndefined();
});

test('who is asked to pair is told, who asks is not', () => {
  expect(pairingNotification(pairing({ role: 'host', peerName: 'eva' }), all)).toMatchObject({
    title: 'eva wants to pair',
    body: 'eva wants to let its VMs run on this computer. Code: 123 456. Compare it on both screens.',
    onClick: { do: 'open', view: 'hosts' },
  });
  expect(pairingNotification(pairing(), all)).toBeUndefined();
  expect(pairingNotification(pairing({ role: 'host' }), none)).toBeUndefined();
});

test('a host that is lost is told where a VM is there, once, and taken back when it is found', () => {
  const good = status({ vms: [away] });
  const bad = status({ vms: [away], hosts: [host({ reachable: false })] });
  expect(notificationsBetween(good, bad).show).toMatchObject([
    {
      id: `host-lost-${vmUuid}`,
      title: 'tower is out of reach',
      body: 'work is there. Its disk and network wait, and it goes on when tower answers again.',
    },
  ]);
  expect(notificationsBetween(bad, bad).show).toEqual([]);
  expect(notificationsBetween(bad, good)).toEqual({ show: [], withdraw: [`host-lost-${vmUuid}`] });
  expect(notificationsBetween(status(), status({ hosts: [host({ reachable: false })] })).show).toEqual([]);
  const silent = status({ ...bad, preferences: { ...preferences, notify: none } });
  expect(notificationsBetween(good, silent).show).toEqual([]);
});

test('a suggestion that is no longer made is taken back', () => {
  expect(notificationsBetween(status({ suggestions: [suggestion] }), status()).withdraw).toEqual([
    `suggestion-${vmUuid}`,
  ]);
});

test('a refusal says why and what to do', () => {
  expect(refusalNotification('tower is full', 'Bring another VM home first.').body).toBe(
    'Tower is full. Bring another VM home first.',
  );
});
