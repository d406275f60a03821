import { expect, it } from 'vitest';
import { Trace, traceOf } from '../../simulator/trace.ts';
import { sample } from '../policy/fixtures.ts';

it('a trace is what a VM did in each five seconds: its tasks, what they computed and how long they waited for the disk', () => {
  const at = 1_700_000_000_000;
  const computing = { vcpus: 2, busyVcpus: 1.9, busiestVcpu: 0.95, diskRequestsPerSec: 2, diskBytesPerSec: 100 };
  const reading = { busyVcpus: 0.2, busiestVcpu: 0.2, diskBusy: 0.9, diskRequestsPerSec: 400, diskBytesPerSec: 4e6 };
  const samples = Array.from({ length: 12 }, (_, index) =>
    sample(at + index * 1_000, index < 5 ? computing : reading),
  ).filter((_, index) => index !== 7);
  const trace = traceOf('make', samples);
  expect(Trace.parse(trace)).toEqual(trace);
  expect(trace).toEqual({
    program: 'make',
    rows: [
      [0.95, 0, 2, 2, 100],
      [0.2, 0.8, 1, 400, 4e6],
      [0.2, 0.8, 1, 400, 4e6],
    ],
  });
});
