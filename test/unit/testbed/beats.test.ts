import { describe, expect, test } from 'vitest';
import { Beats } from '../../testbed/beats.ts';

function heard(...list: readonly (readonly [number: number, atMs: number, host?: string])[]): Beats {
  const beats = new Beats();
  for (const [number, atMs, host] of list) beats.heard(number, atMs, host ?? 'laptop');
  return beats;
}

describe('beats as the observer heard them', () => {
  test('the longest silence is the one between two beats', () => {
    expect(heard([1, 0], [2, 10], [3, 250], [4, 260]).longestGapMs(0, 260)).toBe(240);
  });

  test('a silence counts that only touches the span', () => {
    const beats = heard([1, 0], [2, 10], [3, 250], [4, 260]);
    expect(beats.longestGapMs(200, 255)).toBe(240);
    expect(beats.longestGapMs(251, 260)).toBe(10);
  });

  test('a silence that has not ended counts up to the end of the span', () => {
    expect(heard([1, 0], [2, 10]).longestGapMs(0, 500)).toBe(490);
  });

  test('numbers that never came are lost, late ones are not', () => {
    expect(heard([5, 0], [6, 10], [9, 20]).lost).toBe(2);
    expect(heard([5, 0], [7, 10], [6, 20]).lost).toBe(0);
  });

  test('a guest that runs twice, or anew, repeats its numbers', () => {
    expect(heard([1, 0], [2, 10], [3, 20]).repeated).toBe(0);
    expect(heard([1, 0, 'laptop'], [2, 10, 'laptop'], [2, 11, 'workstation']).repeated).toBe(1);
  });

  test('the last beat says where the guest is', () => {
    expect(heard([1, 0, 'laptop'], [2, 10, 'workstation']).host).toBe('workstation');
    expect(heard().host).toBeUndefined();
  });

  test('tells how long the guest has been silent, for ever before the first beat', () => {
    const beats = new Beats();
    expect(beats.silentMs(1_000)).toBe(Number.POSITIVE_INFINITY);
    beats.heard(1, 400, 'laptop');
    expect(beats.silentMs(1_000)).toBe(600);
  });
});
