import { describe, expect, it } from 'vitest';
import type { Progress } from '../../../shared/model/move.ts';
import { PlanWatch, type PlanWatchOptions } from '../../../shared/plan/plan-watch.ts';
import { MiB } from '../samples.ts';

function watched(over: Partial<PlanWatchOptions> = {}) {
  let nowMs = 0;
  const watch = new PlanWatch({
    direction: 'home',
    linkStableMs: () => 600_000,
    finishNowAsked: () => false,
    nowMs: () => nowMs,
    ...over,
  });
  let seen: Progress = {
    remainingBytes: 1_024 * MiB,
    transferredBytes: 0,
    totalBytes: 1_024 * MiB,
    rateBytesPerSec: 0,
    dirtyBytesPerSec: 0,
    iteration: 1,
    postcopyRequests: 0,
  };
  return {
    watch,
    at: (ms: number) => {
      nowMs = ms;
    },
    /** A quarter of a second in which so much was sent of what it went over. */
    look: (sent: number, goneOver = sent, change: Partial<Progress> = {}) => {
      nowMs += 250;
      seen = {
        ...seen,
        transferredBytes: seen.transferredBytes + sent,
        remainingBytes: Math.max(0, seen.remainingBytes - goneOver),
        ...change,
      };
      return watch.during(seen);
    },
  };
}

const guest = { currentBytes: 1_024 * MiB, residentBytes: 300 * MiB };
const cached = { ...guest, residentBytes: 1_000 * MiB, availableBytes: 1_000 * MiB, usableBytes: 800 * MiB };

describe('what is known of a move', () => {
  it('is what the guest has touched, not all it could have', () => {
    const { watch } = watched();
    watch.measuredLink(10 * MiB);
    expect(watch.before(guest, true).bytes).toBe(300 * MiB);
    expect(watch.before({ currentBytes: 1_024 * MiB }, true).bytes).toBe(1_024 * MiB);
  });

  it('is late rather than not at all where nobody is made to wait, and in time where that can be', () => {
    const strict = watched().watch;
    const lenient = watched().watch;
    for (const watch of [strict, lenient]) {
      watch.measuredLink(10 * MiB);
      watch.hurry({ deadlineMs: 5_000, pausesWhenLate: watch === strict });
    }
    expect(strict.before(guest, false).mode).toBe('safe-end');
    expect(lenient.before(guest, false).mode).not.toBe('safe-end');
    const inTime = watched();
    inTime.watch.measuredLink(10 * MiB);
    inTime.watch.hurry({ deadlineMs: 120_000, pausesWhenLate: false });
    expect(inTime.watch.before(guest, false).steps.map((step) => step.do)).not.toContain('pause');
  });

  it('has the deadline that the signals have now, and none once they are gone', () => {
    const { watch, at } = watched({ guestBytesPerSec: MiB });
    watch.measuredLink(10 * MiB);
    expect(watch.before(guest, false).capBytesPerSec).toBeGreaterThan(0);
    expect(watch.hurry({ deadlineMs: 300_000, pausesWhenLate: true })).toBe(true);
    expect(watch.before(guest, false).capBytesPerSec).toBeUndefined();
    at(290_000);
    expect(watch.before(guest, false).mode).toBe('safe-end');
    watch.hurry(undefined);
    expect(watch.leftMs()).toBeUndefined();
    expect(watch.before(guest, false).steps).toEqual([]);
    watch.hurry({ deadlineMs: 260_000, pausesWhenLate: true });
    expect(watch.before(guest, false).mode).toBe('pre-copy');
    expect(watch.leftMs()).toBe(260_000);
  });

  it('never puts off the deadline that was asked for: of two, the earlier counts, and it stays when the signals go', () => {
    const { watch, at } = watched({ deadlineAtMs: 60_000 });
    watch.measuredLink(10 * MiB);
    expect(watch.hurry({ deadlineMs: 300_000, pausesWhenLate: true })).toBe(false);
    expect(watch.leftMs()).toBe(60_000);
    expect(watch.hurry({ deadlineMs: 40_000, pausesWhenLate: true })).toBe(true);
    expect(watch.leftMs()).toBe(40_000);
    watch.hurry(undefined);
    expect(watch.leftMs()).toBe(60_000);
    // A hint's time is over: late for that, and still in time for what was asked.
    watch.hurry({ deadlineMs: 5_000, pausesWhenLate: false });
    const late = watch.before(guest, false);
    expect(late.mode).toBe('pre-copy');
    expect(late.steps.find((step) => step.do === 'pause')?.atMs).toBeGreaterThan(50_000);
    at(59_000);
    expect(watch.before(guest, false).mode).toBe('safe-end');
  });

  it('shrinks the guest only where that may be done', () => {
    const { watch } = watched();
    watch.measuredLink(10 * MiB);
    expect(watch.before(cached, false).balloon).toBeUndefined();
    expect(watch.before(cached, true).balloon).toEqual({ targetBytes: 256 * MiB, waitMs: 800 });
  });

  it('takes of what QEMU has left in the first round the share that was ever touched', () => {
    const { watch, look } = watched();
    watch.measuredLink(10 * MiB);
    watch.before(guest, true);
    expect(look(0).bytes).toBeCloseTo(300 * MiB);
    expect(look(0, 512 * MiB).bytes).toBeCloseTo(150 * MiB);
    expect(look(0, 0, { iteration: 2, remainingBytes: 20 * MiB }).bytes).toBe(20 * MiB);
  });

  it('learns from the copy how fast the link is, where what it goes over is sent', () => {
    const { watch, look } = watched();
    watch.measuredLink(10 * MiB);
    watch.before({ currentBytes: 1_024 * MiB }, true);
    look(0);
    const before = look(2.5 * MiB).totalMs ?? 0;
    for (let times = 0; times < 20; times += 1) look(5 * MiB);
    expect(look(5 * MiB).totalMs).toBeLessThan(0.55 * before);
  });

  it('does not take a link for slow that waits for empty pages to be gone over', () => {
    const { watch, look } = watched();
    watch.measuredLink(10 * MiB);
    watch.before({ currentBytes: 1_024 * MiB }, true);
    for (let times = 0; times < 10; times += 1) look(0.1 * MiB, 20 * MiB);
    expect(look(0.1 * MiB, 20 * MiB).totalMs).toBeCloseTo((1_024 - 220 + 20) * 100, -4);
  });

  it('sees a link fade, and that there will be no time later', () => {
    const { watch, look } = watched({ deadlineAtMs: 60_000 });
    watch.measuredLink(20 * MiB);
    watch.measuredDirty(0);
    watch.before({ currentBytes: 1_024 * MiB, residentBytes: 1_000 * MiB }, true);
    look(0);
    let confidence = 1;
    for (let times = 0; times < 30; times += 1) {
      const sent = 5 * MiB * 0.94 ** times;
      confidence = look(sent).confidence;
    }
    expect(confidence).toBeLessThan(0.2);
  });

  it('remembers what a round showed of the working set', () => {
    const { watch, look } = watched();
    watch.measuredLink(10 * MiB);
    watch.measuredDirty(30 * MiB);
    watch.before({ currentBytes: 1_024 * MiB }, true);
    for (let times = 0; times < 8; times += 1) look(2.5 * MiB);
    const plan = look(0, 0, { iteration: 2, remainingBytes: 40 * MiB, dirtyBytesPerSec: 30 * MiB });
    expect(plan).toMatchObject({ mode: 'post-copy', flipAfterRounds: 0 });
  });

  it('counts the deadline down', () => {
    const { watch, at } = watched({ deadlineAtMs: 100_000 });
    watch.measuredLink(10 * MiB);
    expect(watch.before(guest, true).mode).toBe('pre-copy');
    at(95_000);
    expect(watch.before(guest, true).mode).toBe('safe-end');
  });
});
