import { expect, it } from 'vitest';
import { LinkMeter } from '../../../main/engine/link-meter.ts';
import type { HostLink } from '../../../main/link/index.ts';

type Counts = ReturnType<HostLink['traffic']>;

function carried(sentBytes: number, receivedBytes: number): { traffic: () => Counts } {
  return {
    traffic: () => [
      { kind: 'disk', visit: 'a', sentBytes: sentBytes - 10, receivedBytes },
      { kind: 'migration', visit: 'a', sentBytes: 10, receivedBytes: 0 },
      { kind: 'control', visit: undefined, sentBytes: sentBytes * 7, receivedBytes: 9_999 },
    ],
  };
}

it('tells what a link carried in the last second, both ways, without the control connection', () => {
  const meter = new LinkMeter();
  expect(meter.read(carried(1_000, 500), 0), 'nothing to compare with yet').toBeUndefined();
  expect(meter.read(carried(3_000, 600), 250)).toBeUndefined();
  expect(meter.read(carried(5_000, 900), 1_000)).toEqual({ outBytesPerSec: 4_000, homeBytesPerSec: 400 });
  expect(meter.read(carried(9_000, 900), 1_500), 'until the next second is over').toEqual({
    outBytesPerSec: 4_000,
    homeBytesPerSec: 400,
  });
  expect(meter.read(carried(9_000, 900), 3_000)).toEqual({ outBytesPerSec: 2_000, homeBytesPerSec: 0 });
});

it('says nothing of a time in which nobody looked', () => {
  const meter = new LinkMeter();
  meter.read(carried(1_000, 0), 0);
  expect(meter.read(carried(900_000, 0), 60_000)).toBeUndefined();
  expect(meter.read(carried(901_000, 0), 61_000)).toEqual({ outBytesPerSec: 1_000, homeBytesPerSec: 0 });
});
