import { describe, expect, it } from 'vitest';
import type { Connection } from '../../../main/libvirt/index.ts';
import { SelfBallooning, steadyStats } from '../../../main/memory/index.ts';
import type { MemorySample } from '../../../shared/plan/self-balloon.ts';
import { MiB, vmUuid } from '../samples.ts';

const fullBytes = 4096 * MiB;
const visit = 'e'.repeat(32);

/** A guest that gives and takes at once, looked at once a second. */
function bed(given: { readonly refuse?: () => boolean } = {}) {
  const done: string[] = [];
  const faults: unknown[] = [];
  let currentBytes = fullBytes;
  let usedBytes = 1024 * MiB;
  let nowMs = 0;
  const set = (how: string, bytes: number): void => {
    if (given.refuse?.() === true) throw new Error('the link is down');
    currentBytes = bytes;
    done.push(`${how} ${bytes / MiB}`);
  };
  const connection = {
    setMemory: async (_uuid: string, bytes: number) => set('libvirt', bytes),
    setMemoryStatsPeriod: async (_uuid: string, seconds: number) => void done.push(`report each ${seconds} s`),
    qemuMonitorCommand: async (_uuid: string, { arguments: { value } }: { arguments: { value: number } }) =>
      set('QEMU', value),
  } as unknown as Connection;
  const ballooning = new SelfBallooning({
    monotonicMs: () => nowMs,
    onAsked: (_uuid, _bytes, reason) => done.push(reason),
    onFault: (_uuid, thrown) => faults.push(thrown),
  });
  const look = async (mode: MemorySample['mode'] = 'balloon', of = visit): Promise<void> => {
    nowMs += 1_000;
    const usableBytes = currentBytes - usedBytes;
    const memory = {
      ...{ currentBytes, availableBytes: fullBytes, usableBytes, unusedBytes: usableBytes },
      lastUpdateS: nowMs / 1_000,
    };
    await ballooning.look({ uuid: vmUuid, visit: of, memory, fullBytes, mode, connect: async () => connection });
  };
  const looks = async (count: number, mode?: MemorySample['mode'], of?: string): Promise<void> => {
    for (let at = 0; at < count; at += 1) await look(mode, of);
  };
  return {
    ballooning,
    looks,
    done,
    faults,
    current: () => currentBytes / MiB,
    use: (mebibytes: number) => {
      usedBytes = mebibytes * MiB;
    },
    wait: (ms: number) => {
      nowMs += ms;
    },
  };
}

it('has the guest report each second, takes what it does not use, and gives all back when it needs it', async () => {
  const guest = bed();
  await guest.looks(10);
  expect(guest.done).toEqual(['report each 1 s', 'libvirt 1536', 'the guest has memory that it does not use']);
  guest.use(1500);
  await guest.looks(1);
  expect(guest.done.slice(3)).toEqual(['libvirt 4096', 'little of its memory is left']);
});

it('asks QEMU itself while the guest moves, since libvirt changes nothing then', async () => {
  const guest = bed();
  await guest.looks(10);
  guest.use(1530);
  await guest.looks(1, 'guard');
  expect(guest.done.slice(3)).toEqual(['QEMU 4096', 'little of its memory is left']);
});

it('asks again where asking failed', async () => {
  let down = false;
  const guest = bed({ refuse: () => down });
  await guest.looks(10);
  down = true;
  guest.use(1500);
  await guest.looks(2);
  expect(guest.faults).toHaveLength(2);
  down = false;
  await guest.looks(1);
  expect(guest.current()).toBe(4096);
});

it('gives all back when it is turned off, and when the engine stops', async () => {
  const off = bed();
  await off.looks(10);
  await off.looks(1, 'off');
  expect(off.current()).toBe(4096);
  const stopped = bed();
  await stopped.looks(10);
  await stopped.ballooning.stop();
  expect(stopped.current()).toBe(4096);
});

it('leaves a guest alone, when the engine stops, that is on the move or was last seen long ago', async () => {
  const moving = bed();
  await moving.looks(10);
  await moving.looks(1, 'guard');
  await moving.ballooning.stop();
  const gone = bed();
  await gone.looks(10);
  gone.wait(20_000);
  await gone.ballooning.stop();
  expect([moving.current(), gone.current()]).toEqual([1536, 1536]);
});

it('knows nothing of an earlier visit', async () => {
  const guest = bed();
  await guest.looks(10);
  await guest.looks(1, 'balloon', 'f'.repeat(32));
  expect(guest.done.at(-1)).toBe('report each 1 s');
});

describe('figures of one moment', () => {
  /** Answers one after the other, the last for ever: size and time of the report. */
  const guest = (answers: [mebibytes: number, lastUpdateS: number][]) => {
    let asked = 0;
    const memoryStats = async () => {
      const [mebibytes, lastUpdateS] = answers[Math.min(asked, answers.length - 1)] ?? [0, 0];
      asked += 1;
      return { actualBytes: mebibytes * MiB, usableBytes: lastUpdateS * MiB, lastUpdateS };
    };
    return { connection: { memoryStats } as unknown as Connection, asked: () => asked };
  };
  const answered = async (answers: [number, number][]) => {
    const { connection, asked } = guest(answers);
    const { currentBytes, usableBytes = 0 } = await steadyStats(connection, vmUuid, 1024 * MiB);
    return [currentBytes / MiB, usableBytes / MiB, asked()];
  };

  it('are there at once for a guest that has all its memory', async () => {
    expect(await answered([[1024, 1]])).toEqual([1024, 1, 1]);
  });

  it('are waited for while the guest takes its memory back', async () => {
    expect(
      await answered([
        [512, 1],
        [700, 2],
        [1024, 3],
      ]),
    ).toEqual([1024, 3, 3]);
  });

  it('are those of a report that came while it kept its size', async () => {
    expect(
      await answered([
        [700, 1],
        [600, 2],
        [600, 2],
        [600, 3],
      ]),
    ).toEqual([600, 3, 4]);
  });
});
