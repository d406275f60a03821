import { describe, expect, it } from 'vitest';
import { type DomainStatsRecord, LibvirtError } from '../../../main/libvirt/index.ts';
import { AwayWatch } from '../../../main/monitor/away-watch.ts';
import { Backoff } from '../../../main/monitor/backoff.ts';
import { obstacleOf } from '../../../main/monitor/obstacle.ts';
import type { Reading } from '../../../main/monitor/rates.ts';

class HandClock {
  ms = 0;
  now(): number {
    return 1_700_000_000_000 + this.ms;
  }
  monotonicMs(): number {
    return this.ms;
  }
}

describe('Backoff', () => {
  it('tries again after 1 s, 4 s, 16 s and so on, at most two minutes apart', () => {
    const clock = new HandClock();
    const backoff = new Backoff(clock);
    const waits: number[] = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      backoff.failed();
      const failedMs = clock.ms;
      while (!backoff.isDue) clock.ms += 500;
      waits.push((clock.ms - failedMs) / 1_000);
    }
    expect(waits).toEqual([1, 4, 16, 64, 120, 120]);
    backoff.succeeded();
    backoff.failed();
    clock.ms += 1_000;
    expect(backoff.isDue).toBe(true);
  });
});

describe('AwayWatch', () => {
  const uuid = '11111111-2222-3333-4444-555555555555';
  const record = (over: Partial<DomainStatsRecord> = {}): DomainStatsRecord => ({
    uuid,
    name: 'work',
    params: {},
    stats: { stateNumber: 1, vcpus: [], balloon: {}, blocks: [], nets: [] },
    ...over,
  });

  function watching(polls: (() => Promise<readonly DomainStatsRecord[]>)[]) {
    const clock = new HandClock();
    const readings: Reading[] = [];
    let changes = 0;
    const watch = new AwayWatch({
      uuid,
      poll: () => polls.shift()?.() ?? Promise.resolve([]),
      clock,
      onReading: (reading) => readings.push(reading),
      onState: () => {
        changes += 1;
      },
    });
    return { clock, readings, watch, changes: () => changes };
  }

  it('reads its own VM and nobody else’s', async () => {
    const other = record({ uuid: uuid.replaceAll('1', '9') });
    const { watch, readings, changes } = watching([async () => [other, record()]]);
    await watch.tick();
    expect(readings).toHaveLength(1);
    expect(watch.stateNumber).toBe(1);
    expect(changes()).toBe(1);
  });

  it('says that it knows nothing while the link is down, and is back soon after', async () => {
    const down = () => Promise.reject(new Error('link lost'));
    const { watch, readings, clock } = watching([async () => [record()], down, down, async () => [record()]]);
    await watch.tick();
    await watch.tick();
    expect(watch.stateNumber).toBeUndefined();
    await watch.tick();
    expect(readings).toHaveLength(1);
    clock.ms += 1_000;
    await watch.tick();
    clock.ms += 4_000;
    await watch.tick();
    expect(readings).toHaveLength(2);
    expect(watch.stateNumber).toBe(1);
  });

  it('never asks twice at once, and forgets an answer that comes after it was closed', async () => {
    const slow = Promise.withResolvers<readonly DomainStatsRecord[]>();
    let asked = 0;
    const { watch, readings } = watching([
      () => {
        asked += 1;
        return slow.promise;
      },
    ]);
    const first = watch.tick();
    await watch.tick();
    expect(asked).toBe(1);
    watch.close();
    slow.resolve([record()]);
    await first;
    expect(readings).toEqual([]);
  });
});

describe('obstacleOf', () => {
  const error = (message: string, over: object = {}): LibvirtError =>
    new LibvirtError({ kind: 'libvirt', code: 38, domain: 7, level: 2, message, ...over });

  it.each([
    [
      error("Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory"),
      /^No libvirt is running/,
    ],
    [error("Failed to connect socket to '/x': Connection refused"), /^No libvirt is running/],
    [error("Failed to connect socket to '/run/libvirt/libvirt-sock': Permission denied"), /^You may not use/],
    [error('authentication unavailable: no polkit agent', { code: 45 }), /^You may not use/],
    [error('no answer within 8000 ms', { kind: 'timeout' }), /does not answer/],
    [error('libvirt.so.0: cannot open', { kind: 'unavailable' }), /library could not be used/],
    [error('something new'), /cannot be watched: something new/],
    [new TypeError('odd'), /cannot be watched: odd/],
  ])('makes %s a sentence with something to do', (thrown, sentence) => {
    const obstacle = obstacleOf(thrown, 'qemu:///system');
    expect(obstacle.sentence).toMatch(sentence);
    expect(obstacle.sentence).toMatch(/\.$/);
    expect(obstacle.hint).toMatch(/\S/);
  });
});
