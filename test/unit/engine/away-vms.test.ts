import { describe, expect, it, onTestFinished } from 'vitest';
import { AwayVms } from '../../../main/engine/away-vms.ts';
import { openJournal } from '../../../main/engine/journal.ts';
import { placeFindings } from '../../../main/engine/place-findings.ts';
import type { SeenVm } from '../../../main/monitor/index.ts';
import type { AwayTrouble, Vm, VmState } from '../../../shared/model/vm.ts';
import { awayNotes } from '../../../shared/view/index.ts';
import { host, MiB, move, vm, vmUuid } from '../samples.ts';
import { away } from './away-scene.ts';
import { tempFolder } from './temp-folder.ts';

const homeXml = `<domain type='qemu'><name>work</name><uuid>${vmUuid}</uuid><memory unit='MiB'>1024</memory><vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>`;
const record = { visit: away.visit, migrationFolder: '/tmp/homeward-0123456789', homeXml };

interface Seen {
  /** At home; undefined: not defined there. */
  readonly home?: VmState;
  readonly name?: string;
  readonly there?: VmState;
  readonly listed?: boolean;
  readonly moving?: boolean;
}

async function look(seen: Seen): Promise<{ vms: SeenVm[]; troubles: AwayTrouble[]; rooms: AwayVms }> {
  const journal = await openJournal(`${await tempFolder()}/journal.jsonl`);
  onTestFinished(() => journal.close());
  await journal.append({ kind: 'place', vm: vmUuid, place: away, data: record });
  if (seen.moving === true)
    await journal.append({ kind: 'move', move: move({ direction: 'home', phase: 'postcopy' }) });
  const rooms = new AwayVms({
    journal,
    monitor: {
      awayState: () => seen.there ?? 'running',
      homeState: () => seen.home,
      hasListed: () => seen.listed ?? true,
    },
    adoptions: {
      get: () => ({ vm: vmUuid, name: 'work', connection: 'session', originalXml: '', disks: [], nics: [] }),
    },
  });
  const { uuid, name, connection, state, vcpus, memoryBytes } = vm({ name: seen.name ?? 'work' });
  const defined = seen.home === undefined ? [] : [{ uuid, name, connection, state, vcpus, memoryBytes }];
  const vms = [...defined, ...rooms.undefinedHere(defined)];
  return { vms, troubles: vms.flatMap((one) => rooms.troubles(one)), rooms };
}

describe('what a user does with virsh while a VM is away', () => {
  it.each<[string, Seen, AwayTrouble[]]>([
    ['nothing', { home: 'shutoff' }, []],
    ['pauses it at the host', { home: 'shutoff', there: 'paused' }, []],
    ['reboots the guest', { home: 'shutoff', there: 'running' }, []],
    ['undefines it here', {}, ['undefined-here']],
    ['renames it here', { home: 'shutoff', name: 'play' }, ['renamed']],
    ['starts it here, with another disk', { home: 'running' }, ['runs-here']],
    ['tries to start it here, which the fence refuses', { home: 'shutoff' }, []],
  ])('%s', async (_what, seen, expected) => {
    const { vms, troubles } = await look(seen);
    expect(troubles).toEqual(expected);
    expect(vms).toHaveLength(1);
  });

  it('one that was undefined here is still listed, as it left', async () => {
    const { vms } = await look({});
    expect(vms).toEqual([
      { uuid: vmUuid, name: 'work', connection: 'session', state: 'running', vcpus: 2, memoryBytes: 1024 * MiB },
    ]);
  });

  it('a libvirt that has not answered yet has not undefined anything', async () => {
    expect((await look({ listed: false })).vms).toEqual([]);
  });

  it('one that is just coming home may run here', async () => {
    expect((await look({ home: 'running', moving: true })).troubles).toEqual([]);
  });

  it('one whose host knows nothing of it is told so, until it does', async () => {
    const { vms, rooms } = await look({ home: 'shutoff' });
    const [seen] = vms;
    if (seen === undefined) throw new Error('It is not listed.');
    rooms.noteForgotten(away.visit, true);
    expect(rooms.troubles(seen)).toEqual(['forgotten']);
    rooms.noteForgotten(away.visit, false);
    expect(rooms.troubles(seen)).toEqual([]);
  });
});

describe('what the doctor says of where a VM is', () => {
  const now = Date.parse('2026-11-20T12:00:00.000Z');
  const ended = { why: 'host-restarted', at: away.since, hostName: 'tower' } as const;
  const silent = host({ reachable: false, unreachableSince: '2026-11-20T11:00:00.000Z' });

  it.each<[string, Vm, ReturnType<typeof host>, string]>([
    ['forgotten', vm({ place: away, awayTroubles: ['forgotten'] }), host(), 'homeward restart-here work'],
    ['undefined here', vm({ place: away, awayTroubles: ['undefined-here'] }), host(), 'homeward home work'],
    [
      'running here too',
      vm({ place: away, awayTroubles: ['runs-here'] }),
      host(),
      'virsh -c qemu:///session shutdown work',
    ],
    ['out of reach', vm({ place: away }), silent, 'homeward restart-here work'],
    ['ended', vm({ state: 'shutoff', place: { kind: 'home', ended } }), host(), 'homeward restart-here work'],
  ])('%s: what it means and what to do', (_what, one, at, command) => {
    const [finding] = placeFindings(one, [at], now);
    expect(finding).toMatchObject({ severity: 'problem', command });
    expect(finding?.detail).toBe(awayNotes(one, [at], now).join(' '));
  });

  it('that is well: that it is well', () => {
    expect(placeFindings(vm({ place: away }), [host()], now)).toMatchObject([{ severity: 'ok' }]);
    expect(placeFindings(vm(), [host()], now)).toEqual([]);
  });
});
