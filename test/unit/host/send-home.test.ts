import { expect, it } from 'vitest';
import { sendHome } from '../../../main/host/send-home.ts';
import type { VisitInfo } from '../../../shared/wire.ts';
import { visitInfo } from '../link/bed.ts';

function laptop(connected: boolean) {
  const told: unknown[] = [];
  return { connected, notify: (...notice: unknown[]) => void told.push(notice), told };
}

it.each(['running', 'paused'] as const)('the laptop of a visitor that is %s is asked to bring it home', (state) => {
  const lap = laptop(true);
  sendHome({ ...visitInfo, state }, lap);
  expect(lap.told).toEqual([['home.wanted', { visit: visitInfo.visit }]]);
});

it.each<[string, VisitInfo | undefined, boolean, string, RegExp]>([
  ['no such visitor', undefined, true, 'bad-input', /^There is no such visitor/],
  ['one that has gone', { ...visitInfo, state: 'gone' }, true, 'vm-not-running', /^work is not here any more/],
  ['one that is only expected', { ...visitInfo, state: 'empty' }, true, 'vm-not-running', /does not run here yet/],
  ['one still arriving', { ...visitInfo, state: 'incoming' }, true, 'vm-not-running', /does not run here yet/],
  ['a laptop that is not connected', visitInfo, false, 'host-unreachable', /that work belongs to is not connected/],
])('%s: refused with a sentence and what to do, and nothing is sent', (_what, visit, connected, code, message) => {
  const lap = laptop(connected);
  const refusal = expect.objectContaining({
    code,
    message: expect.stringMatching(message),
    hint: expect.stringMatching(/\w/),
  });
  expect(() => sendHome(visit, lap)).toThrow(refusal);
  expect(lap.told).toEqual([]);
});

it('a laptop that has not been here since the engine started is not connected either', () => {
  expect(() => sendHome(visitInfo, undefined)).toThrow(expect.objectContaining({ code: 'host-unreachable' }));
});
