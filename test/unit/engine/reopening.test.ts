import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { KnownHost } from '../../../main/engine/hosts.ts';
import { openJournal } from '../../../main/engine/journal.ts';
import { Reopening } from '../../../main/engine/reopening.ts';
import { Visits } from '../../../main/engine/visits.ts';
import type { Libvirt } from '../../../main/libvirt/index.ts';
import type { HostLink } from '../../../main/link/index.ts';
import type { LocalVm, VisitLink } from '../../../main/migrate/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { hostFingerprint, move, vm, vmUuid } from '../samples.ts';
import { away } from './away-scene.ts';
import { tempFolder } from './temp-folder.ts';

const record = { visit: away.visit, migrationFolder: '/tmp/homeward-0123456789abcdef', homeXml: '<domain/>' };
const notThere = new HomewardError('not-ready', 'The image is not there.', { hint: 'Connect that drive first.' });

interface Given {
  readonly place?: Vm['place'];
  readonly data?: Readonly<Record<string, string>>;
}

/** What an engine finds that has just started, over a real journal; `obstacle` is what keeps the disk from being served. */
async function scene({ place = away, data = record }: Given = {}) {
  const journal = await openJournal(`${await tempFolder()}/journal.jsonl`);
  onTestFinished(() => journal.close());
  await journal.append({ kind: 'place', vm: vmUuid, place, data });
  const here = { obstacle: undefined as Error | undefined, isMoving: false, looks: 0 };
  const done: string[] = [];
  const open = new Set<string>();
  const reopening = new Reopening({
    journal,
    fleet: {
      follow: () => void done.push('watch away'),
      list: () => [vm({ place })],
      local: async () => {
        here.looks += 1;
        if (here.obstacle !== undefined) throw here.obstacle;
        return {} as LocalVm;
      },
      settled: async () => vm({ place }),
    },
    hosts: {
      need: () => ({ fingerprint: hostFingerprint, link: {} as HostLink }) as KnownHost,
      meetAgain: (host) => void done.push(`meet ${host === hostFingerprint ? 'tower' : host} again`),
    },
    visits: {
      has: (visit) => open.has(visit),
      open: async ({ visit }) => {
        open.add(visit);
        done.push(`open ${visit === away.visit ? 'the visit' : visit}`);
        return {} as VisitLink;
      },
    },
    moves: {
      exclusively: async (_vm, act) => {
        if (here.isMoving) throw new HomewardError('vm-busy', 'It moves.');
        done.push('nobody else');
        return act();
      },
    },
    onFault: (what) => void done.push(`fault: ${what}`),
    retryMs: 5,
  });
  onTestFinished(() => reopening.stop());
  return { journal, reopening, here, done, open };
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

describe('a visit that an earlier engine left', () => {
  it('is opened before the engine goes on with anything else', async () => {
    const { reopening, done } = await scene();
    await reopening.recover();
    expect(done).toEqual(['open the visit', 'watch away']);
    expect(reopening.findings()).toEqual([]);
  });

  it('that cannot be opened is tried until it can: the engine does not wait, and the doctor says so', async () => {
    const { reopening, here, done } = await scene();
    here.obstacle = notThere;
    await reopening.recover();
    await expect.poll(() => here.looks).toBeGreaterThan(2);
    expect(done.filter((one) => one.startsWith('fault'))).toEqual(['fault: reopening a visit']);
    expect(reopening.findings()).toMatchObject([
      {
        severity: 'problem',
        title: 'work is away and cut off from this computer',
        detail: expect.stringMatching(/^The image is not there. Connect that drive first. /),
      },
    ]);
    here.obstacle = undefined;
    await expect
      .poll(() => done.slice(-4))
      .toEqual(['nobody else', 'open the visit', 'watch away', 'meet tower again']);
    expect(reopening.findings()).toEqual([]);
    const { looks } = here;
    await pause();
    expect(here.looks).toBe(looks);
  });

  it('is not touched while its VM is busy, and opened afterwards', async () => {
    const { reopening, here, done } = await scene();
    here.obstacle = notThere;
    await reopening.recover();
    here.isMoving = true;
    here.obstacle = undefined;
    await pause();
    expect(done).not.toContain('open the visit');
    here.isMoving = false;
    await expect.poll(() => done).toContain('open the visit');
  });

  it('is opened by a move meanwhile: the doctor has nothing to say', async () => {
    const { reopening, here, open } = await scene();
    here.obstacle = notThere;
    await reopening.recover();
    expect(reopening.findings()).toHaveLength(1);
    open.add(away.visit);
    expect(reopening.findings()).toEqual([]);
  });

  it.each<[string, Vm['place']]>([
    ['has come home', { kind: 'home' }],
    ['is in another visit', { ...away, visit: 'b'.repeat(32) }],
    ['is being restarted here', { ...away, restarting: { start: true } }],
  ])('of a VM that %s meanwhile is left', async (_what, place) => {
    const { reopening, journal, here, done } = await scene();
    here.obstacle = notThere;
    await reopening.recover();
    await journal.append({ kind: 'place', vm: vmUuid, place });
    here.obstacle = undefined;
    await expect.poll(() => reopening.findings()).toEqual([]);
    await pause();
    expect(done).not.toContain('open the visit');
  });

  it('of which nothing can be read is said to be so', async () => {
    const { reopening } = await scene({ data: { visit: 'x' } });
    await reopening.recover();
    expect(reopening.findings()).toMatchObject([{ detail: expect.stringContaining('cannot be read') }]);
  });

  it('is not tried again after the end', async () => {
    const { reopening, here } = await scene();
    here.obstacle = notThere;
    await reopening.recover();
    reopening.stop();
    const { looks } = here;
    await pause();
    expect(here.looks).toBe(looks);
  });

  it.each<[string, Vm['place']]>([
    ['at home', { kind: 'home' }],
    ['being restarted here, so that its host gets no stream to the disk', { ...away, restarting: { start: true } }],
  ])('of a VM that is %s: is left shut', async (_what, place) => {
    const { reopening, done } = await scene({ place });
    await reopening.recover();
    expect(done).toEqual([]);
  });

  it('of a VM on the move is the move’s to open', async () => {
    const { reopening, journal, done } = await scene();
    await journal.append({ kind: 'move', move: move({ direction: 'home', phase: 'copying' }), data: {} });
    await reopening.recover();
    expect(done).toEqual([]);
  });
});

describe('a visit that is opened from two sides at once', () => {
  it('is opened once, and ended whole', async () => {
    const folder = await tempFolder();
    const visits = new Visits({} as Libvirt, folder);
    const asked = { ...record, migrationFolder: `${folder}/m` };
    const [one, other] = [0, 1].map(() => visits.open(asked, {} as LocalVm, {} as HostLink));
    const ending = visits.end(away.visit);
    expect(await one).toBe(await other);
    await ending;
    expect(visits.has(away.visit)).toBe(false);
    const close = vi.spyOn((await one) as VisitLink, 'close');
    await visits.close();
    expect(close).not.toHaveBeenCalled();
  });

  it('is not taken for open where that did not work', async () => {
    const visits = new Visits({} as Libvirt, '/nowhere');
    const asked = { ...record, migrationFolder: `${await tempFolder()}/m` };
    await expect(visits.open(asked, {} as LocalVm, {} as HostLink)).rejects.toThrow();
    expect(visits.has(away.visit)).toBe(false);
    await expect(visits.connection(away.visit)).rejects.toMatchObject({ code: 'refused' });
  });
});
