import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Planner, type Verdict } from '../../../main/engine/planner.ts';
import { type Connection, Libvirt } from '../../../main/libvirt/index.ts';
import type { HostHandlers } from '../../../main/link/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { Benchmark } from '../../../shared/model/host.ts';
import type { Direction } from '../../../shared/model/move.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import { makeBed, until } from '../link/bed.ts';
import { facts, host, hostFingerprint, vm, vmUuid } from '../samples.ts';

const definition = `<domain type='test'>
  <name>work</name><uuid>${vmUuid}</uuid><memory unit='GiB'>1</memory><vcpu>1</vcpu>
  <os><type arch='i686' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <devices>
    <disk type='network' device='disk'>
      <source protocol='nbd' name='home-vda'><host transport='unix' socket='/run/nbd.sock'/></source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <memballoon model='virtio'/>
  </devices>
</domain>`;

const benchmark: Benchmark = {
  cpuSingleOpsPerSec: 1,
  memcpyBytesPerSec: 1,
  diskWriteBytesPerSec: 1,
  linkHomeBytesPerSec: 1e8,
  takenAt: '2026-11-20T10:00:00.000Z',
};

/** libvirt's own test driver knows the VM; the host is a real link whose answers a test scripts. */
describe('the plan before a move', () => {
  let libvirt: Libvirt;
  let connection: Connection;

  beforeAll(async () => {
    libvirt = await Libvirt.start();
    connection = await libvirt.connect('test:///default');
    await connection.defineXml(definition);
  });

  afterAll(async () => {
    await connection.close();
    await libvirt.stop();
  });

  async function plan(
    given: {
      readonly vm?: Partial<Vm>;
      readonly direction?: Direction;
      /** What it left home with. */
      readonly leftAs?: string;
      readonly answers?: Partial<HostHandlers>;
      readonly nameKnown?: boolean;
      readonly snapshots?: number;
      readonly benchmark?: Benchmark;
      readonly shareOfLink?: number;
      readonly deadlineMs?: number;
    } = {},
  ): Promise<Verdict> {
    const bed = await makeBed();
    onTestFinished(() => bed.close());
    const refuse = (): never => {
      throw new HomewardError('refused', 'Not in this test.');
    };
    const there = facts({ name: 'tower', accels: ['tcg'], arch: 'i686' });
    const scripted = await bed.listen({
      handlers: () => ({
        'host.facts': () => there,
        'host.benchmark': refuse,
        'host.hashChain': refuse,
        'cpu.compare': () => ({ verdict: 'identical' as const, detail: '' }),
        'cpu.model': refuse,
        'visit.admit': () => ({}),
        'visit.prepare': refuse,
        'visit.listen': refuse,
        'visit.list': refuse,
        'visit.end': refuse,
        ...given.answers,
      }),
    });
    const link = bed.link({ addresses: () => [{ address: '127.0.0.1', port: scripted.port }] });
    await until(() => link.state === 'up');
    const planner = new Planner({
      fleet: {
        connection: async () => (given.snapshots === undefined ? connection : withSnapshots(given.snapshots)),
        definition: ({ uuid }) => connection.domainXml(uuid, { inactive: true }),
        returning: async () => given.leftAs ?? definition,
      },
      hosts: {
        find: () => host(given.benchmark === undefined ? {} : { benchmark: given.benchmark }),
        freshFacts: () => link.call('host.facts', {}),
      },
      homeFacts: () => Promise.resolve(facts({ arch: 'i686', accels: ['tcg'] })),
      ownName: () => Promise.resolve({ name: 'lap', known: given.nameKnown ?? true }),
      experience: { expectedMoveS: () => 12, shareOfLink: () => given.shareOfLink ?? 1 },
    });
    // The definition above is not running in the test driver, so its inactive one is read.
    const known = { fingerprint: hostFingerprint, name: 'tower', link, stableMs: () => 0 };
    return planner.plan(vm({ state: 'running', ...given.vm }), given.direction ?? 'home', known, given.deadlineMs);
  }

  /** The test driver keeps snapshots, but makes none over this binding. */
  const withSnapshots = (count: number): Connection =>
    Object.assign(Object.create(connection) as Connection, {
      snapshotCount: async () => count,
      domainXml: (uuid: string) => connection.domainXml(uuid, { inactive: true }),
    });

  it('a VM with a snapshot stays, which libvirt would say only half-way', async () => {
    const out = { direction: 'out', vm: { state: 'shutoff' } } as const;
    const { plan: held } = await plan({ ...out, snapshots: 1 });
    expect(held.obstacles.join(' ')).toContain('work has a snapshot');
    expect((await plan(out)).plan.obstacles.join(' ')).not.toContain('snapshot');
    expect((await plan({ snapshots: 1 })).plan.obstacles).toEqual([]);
  });

  it('home, with nothing in the way', async () => {
    const { plan: made, refusal } = await plan();
    expect(made.obstacles).toEqual([]);
    expect(made.possible).toBe(true);
    expect(refusal).toBeUndefined();
  });

  it('home by what it left with, whatever its definition here has become', async () => {
    const iso = `<disk type='file' device='cdrom'><source file='/install.iso'/><target dev='sda' bus='sata'/><readonly/></disk>`;
    await connection.defineXml(definition.replace('<memballoon', `${iso}<memballoon`));
    onTestFinished(async () => {
      await connection.defineXml(definition);
    });
    expect((await plan()).plan.obstacles).toEqual([]);
    const out = await plan({ direction: 'out', vm: { state: 'shutoff' } });
    expect(out.plan.obstacles.join(' ')).toContain('There is a medium in drive sda');
    const { plan: withIso } = await plan({ leftAs: definition.replace('<memballoon', `${iso}<memballoon`) });
    expect(withIso.obstacles.join(' ')).toContain('There is a medium in drive sda');
  });

  it('says how long it takes by what earlier moves took, once the link was measured', async () => {
    expect((await plan()).plan.expectedMs).toBeUndefined();
    const { plan: made } = await plan({ benchmark });
    expect(made.expectedMs).toBe(12_000);
    expect(made.way?.totalMs).toBe(12_000);
  });

  it('whether a deadline can be kept is judged by what the link was seen to give to moves', async () => {
    const deadline = { benchmark, vm: { memoryBytes: 2 ** 30 }, deadlineMs: 25_000 };
    const { plan: hoped } = await plan(deadline);
    const { plan: seen } = await plan({ ...deadline, shareOfLink: 0.1 });
    expect(hoped.way?.mode).not.toBe('safe-end');
    expect(seen.way?.mode).toBe('safe-end');
  });

  it('warns where this computer cannot resolve its own name', async () => {
    const { plan: made } = await plan({ nameKnown: false });
    expect(made.possible).toBe(true);
    expect(made.warnings.join(' ')).toMatch(/cannot resolve its own name \(lap\)/);
  });

  it('a VM that is shut off does not move out', async () => {
    const { plan: made } = await plan({ direction: 'out', vm: { state: 'shutoff' } });
    expect(made.possible).toBe(false);
    expect(made.obstacles.join(' ')).toContain('work is not running');
  });

  it('a VM whose CPU the host cannot give does not move out', async () => {
    const { plan: made } = await plan({
      direction: 'out',
      vm: { state: 'shutoff' },
      answers: { 'cpu.compare': () => ({ verdict: 'incompatible' as const, detail: 'missing: avx' }) },
    });
    expect(made.obstacles.join(' ')).toMatch(/The CPU of tower lacks something .*homeward adopt work/);
  });

  it('a VM that ended while away may be "brought home", so that its disk is home’s again', async () => {
    expect((await plan({ vm: { state: 'shutoff' } })).plan.possible).toBe(true);
  });
});
