import { describe, expect, it, onTestFinished } from 'vitest';
import type { KnownHost } from '../../../main/engine/hosts.ts';
import { type Journal, openJournal } from '../../../main/engine/journal.ts';
import { Moves } from '../../../main/engine/moves.ts';
import type { Libvirt } from '../../../main/libvirt/index.ts';
import type { LocalVm } from '../../../main/migrate/index.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import type { VisitInfo } from '../../../shared/wire.ts';
import { makeBed, until, visit, visitInfo } from '../link/bed.ts';
import { hostFingerprint, vm, vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

const away: Vm['place'] = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit,
  since: '2026-11-20T10:00:00.000Z',
};
const unused = (): never => {
  throw new Error('not in this test');
};

interface Scene {
  readonly moves: Moves;
  readonly journal: Journal;
  /** What was done, in order. */
  readonly done: string[];
  /** The host tells that a visit has no VM any more. */
  readonly tell: () => void;
}

/** A VM that is away, by a real journal, at a real link's end where `visit.list` answers with `listed`. */
async function scene(
  listed: () => readonly Partial<VisitInfo>[],
  given: { readonly refuseFence?: boolean; readonly place?: Vm['place'] } = {},
): Promise<Scene> {
  const bed = await makeBed();
  onTestFinished(() => bed.close());
  const done: string[] = [];
  const scripted = await bed.listen({
    handlers: () => ({
      'host.facts': unused,
      'host.benchmark': unused,
      'cpu.compare': unused,
      'cpu.model': unused,
      'visit.admit': unused,
      'visit.prepare': unused,
      'visit.listen': unused,
      'visit.list': () => ({ visits: listed().map((info) => ({ ...visitInfo, ...info })) }),
      'visit.end': (asked) => {
        done.push(`visit.end ${asked.visit}`);
        return {};
      },
    }),
  });
  const link = bed.link({ addresses: () => [{ address: '127.0.0.1', port: scripted.port }] });
  await until(() => link.state === 'up');
  const host: KnownHost = { fingerprint: hostFingerprint, name: 'tower', link, stableMs: () => 0 };

  const journal = await openJournal(`${await tempFolder()}/journal.jsonl`);
  onTestFinished(() => journal.close());
  await journal.append({ kind: 'place', vm: vmUuid, place: given.place ?? away, data: {} });
  const disk = {
    revoke: async (writer: string) => {
      if (given.refuseFence === true) throw new Error('requests are still in flight');
      done.push(`revoke ${writer}`);
    },
    allow: async (writer: string) => void done.push(`allow ${writer}`),
  };
  let tell = (): void => undefined;
  const moves = new Moves({
    libvirt: {} as Libvirt,
    journal,
    fleet: {
      follow: (_vm, there) => void done.push(there === undefined ? 'watch at home' : 'watch away'),
      local: async () => ({ disk }) as unknown as LocalVm,
      need: unused,
      needReady: unused,
      settled: async () => vm({ place: away }),
    },
    hosts: {
      need: () => host,
      usable: () => host,
      onUp: (listener) => listener(host),
      onVisitGone: (listener) => {
        tell = () => listener(host);
      },
    },
    visits: {
      open: unused,
      has: () => true,
      end: async (ended) => void done.push(`cut ${ended}`),
    },
    planner: { plan: () => Promise.reject(new Error('planned')) },
    onChange: () => undefined,
    onFault: (what) => done.push(`fault: ${what}`),
  });
  return { moves, journal, done, tell: () => tell() };
}

const settled = [`cut ${visit}`, `revoke visit-${visit}`, 'allow home', 'watch at home', `visit.end ${visit}`];
const placeIn = (journal: Journal) => journal.place(vmUuid)?.place.kind;

describe('a VM that ends while it is away', () => {
  it('is settled when the host tells: fenced first, then written down, then told', async () => {
    let state: VisitInfo['state'] = 'running';
    const { moves, journal, done, tell } = await scene(() => [{ state }]);
    await moves.recover();
    state = 'gone';
    tell();
    await expect.poll(() => done).toEqual([expect.stringContaining('fault: reopening'), ...settled]);
    expect(placeIn(journal)).toBe('home');
    expect(journal.history(1)).toEqual([
      expect.objectContaining({ kind: 'event', text: expect.stringMatching(/^work was shut down while away/) }),
    ]);
  });

  it('is settled when its host is met again', async () => {
    const { moves, journal, done } = await scene(() => [{ state: 'gone' }]);
    await moves.recover();
    await expect.poll(() => done).toEqual(expect.arrayContaining(settled));
    expect(placeIn(journal)).toBe('home');
  });

  it.each<[string, readonly Partial<VisitInfo>[]]>([
    ['runs', [{ state: 'running' }]],
    ['is paused', [{ state: 'paused' }]],
    ['is not listed', []],
    ['is another', [{ visit: 'b'.repeat(32), state: 'gone' }]],
  ])('is left alone where the visit %s', async (_what, listed) => {
    const { moves, journal, done, tell } = await scene(() => listed);
    await moves.recover();
    tell();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(done.filter((one) => !one.startsWith('fault: reopening'))).toEqual([]);
    expect(placeIn(journal)).toBe('away');
  });

  it('is left alone where another host than its own says so', async () => {
    const { moves, journal, tell } = await scene(() => [{ state: 'gone' }], {
      place: { ...away, host: 'cd'.repeat(32) },
    });
    await moves.recover();
    tell();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(placeIn(journal)).toBe('away');
  });

  it('stays away where its disk cannot be fenced, and that is said', async () => {
    const { moves, journal, done } = await scene(() => [{ state: 'gone' }], { refuseFence: true });
    await moves.recover();
    await expect.poll(() => done).toContain('fault: taking back the disk of a VM that ended while away');
    expect(done).not.toContain('allow home');
    expect(placeIn(journal)).toBe('away');
    expect(moves.isMoving(vmUuid)).toBe(false);
  });
});

describe('bringing home a VM that has ended', () => {
  const asked = { by: 'user', reason: 'You asked for it.' } as const;

  it.each<[string, readonly Partial<VisitInfo>[]]>([
    ['gone', [{ state: 'gone' }]],
    ['forgotten', []],
  ])('its visit being %s: brings its disk, and says so', async (_what, listed) => {
    const { moves, journal, done } = await scene(() => listed);
    await expect(moves.home(vm({ place: away }), asked)).rejects.toMatchObject({
      code: 'vm-not-running',
      message: 'work ended while it was away; its disk is back home.',
      hint: 'Start it here: virsh -c qemu:///session start work',
    });
    expect(done).toEqual(settled);
    expect(placeIn(journal)).toBe('home');
  });

  it('one that runs is moved', async () => {
    const { moves, done } = await scene(() => [{ state: 'running' }]);
    await expect(moves.home(vm({ place: away }), asked)).rejects.toThrow('planned');
    expect(done).toEqual([]);
  });
});
