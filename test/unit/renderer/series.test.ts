import { expect, test } from 'vitest';
import { Series } from '../../../renderer/series.ts';
import type { Sample } from '../../../shared/model/vm.ts';
import { host, hostFingerprint, MiB, vm, vmUuid } from '../samples.ts';

function sample(second: number): Sample {
  return {
    at: second * 1_000,
    vcpus: 2,
    busyVcpus: 1,
    waitingVcpus: 0,
    busiestVcpu: 0.5,
    diskBytesPerSec: 0,
    diskRequestsPerSec: 0,
    diskBusy: 0,
    netBytesPerSec: 0,
    memoryBytes: 1024 * MiB,
    usedMemoryBytes: 512 * MiB,
  };
}

const traffic = { outBytesPerSec: 1, homeBytesPerSec: 2 };

test('a chart keeps the last two minutes', () => {
  const series = new Series();
  for (let second = 1; second <= 300; second += 1) series.take([vm({ sample: sample(second) })], []);
  const kept = series.samples(vmUuid);
  expect(kept).toHaveLength(120);
  expect(kept.at(-1)?.at).toBe(300_000);
});

test('a status that says the same again adds nothing, so that nothing is drawn again', () => {
  const series = new Series();
  const said = [vm({ sample: sample(1) })];
  series.take(said, [host({ traffic })]);
  const before = [series.samples(vmUuid), series.traffic(hostFingerprint)];
  series.take(said, [host({ traffic })]);
  expect(series.samples(vmUuid)).toBe(before[0]);
  expect(series.traffic(hostFingerprint)).toBe(before[1]);
  expect(before.map((kept) => kept?.length)).toEqual([1, 1]);
});

test('another engine’s clock begins anew, and a VM that is gone is forgotten', () => {
  const series = new Series();
  series.take([vm({ sample: sample(500) })], []);
  series.take([vm({ sample: sample(3) })], []);
  expect(series.samples(vmUuid).map(({ at }) => at)).toEqual([3_000]);
  series.take([], []);
  expect(series.samples(vmUuid)).toEqual([]);
});
