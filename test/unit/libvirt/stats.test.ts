import { describe, expect, test } from 'vitest';
import { lifecycleEvent } from '../../../main/libvirt/events.ts';
import { readJobStats } from '../../../main/libvirt/job.ts';
import { migrateFlagBits, migrateParams } from '../../../main/libvirt/migrate.ts';
import { domainState } from '../../../main/libvirt/state.ts';
import { readMemoryStats, readStats } from '../../../main/libvirt/stats.ts';

describe('statistics', () => {
  test('become typed, in bytes, with every vCPU, disk and card', () => {
    expect(
      readStats({
        'state.state': 3,
        'state.reason': 12,
        'cpu.time': 12_000_000_000,
        'balloon.current': 1024,
        'balloon.last-update': 1_700_000_000,
        'vcpu.current': 2,
        'vcpu.maximum': 2,
        'vcpu.0.state': 1,
        'vcpu.0.time': 5,
        'vcpu.0.wait': 6,
        'vcpu.0.delay': 7,
        'vcpu.1.time': 8,
        'net.count': 1,
        'net.0.name': 'vnet0',
        'net.0.rx.bytes': 9,
        'block.count': 1,
        'block.0.name': 'vda',
        'block.0.rd.bytes': 10,
        'block.0.wr.times': 11,
        'dirtyrate.calc_status': 2,
        'dirtyrate.calc_period': 1,
        'dirtyrate.megabytes_per_second': 128,
      }),
    ).toEqual({
      stateNumber: 3,
      stateReason: 12,
      cpuTimeNs: 12_000_000_000,
      balloon: { currentBytes: 1024 ** 2, lastUpdateS: 1_700_000_000 },
      vcpus: [{ state: 1, timeNs: 5, waitNs: 6, delayNs: 7 }, { timeNs: 8 }],
      nets: [{ name: 'vnet0', receivedBytes: 9 }],
      blocks: [{ name: 'vda', readBytes: 10, writeTimeNs: 11 }],
      dirtyRate: { status: 'measured', periodS: 1, mebibytesPerSec: 128 },
    });
  });

  test('that are absent stay absent', () => {
    expect(readStats({})).toEqual({ balloon: {}, vcpus: [], nets: [], blocks: [] });
    expect(readMemoryStats([[99, 1]])).toEqual({});
    expect(readJobStats(0, {})).toEqual({ type: 'none' });
  });

  test('of memory are in bytes, except what is no size', () => {
    const stats = [
      [6, 64],
      [2, 5],
      [9, 1_700_000_000],
    ] as const;
    expect(readMemoryStats(stats)).toEqual({ actualBytes: 65_536, majorFaults: 5, lastUpdateS: 1_700_000_000 });
  });

  test('of a job come with totals only where libvirt gives all three', () => {
    const memory = { memory_total: 3, memory_processed: 2, memory_remaining: 1, memory_dirty_rate: 4 };
    const disk = { disk_total: 6, disk_processed: 5 };
    expect(readJobStats(2, { ...memory, ...disk, operation: 5, time_elapsed: 7, downtime: 8 })).toEqual({
      type: 'unbounded',
      operation: 'migration-out',
      elapsedMs: 7,
      downtimeMs: 8,
      memory: { totalBytes: 3, processedBytes: 2, remainingBytes: 1, dirtyPagesPerSec: 4 },
    });
    expect(readJobStats(4, { success: false, errmsg: 'why' })).toEqual({
      type: 'failed',
      success: false,
      errorMessage: 'why',
    });
  });
});

describe('libvirt’s numbers by name', () => {
  test('the states that matter to a move', () => {
    expect(domainState(3, 12)).toEqual({ state: 'paused', reason: 'paused-postcopy' });
    expect(domainState(3, 13)).toEqual({ state: 'paused', reason: 'paused-postcopy-failed' });
    expect(domainState(1, 11)).toEqual({ state: 'running', reason: 'running-postcopy-failed' });
    expect(domainState(3, 5)).toEqual({ state: 'paused', reason: 'paused-ioerror' });
    expect(domainState(5, 4)).toEqual({ state: 'shutoff', reason: 'shutoff-migrated' });
  });

  test('what a newer libvirt invented does not confuse', () => {
    expect(domainState(3, 99)).toEqual({ state: 'paused', reason: 'paused-unknown' });
    expect(domainState(42, 0)).toEqual({ state: 'nostate', reason: 'nostate-unknown' });
    expect(lifecycleEvent(3, 99)).toEqual({ event: 'suspended', detail: 'unknown' });
    expect(lifecycleEvent(42, 0)).toBeUndefined();
    expect(lifecycleEvent(4, 4)).toEqual({ event: 'resumed', detail: 'postcopy-failed' });
  });

  test('flags and parameters of a move', () => {
    // VIR_MIGRATE_LIVE | CHANGE_PROTECTION | POSTCOPY | POSTCOPY_RESUME
    expect(migrateFlagBits(['live', 'changeProtection', 'postcopy', 'postcopyResume'])).toBe(0x88101);
    expect(migrateFlagBits([])).toBe(0);
    const ends = { sourceUri: 'a', destinationUri: 'b', uuid: 'c', flags: [] };
    expect(
      migrateParams({ ...ends, bandwidthMiBps: 7, migrateUri: 'unix:///x', migrateDisks: ['vda', 'vdb'] }),
    ).toEqual([
      ['string', 'migrate_uri', 'unix:///x'],
      ['ulonglong', 'bandwidth', 7],
      ['string', 'migrate_disks', 'vda'],
      ['string', 'migrate_disks', 'vdb'],
    ]);
  });
});
