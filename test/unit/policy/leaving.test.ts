import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { leavesInS, leavingWords, parseLeaving } from '../../../shared/model/leaving.ts';

describe('times of leaving are read', () => {
  it.each([
    ['Mon-Fri 17:30', [{ from: 'mon', to: 'fri', at: '17:30' }]],
    ['mon–fri 9:05', [{ from: 'mon', to: 'fri', at: '09:05' }]],
    ['  sat   12:00 ,', [{ from: 'sat', to: 'sat', at: '12:00' }]],
    ['daily 23:59', [{ from: 'mon', to: 'sun', at: '23:59' }]],
    [
      'Sat-Mon 8:00, Wed 18:00',
      [
        { from: 'sat', to: 'mon', at: '08:00' },
        { from: 'wed', to: 'wed', at: '18:00' },
      ],
    ],
    ['', []],
    ['none', []],
  ])('"%s"', (text, times) => {
    expect(parseLeaving(text)).toEqual(times);
  });

  it.each([
    '17:30',
    'Mon',
    'Mon 24:00',
    'Mon 17:60',
    'Mon-Wed-Fri 17:30',
    'Monday 17:30',
    'Mon 17:30 18:30',
    'Mon- 9:00',
  ])('not "%s", and how to say it is said', (text) => {
    expect(() => parseLeaving(text)).toThrow(
      expect.objectContaining({ code: 'bad-input', hint: expect.stringContaining('Mon-Fri 17:30') }),
    );
  });

  it('nor more of them than anybody has', () => {
    expect(() => parseLeaving(Array.from({ length: 21 }, () => 'Mon 9:00').join(','))).toThrow('cannot be read');
  });

  it('as they are shown', () => {
    const days = fc.constantFrom('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun');
    const entry = fc
      .tuple(days, days, fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
      .map(([from, to, hour, minute]) => `${from}-${to} ${hour}:${String(minute).padStart(2, '0')}`);
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
        const times = parseLeaving(entries.join(', '));
        expect(parseLeaving(leavingWords(times))).toEqual(times);
      }),
    );
  });
});

describe('until the next time of leaving', () => {
  const week = parseLeaving('Mon-Fri 17:30, Sat 12:00');
  // 2026-11-27 is a Friday.
  it.each([
    ['an hour before', '2026-11-27T16:30:00', 3_600],
    ['to the second', '2026-11-27T17:29:59', 1],
    ['a quarter of an hour after, below zero', '2026-11-27T17:45:00', -900],
    ['half an hour after: tomorrow’s', '2026-11-27T18:00:00', 18 * 3_600],
    ['over the week’s end', '2026-11-28T12:30:00', 2 * 86_400 + 5 * 3_600],
  ])('%s', (_what, now, inS) => {
    expect(leavesInS(week, new Date(now))).toBe(inS);
  });

  it('past midnight, of yesterday’s', () => {
    expect(leavesInS(parseLeaving('Fri 23:50'), new Date('2026-11-28T00:10:00'))).toBe(-1_200);
  });

  it('one a week, just missed, is a week away', () => {
    expect(leavesInS(parseLeaving('Fri 17:30'), new Date('2026-11-27T18:00:00'))).toBe(7 * 86_400 - 1_800);
  });

  it('a range over the week’s end', () => {
    const times = parseLeaving('Sat-Mon 8:00');
    expect(leavesInS(times, new Date('2026-11-30T07:00:00'))).toBe(3_600);
    expect(leavesInS(times, new Date('2026-12-01T07:00:00'))).toBe(4 * 86_400 + 3_600);
  });

  it('by the clock on the wall, over the night in which it is changed', () => {
    vi.stubEnv('TZ', 'Europe/Berlin');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(leavesInS(parseLeaving('Sun 17:30'), new Date('2026-03-28T17:30:00+01:00'))).toBe(23 * 3_600);
  });

  it('none where none is set', () => {
    expect(leavesInS([], new Date())).toBeUndefined();
  });
});
