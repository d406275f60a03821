import { expect, it } from 'vitest';
import type { Connection, DomainState } from '../../../main/libvirt/index.ts';
import { MoveEffects, type MoveRun } from '../../../main/migrate/index.ts';
import { MiB, vmUuid } from '../samples.ts';

const visit = { visit: 'e'.repeat(32), state: 'running' };

type Options = ConstructorParameters<typeof MoveEffects>[0];

interface Given {
  readonly mayShrink?: boolean;
  readonly autodeflate?: 'on' | 'off';
  readonly model?: 'virtio' | 'none';
  /** What libvirt holds a VM for at its host. */
  readonly away?: DomainState;
  readonly outcome?: 'done' | 'failed' | 'lost';
  /** At home, once it has come. */
  readonly state?: 'running' | 'shutoff';
  /** What it had at home; absent for a visit that began before that was kept. */
  readonly balloonBytes?: number;
}

/** A guest of 1 GiB that has 700 MiB and uses 300, coming home: what becomes of its balloon, in order. */
function comingHome({
  mayShrink = true,
  autodeflate = 'on',
  outcome = 'done',
  state = 'running',
  model = 'virtio',
  away: awayState = { state: 'running', reason: 'running-booted' },
  balloonBytes,
}: Given) {
  const done: string[] = [];
  let currentBytes = 700 * MiB;
  let reports = 0;
  let come = false;
  const connection = (where: string): Connection =>
    ({
      memoryStats: async () => {
        reports += 1;
        const usableBytes = currentBytes - 300 * MiB;
        if (model === 'none') return { rssBytes: 900 * MiB };
        return { actualBytes: currentBytes, availableBytes: 980 * MiB, usableBytes, lastUpdateS: reports };
      },
      setMemory: async (_uuid: string, bytes: number) => {
        if (where === 'home' && state === 'shutoff') throw new Error('domain is not running');
        currentBytes = bytes;
        done.push(`${where} ${bytes / MiB}`);
      },
      qemuMonitorCommand: async (_uuid: string, command: { execute: string; arguments: { value: number } }) =>
        done.push(`${where} by QEMU ${command.arguments.value / MiB}`),
      state: async () => (where === 'away' ? awayState : { state: come ? state : 'shutoff', reason: 'unknown' }),
      onEvent: () => () => undefined,
      startDirtyRateCalc: () => Promise.reject(new Error('not asked here')),
    }) as unknown as Connection;
  const away = connection('away');
  const disk = { allow: async () => undefined, revoke: async () => undefined };
  const effects = new MoveEffects({
    link: {
      state: 'up',
      call: async () => ({ visits: [visit] }),
      traffic: () => [],
      openStream: () => Promise.reject(new Error('no')),
    },
    linkStableMs: () => 0,
    vm: { uuid: vmUuid, disk, connection: connection('home') },
    visitLink: {
      visit: visit.visit,
      connection: async () => away,
      prepareMigration: async () => undefined,
      endMigration: async () => undefined,
      fence: () => undefined,
    },
    direction: 'home',
    mayShrink: () => mayShrink,
    recordPlace: async () => undefined,
    balloonGiven: (bytes: number) => done.push(`given ${bytes / MiB}`),
    visitEnded: async () => undefined,
  } as unknown as Options);
  const balloon = `<devices><memballoon model='${model}' autodeflate='${autodeflate}'/></devices>`;
  const homeXml = `<domain type='kvm'><name>work</name><memory unit='MiB'>1024</memory>${balloon}</domain>`;
  const data = { record: { homeXml, ...(balloonBytes === undefined ? {} : { balloonBytes }) } };
  const run = {
    ...{ data, move: { direction: 'home' }, state: { outcome, direction: 'home' }, note: () => undefined },
    remember: async (more: { balloonBytes?: number }) => {
      Object.assign(data, more);
      if (more.balloonBytes !== undefined) done.push(`written down ${more.balloonBytes / MiB}`);
    },
  } as unknown as MoveRun;
  const arrive = (): void => {
    come = true;
  };
  return { effects, run, done, arrive };
}

async function balloonOn(given: Given): Promise<string[]> {
  const { effects, run, done, arrive } = comingHome(given);
  await effects.prepare(run);
  arrive();
  await effects.settle(run);
  return done;
}

const all = { balloonBytes: 1024 * MiB };

it('what the VM had at home is written down, then it is shrunk further, and has all of it at home', async () => {
  expect(await balloonOn(all)).toEqual(['written down 1024', 'away 332', 'home 1024', 'given 1024']);
});

it('stays away with all its memory where the move failed or was cancelled', async () => {
  expect(await balloonOn({ ...all, outcome: 'failed' })).toEqual(['written down 1024', 'away 332', 'away 1024']);
});

it('has all of it at home when ballooning was turned off meanwhile', async () => {
  expect(await balloonOn({ ...all, mayShrink: false })).toEqual(['written down 1024', 'home 1024', 'given 1024']);
});

it('a guest that could not take memory back by itself is not shrunk', async () => {
  expect(await balloonOn({ ...all, autodeflate: 'off' })).toEqual(['written down 1024', 'home 1024', 'given 1024']);
});

it('of a visit from before the size was kept, it has what it came with', async () => {
  expect(await balloonOn({})).toEqual(['written down 700', 'away 332', 'home 700', 'given 700']);
});

it('a guest that shut down just after it had come is given nothing, and its move ends', async () => {
  expect(await balloonOn({ ...all, state: 'shutoff' })).toEqual(['written down 1024', 'away 332']);
});

it('a VM that is lost is asked nothing', async () => {
  expect(await balloonOn({ ...all, outcome: 'lost' })).toEqual(['written down 1024', 'away 332']);
});

it('a VM without a balloon is asked nothing, and nothing is given back to it', async () => {
  expect(await balloonOn({ model: 'none' })).toEqual([]);
});

it('one that libvirt holds for half-way gone after its switch failed has its memory back from QEMU', async () => {
  const away: DomainState = { state: 'running', reason: 'running-postcopy-failed' };
  const done = await balloonOn({ ...all, outcome: 'failed', away });
  expect(done).toEqual(['written down 1024', 'away 332', 'away by QEMU 1024']);
});

it('one that was started here while it was shrunk, as on another disk, does not come', async () => {
  const { effects, run, arrive } = comingHome(all);
  arrive();
  await expect(effects.prepare(run)).rejects.toMatchObject({ code: 'incompatible' });
});
