import { expect, it, vi } from 'vitest';
import { HomeBenchmark } from '../../../main/engine/home-benchmark.ts';
import type { MachineScores } from '../../../shared/model/host.ts';

const scores: MachineScores = {
  cpuSingleOpsPerSec: 1,
  memcpyBytesPerSec: 1,
  diskWriteBytesPerSec: 1,
  takenAt: '2026-11-27T10:00:00.000Z',
};

it('asks while somebody decides, once a minute, and tells of a failure', async () => {
  vi.useFakeTimers();
  const answers: (MachineScores | undefined | Error)[] = [undefined, new Error('no room'), scores];
  const faults: string[] = [];
  let asked = 0;
  const home = new HomeBenchmark({
    own: {
      read: async () => {
        asked += 1;
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    onFault: (what) => faults.push(what),
  });
  const seen: unknown[] = [];
  for (let second = 0; second < 150; second += 1) {
    seen.push(home.latest());
    await vi.advanceTimersByTimeAsync(1_000);
  }
  vi.useRealTimers();
  expect(asked).toBe(3);
  expect(faults).toEqual(['measuring this computer']);
  expect(seen.slice(0, 122).every((latest) => latest === undefined)).toBe(true);
  expect(seen.at(-1)).toEqual(scores);
});
