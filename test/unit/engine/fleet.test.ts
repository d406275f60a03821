import { describe, expect, it } from 'vitest';
import { AdoptionStore } from '../../../main/engine/adoption-store.ts';
import { Fleet } from '../../../main/engine/fleet.ts';
import type { Journal } from '../../../main/engine/journal.ts';
import { openSettings } from '../../../main/engine/settings.ts';
import type { Connection } from '../../../main/libvirt/index.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { vm, vmUuid } from '../samples.ts';
import { away } from './away-scene.ts';
import { tempFolder } from './temp-folder.ts';

const otherUuid = '11111111-2222-4333-8444-555555555555';
const unused = (): never => {
  throw new Error('not in this test');
};

async function fleetOf(
  vms: readonly Partial<Vm>[],
  {
    defined = unused,
    data,
    hostNamed,
  }: {
    hostNamed?: string;
    defined?: () => Promise<string>;
    data?: NonNullable<ReturnType<Journal['place']>>['data'];
  } = {},
): Promise<{ fleet: Fleet; adoptions: AdoptionStore }> {
  const folder = await tempFolder();
  const adoptions = await AdoptionStore.open(`${folder}/vms`);
  const fleet = new Fleet({
    monitor: {
      vms: () => vms.map((one) => vm(one)),
      samples: () => [],
      connection: async () => ({ domainXml: defined }) as unknown as Connection,
      uri: unused,
      watchAway: unused,
      watchHome: unused,
      lookAgain: unused,
    },
    journal: { place: () => ({ vm: vmUuid, place: away, data }), wish: () => undefined },
    awayVms: { troubles: () => [], undefinedHere: () => [] },
    adoptions,
    settings: await openSettings(`${folder}/settings.json`),
    services: { refresh: unused },
    peers: {
      get: (fingerprint, role) =>
        hostNamed === undefined
          ? undefined
          : { fingerprint, role, name: hostNamed, pairedAt: '2026-11-20T10:00:00.000Z' },
    },
  });
  return { fleet, adoptions };
}

describe('which VM is meant', () => {
  it('the name, or the UUID in any case', async () => {
    const { fleet } = await fleetOf([{}, { uuid: otherUuid, name: 'play' }]);
    expect(fleet.need('play').uuid).toBe(otherUuid);
    expect(fleet.need(vmUuid.toUpperCase()).name).toBe('work');
  });

  it('an unknown one: those there are, are named', async () => {
    const { fleet } = await fleetOf([{}, { uuid: otherUuid, name: 'play' }]);
    expect(() => fleet.need('wrok')).toThrow(
      expect.objectContaining({ code: 'unknown-vm', hint: 'There are: work, play' }),
    );
  });

  it('none at all: where they were looked for', async () => {
    const { fleet } = await fleetOf([]);
    expect(() => fleet.need('work')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('qemu:///session') }),
    );
  });

  it('one name on two connections: the UUID must say', async () => {
    const { fleet } = await fleetOf([{}, { uuid: otherUuid, connection: 'system' }]);
    expect(() => fleet.need('work')).toThrow(
      expect.objectContaining({ code: 'bad-input', hint: expect.stringContaining(otherUuid) }),
    );
  });
});

describe('where a VM is', () => {
  it('is told under the name its host has now', async () => {
    const { fleet } = await fleetOf([{}], { hostNamed: 'spire' });
    expect(fleet.need('work').place).toEqual({ ...away, hostName: 'spire' });
  });

  it('is told under the name it had, where its pairing is gone', async () => {
    const { fleet } = await fleetOf([{}]);
    expect(fleet.need('work').place).toEqual(away);
  });
});

describe('what comes home', () => {
  const record = {
    visit: away.visit,
    migrationFolder: '/tmp/homeward-0123456789abcdef',
    homeXml: '<domain>as it left</domain>',
  };
  const defined = async (): Promise<string> => '<domain>as it is now</domain>';

  it('is the VM as it left, whatever was made of its definition meanwhile', async () => {
    const { fleet } = await fleetOf([{}], { defined, data: record });
    expect(await fleet.returning(vm())).toBe(record.homeXml);
  });

  it('is what is defined here, where what it left with cannot be read', async () => {
    const { fleet } = await fleetOf([{}], { defined, data: { ...record, homeXml: 7 } });
    expect(await fleet.returning(vm())).toBe(await defined());
  });
});

describe('whether it is ready to move out', () => {
  it.each(['shutoff', 'crashed'] as const)('not when it is %s', async (state) => {
    const { fleet, adoptions } = await fleetOf([{ state }]);
    await adoptions.put({
      vm: vmUuid,
      name: 'work',
      connection: 'session',
      originalXml: '<domain/>',
      disks: [{ target: 'vda', file: '/images/work.qcow2', format: 'qcow2' }],
      nics: [],
    });
    expect(() => fleet.needReady(fleet.need('work'))).toThrow(
      expect.objectContaining({ code: 'vm-not-running', hint: 'Start it first: virsh -c qemu:///session start work' }),
    );
  });

  it('not before it was adopted', async () => {
    const { fleet } = await fleetOf([{}]);
    expect(() => fleet.needReady(fleet.need('work'))).toThrow(
      expect.objectContaining({ code: 'not-ready', hint: expect.stringContaining('homeward adopt work --apply') }),
    );
  });
});
