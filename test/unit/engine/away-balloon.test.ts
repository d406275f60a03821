import { expect, it, onTestFinished } from 'vitest';
import { type AwayBalloonRooms, balloonAway } from '../../../main/engine/away-balloon.ts';
import { openJournal } from '../../../main/engine/journal.ts';
import { createLog } from '../../../main/engine/log.ts';
import { defaultSettings } from '../../../main/engine/settings.ts';
import type { Connection, DomainStats } from '../../../main/libvirt/index.ts';
import type { Place } from '../../../shared/model/vm.ts';
import { hostFingerprint, MiB, vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

const away: Place = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit: 'e'.repeat(32),
  since: '2026-11-20T10:00:00.000Z',
};
const homeXml = (autodeflate: string): string =>
  `<domain type='kvm'><name>work</name><memory unit='MiB'>4096</memory><currentMemory unit='MiB'>3072</currentMemory>
   <devices><memballoon model='virtio'${autodeflate}/></devices></domain>`;
const isSafe = " autodeflate='on'";

/** A VM away that has 1 GiB now and uses little of it; what is asked of it, in MiB; negative where QEMU itself was asked. */
async function bed(given: {
  readonly place?: Place;
  readonly autodeflate?: string;
  readonly balloonBytes?: number;
  readonly on?: boolean;
  readonly moving?: boolean;
}) {
  const journal = await openJournal(`${await tempFolder()}/journal.jsonl`);
  onTestFinished(() => journal.close());
  const { balloonBytes } = given;
  const data = {
    ...{ visit: 'e'.repeat(32), migrationFolder: '/tmp/homeward-0011223344556677' },
    homeXml: homeXml(given.autodeflate ?? isSafe),
    ...(balloonBytes === undefined ? {} : { balloonBytes }),
  };
  await journal.append({ kind: 'place', vm: vmUuid, place: given.place ?? away, data });
  const asked: number[] = [];
  const ask = Promise.withResolvers<void>();
  const connection = {
    setMemoryStatsPeriod: async () => undefined,
    qemuMonitorCommand: async (_uuid: string, { arguments: { value } }: { arguments: { value: number } }) => {
      asked.push(-value / MiB);
      ask.resolve();
    },
    setMemory: async (_uuid: string, bytes: number) => {
      asked.push(bytes / MiB);
      ask.resolve();
    },
  } as unknown as Connection;
  let hear: Parameters<AwayBalloonRooms['onAway']>[0] = () => undefined;
  const onAway: AwayBalloonRooms['onAway'] = (listener) => {
    hear = listener;
  };
  const settings = { current: { ...defaultSettings(), balloon: given.on ?? true } };
  const moves = { isMoving: () => given.moving ?? false };
  const stop = balloonAway({ onAway, journal, moves, settings, log: createLog({ level: 'silent' }) });
  const tell = (stateNumber = 1, stateReason = 1, usableMiB = 900): void => {
    const balloon = {
      currentBytes: 1024 * MiB,
      availableBytes: 4096 * MiB,
      usableBytes: usableMiB * MiB,
      lastUpdateS: 1,
    };
    const stats: DomainStats = { stateNumber, stateReason, vcpus: [], blocks: [], nets: [], balloon };
    hear(vmUuid, stats, async () => connection);
  };
  return { asked, tell, stop, ask: ask.promise };
}

it('turned off, it gives back what the journal says the VM left with', async () => {
  const { asked, tell, ask } = await bed({ on: false, balloonBytes: 2048 * MiB });
  tell();
  await ask;
  expect(asked).toEqual([2048]);
});

it('a visit written down before that was kept goes by the definition the VM left with', async () => {
  const { asked, tell, ask } = await bed({ on: false });
  tell();
  await ask;
  expect(asked).toEqual([3072]);
});

it('takes nothing from a guest that could not take it back by itself', async () => {
  const { asked, tell, ask } = await bed({ autodeflate: '' });
  tell();
  await ask;
  expect(asked).toEqual([3072]);
});

it('when it stops, the VM has all of it back, and is heard no more', async () => {
  const { asked, tell, stop } = await bed({ balloonBytes: 4096 * MiB });
  tell();
  await stop();
  tell();
  expect(asked).toEqual([4096]);
});

it.each([
  ['at home', { place: { kind: 'home' } as const, on: false }, 1],
  ['on the move with memory enough', { on: false, moving: true }, 1],
  ['paused', { on: false }, 3],
])('a VM %s is left alone', async (_where, given, stateNumber) => {
  const { asked, tell, stop } = await bed(given);
  tell(stateNumber);
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toEqual([]);
  await stop();
});

/** virDomainRunningReason: post-copy failed. */
it.each([
  [11, 900, []],
  [11, 8, [-4096]],
])(
  'of a VM that libvirt holds for half-way gone (%i) with %i MiB usable, nothing is taken',
  async (reason, usable, given) => {
    const { asked, tell, stop } = await bed({ balloonBytes: 4096 * MiB });
    tell(1, reason, usable);
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual(given);
    await stop();
  },
);
