import { expect, test } from 'vitest';
import { visitEndReasons } from '../../../shared/model/visit-end.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import type { Status } from '../../../shared/rpc.ts';
import {
  attention,
  awayNotes,
  canRestartHere,
  notificationsBetween,
  pastVisitLine,
  primaryAction,
  restartWarnings,
  trayModel,
  visitEndSentences,
  visitLine,
  visitorEndWords,
} from '../../../shared/view/index.ts';
import { away, moving, status } from '../cli/samples.ts';
import { visitInfo } from '../link/bed.ts';
import { facts, host, vm, vmUuid } from '../samples.ts';

const now = Date.parse('2026-11-25T12:00:00.000Z');
const silent = host({
  reachable: false,
  unreachableSince: '2026-11-25T11:48:00.000Z',
  facts: facts({ leaseHours: 168 }),
});
const homeWanted = { reason: 'the battery is low', since: '2026-11-25T11:50:00.000Z' };
const ended = (why: (typeof visitEndReasons)[number]): Vm =>
  vm({ state: 'shutoff', place: { kind: 'home', ended: { why, at: '2026-11-25T11:00:00.000Z', hostName: 'tower' } } });
const restarting: Vm = { ...away, place: { ...away.place, restarting: { start: true } } as Vm['place'] };

test('a host out of reach: since when, what goes on, what waits, how long it is kept, and that it comes home', () => {
  const [lost, wish] = awayNotes({ ...away, homeWanted }, [silent], now);
  expect(lost).toBe(
    'work is at tower, which cannot be reached for 12 min. It goes on there in memory; what needs its disk or network waits until the link is back, and nothing is lost by waiting. tower keeps it for another 7 d at least.',
  );
  expect(wish).toBe('work comes home by itself as soon as it can: The battery is low.');
  const late = now + 8 * 24 * 3_600_000;
  expect(awayNotes(away, [silent], late)[0]).toContain('tower may have ended it meanwhile');
  // A menu must not change by itself.
  expect(awayNotes(away, [silent])[0]).not.toMatch(/\d/);
});

test('a VM that is on its way says so itself', () => {
  const cut: Partial<Status> = { vms: [away], hosts: [silent] };
  expect(attention(status(cut), now)).toHaveLength(1);
  expect(attention(status({ ...cut, moves: [moving({ direction: 'home', linkDown: true })] }), now)).toEqual([]);
});

test.each(visitEndReasons)('that a visit ended by "%s" is said to both sides, with what it means', (why) => {
  const sentences = visitEndSentences('work', 'tower', { why });
  expect(sentences).toMatch(/work/);
  expect(sentences).toMatch(/tower/);
  expect(sentences).toContain(why === 'shutdown' ? 'nothing is lost' : 'what it had in memory is lost');
  expect(visitorEndWords('work', { why })).toMatch(/^work .*\.$/);
  expect(awayNotes(ended(why), [], now)).toEqual([sentences]);
});

test.each<[string, Vm, Partial<Status>, string]>([
  ['away, in reach', away, {}, 'home'],
  ['away, out of reach', away, { hosts: [silent] }, 'want-home'],
  ['wanted home', { ...away, homeWanted }, { hosts: [silent] }, 'unwant-home'],
  ['being cut off', restarting, { hosts: [silent] }, 'none'],
  ['ended away', ended('crashed'), {}, 'start-here'],
])('what one click does with a VM that is %s', (_, one, over, kind) => {
  expect(primaryAction(one, status(over)).kind).toBe(kind);
});

test.each<[string, Vm, Status['hosts'], boolean]>([
  ['away, in reach', away, [host()], false],
  ['away, out of reach', away, [silent], true],
  ['forgotten by its host', { ...away, awayTroubles: ['forgotten'] }, [host()], true],
  ['being cut off', restarting, [silent], false],
  ['ended away', ended('died'), [], true],
  ['ended away and running again', { ...ended('died'), state: 'running' }, [], false],
  ['at home', vm({ state: 'shutoff' }), [], false],
])('whether the start from the home disk is offered: %s', (_, one, hosts, offered) => {
  expect(canRestartHere(one, hosts)).toBe(offered);
});

test('before it, exactly what is lost is said', () => {
  const words = restartWarnings(away, undefined, now).join(' ');
  expect(words).toMatch(/has been at tower for 4 h\. Everything it has in memory since then is lost/);
  expect(words).toMatch(/power cut at the last write/);
  expect(words).toMatch(/better bring work home: then nothing is lost/);
  const stuck = moving({ phase: 'paused', direction: 'home', linkDown: true, cancellable: false });
  expect(restartWarnings(away, stuck, now).join(' ')).toMatch(/on its way home from tower.*The move is given up/);
  expect(canRestartHere(away, [silent], stuck)).toBe(true);
  expect(canRestartHere(away, [silent], moving())).toBe(false);
});

test('the tray offers the same, and leaves the reading to the window', () => {
  const labels = (over: Partial<Status>): string[] =>
    trayModel('up', status(over)).menu.flatMap((entry) => ('label' in entry ? [entry.label] : []));
  expect(labels({ vms: [away], hosts: [silent] })).toEqual(
    expect.arrayContaining(['Bring home when it can be reached', 'Restart here from its disk …']),
  );
  expect(labels({ vms: [{ ...away, homeWanted }], hosts: [silent] })).toContain('Let it stay there');
  expect(labels({ vms: [ended('host-restarted')] })).toContain('Start here');
});

test('that a VM ended away is told once, with the way on; who gave it up knows', () => {
  const before = status({ vms: [away] });
  const after = status({ vms: [ended('host-restarted')] });
  expect(notificationsBetween(before, after).show).toMatchObject([
    { id: `ended-${vmUuid}`, title: 'work ended at tower', buttons: [{ action: { do: 'startHere', vm: vmUuid } }] },
  ]);
  expect(notificationsBetween(after, after).show).toEqual([]);
  expect(notificationsBetween(before, status({ vms: [ended('fenced')] })).show).toEqual([]);
});

test('the owner of a host sees who is silent, and who is not here any more', () => {
  const silence = { since: '2026-11-23T12:00:00.000Z', leaseEndsAt: '2026-11-30T12:00:00.000Z' };
  expect(visitLine({ ...visitInfo, silence }, now)).toMatch(/silent for 2 d, and it is kept for another 5 d$/);
  const end = { why: 'fenced', at: '2026-11-25T11:30:00.000Z' } as const;
  expect(pastVisitLine({ ...visitInfo, state: 'gone', end }, now)).toMatch(/^30 min ago: work was ended: its own/);
});
