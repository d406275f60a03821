import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DomainStats } from '../../../main/libvirt/index.ts';
import { type Reading, sampleBetween } from '../../../main/monitor/rates.ts';
import { Track } from '../../../main/monitor/track.ts';
import { Sample } from '../../../shared/model/vm.ts';

const mib = 1024 ** 2;
const s = 1_000_000_000;

function stats(over: Partial<DomainStats> = {}): DomainStats {
  return {
    stateNumber: 1,
    vcpus: [{ timeNs: 0 }],
    balloon: { currentBytes: 512 * mib },
    blocks: [],
    nets: [],
    ...over,
  };
}

function reading(second: number, over: Partial<DomainStats> = {}): Reading {
  return { at: 1_700_000_000_000 + second * 1_000, monotonicMs: second * 1_000, stats: stats(over) };
}

describe('sampleBetween', () => {
  it('turns vCPU time into shares of a second', () => {
    const before = reading(1, { vcpus: [{ timeNs: 5 * s }, { timeNs: 0 }] });
    const after = reading(2, { vcpus: [{ timeNs: 5.75 * s }, { timeNs: 0.25 * s }] });
    expect(sampleBetween(before, after)).toMatchObject({ vcpus: 2, busyVcpus: 1, busiestVcpu: 0.75, waitingVcpus: 0 });
  });

  it('takes the larger of the two views of waiting, never more than was left of the second', () => {
    const before = reading(1, { vcpus: [{ timeNs: 0, waitNs: 0, delayNs: 3 * s }] });
    const after = reading(2, { vcpus: [{ timeNs: 0.75 * s, waitNs: 0, delayNs: 3.5 * s }] });
    expect(sampleBetween(before, after)?.waitingVcpus).toBeCloseTo(0.25);
  });

  it('averages over a short hole', () => {
    const sample = sampleBetween(reading(1), reading(5, { vcpus: [{ timeNs: 2 * s }] }));
    expect(sample).toMatchObject({ busyVcpus: 0.5, at: reading(5).at });
  });

  it.each([
    ['a long hole', reading(1), reading(30, { vcpus: [{ timeNs: s }] })],
    ['readings almost at once', reading(1), reading(1.1, { vcpus: [{ timeNs: s }] })],
    ['a clock that ran backwards', reading(2), reading(1)],
    ['a restart: vCPU time below what it was', reading(1, { vcpus: [{ timeNs: 9 * s }] }), reading(2)],
    ['a domain without vCPU figures', reading(1, { vcpus: [] }), reading(2, { vcpus: [] })],
  ])('says nothing after %s', (_what, before, after) => {
    expect(sampleBetween(before, after)).toBeUndefined();
  });

  it('tells how fast memory is rewritten where that was measured', () => {
    const after = reading(2, { vcpus: [{ timeNs: s }] });
    expect(sampleBetween(reading(1), { ...after, dirtyBytesPerSec: 40 * mib })?.dirtyBytesPerSec).toBe(40 * mib);
    expect(sampleBetween(reading(1), after)).not.toHaveProperty('dirtyBytesPerSec');
  });

  it('does not mind a wall clock set back an hour', () => {
    const after = { ...reading(2, { vcpus: [{ timeNs: s / 2 }] }), at: reading(-3_600).at };
    expect(sampleBetween(reading(1), after)?.busyVcpus).toBeCloseTo(0.5);
  });

  it('counts a vCPU plugged in meanwhile from the next reading on', () => {
    const after = reading(2, { vcpus: [{ timeNs: s }, { timeNs: 80 * s }] });
    expect(sampleBetween(reading(1), after)).toMatchObject({ vcpus: 2, busyVcpus: 1 });
  });

  it('sums disks by name and forgives a disk whose counters began anew', () => {
    const before = reading(1, {
      blocks: [
        { name: 'vda', readBytes: 1_000, readRequests: 10, readTimeNs: s, flushTimeNs: 0 },
        { name: 'vdb', readBytes: 9_999 },
      ],
    });
    const after = reading(2, {
      blocks: [
        { name: 'vdb', readBytes: 5 },
        { name: 'vda', readBytes: 5_000, readRequests: 14, readTimeNs: 1.2 * s, flushTimeNs: 0.1 * s },
        { name: 'vdc', readBytes: 1e9 },
      ],
    });
    const sample = sampleBetween(before, after);
    expect(sample).toMatchObject({ diskBytesPerSec: 4_000, diskRequestsPerSec: 4 });
    expect(sample?.diskBusy).toBeCloseTo(0.3);
  });

  it('clips parallel requests to all of the time', () => {
    const before = reading(1, { blocks: [{ name: 'vda', writeTimeNs: 0 }] });
    const after = reading(2, { blocks: [{ name: 'vda', writeTimeNs: 7 * s }] });
    expect(sampleBetween(before, after)?.diskBusy).toBe(1);
  });

  it('sums what every NIC sent and received', () => {
    const nic = (bytes: number) => [{ name: 'vnet0', receivedBytes: bytes, sentBytes: 2 * bytes }];
    expect(sampleBetween(reading(1, { nets: nic(100) }), reading(3, { nets: nic(200) }))?.netBytesPerSec).toBe(150);
  });

  it('believes a balloon driver that reports and not one that went silent', () => {
    const told = { currentBytes: 512 * mib, availableBytes: 500 * mib, usableBytes: 400 * mib };
    const fresh = reading(2, { balloon: { ...told, lastUpdateS: reading(1).at / 1_000 } });
    const silent = reading(2, { balloon: { ...told, lastUpdateS: reading(-600).at / 1_000 } });
    expect(sampleBetween(reading(1), fresh)?.usedMemoryBytes).toBe(112 * mib);
    expect(sampleBetween(reading(1), silent)?.usedMemoryBytes).toBe(512 * mib);
  });

  it('is a valid sample whatever the counters do', () => {
    const counter = fc.option(
      fc.nat(2 ** 31).map((n) => n * 1_000),
      { nil: undefined },
    );
    const some = fc.record({
      second: fc.integer({ min: 0, max: 20 }),
      timeNs: counter,
      delayNs: counter,
      readTimeNs: counter,
      readBytes: counter,
      sentBytes: counter,
      usableBytes: counter,
    });
    const toReading = ({ second, timeNs, delayNs, readTimeNs, readBytes, sentBytes, usableBytes }: Raw): Reading =>
      reading(
        second,
        defined({
          vcpus: [defined({ timeNs, delayNs }), { timeNs: 0 }],
          blocks: [{ name: 'vda', ...defined({ readTimeNs, readBytes }) }],
          nets: [defined({ sentBytes })],
          balloon: defined({
            currentBytes: 512 * mib,
            availableBytes: 500 * mib,
            usableBytes,
            lastUpdateS: 1_700_000_000,
          }),
        }),
      );
    type Raw = typeof some extends fc.Arbitrary<infer T> ? T : never;
    fc.assert(
      fc.property(some, some, (a, b) => {
        const sample = sampleBetween(toReading(a), toReading(b));
        if (sample !== undefined) expect(Sample.parse(sample)).toEqual(sample);
      }),
      { numRuns: 500 },
    );
  });
});

/** Without the keys that are undefined, as libvirt leaves out what it does not know. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

describe('Track', () => {
  const busy = (second: number): Reading => reading(second, { vcpus: [{ timeNs: second * s }] });

  it('keeps ten minutes', () => {
    const track = new Track();
    for (let second = 1; second <= 700; second += 1) track.add(busy(second));
    expect(track.samples).toHaveLength(600);
    expect(track.samples.at(-1)?.at).toBe(busy(700).at);
  });

  it('goes on at another place after an interruption, without a sample across it', () => {
    const track = new Track();
    track.add(busy(100));
    track.add(busy(101));
    track.interrupt();
    expect(track.add(busy(102))).toBeUndefined();
    expect(track.add(busy(103))?.busyVcpus).toBe(1);
    expect(track.samples).toHaveLength(2);
  });

  it('leaves a hole while the VM is paused', () => {
    const track = new Track();
    track.add(busy(1));
    expect(track.add(reading(2, { stateNumber: 3, vcpus: [{ timeNs: s }] }))).toBeUndefined();
    expect(track.add(busy(3))).toBeUndefined();
    expect(track.add(busy(4))).toBeDefined();
  });

  it('measures on from the earlier of two readings that came almost at once', () => {
    const track = new Track();
    track.add(busy(1));
    track.add(reading(1.1, { vcpus: [{ timeNs: 1.1 * s }] }));
    expect(track.add(busy(2))?.busyVcpus).toBe(1);
  });
});
