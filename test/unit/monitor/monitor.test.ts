/** Against libvirt's own test driver: real connections, domains and events, no daemon and no VM. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Libvirt } from '../../../main/libvirt/index.ts';
import { Monitor, type SeenVm } from '../../../main/monitor/index.ts';

const workUuid = randomUUID();
const node = (domains: string) => `<node><cpu><mhz>1000</mhz></cpu>${domains}</node>`;
const domain = (name: string, uuid: string) =>
  `<domain type='test'><name>${name}</name><uuid>${uuid}</uuid><memory unit='MiB'>256</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>`;

let folder: string;
let libvirt: Libvirt;
let monitor: Monitor;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monitor-'));
  await writeFile(join(folder, 'session.xml'), node(domain('work', workUuid)));
  await writeFile(join(folder, 'system.xml'), node(domain('server', randomUUID())));
  libvirt = await Libvirt.start();
});

afterEach(async () => {
  await monitor.stop();
  await libvirt.stop();
  await rm(folder, { recursive: true });
});

function watching(uris: { session?: string; system?: string }): Monitor {
  monitor = new Monitor({ libvirt, uris });
  monitor.start();
  return monitor;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await once(monitor, 'change', { signal: AbortSignal.timeout(8_000) });
}

const named = (name: string): SeenVm | undefined => monitor.vms().find((vm) => vm.name === name);

describe('Monitor', () => {
  it('finds the VMs of both connections', async () => {
    watching({ session: `test://${folder}/session.xml`, system: `test://${folder}/system.xml` });
    await until(() => monitor.vms().length === 2);
    expect(named('work')).toEqual({
      uuid: workUuid,
      name: 'work',
      connection: 'session',
      state: 'running',
      vcpus: 2,
      memoryBytes: 256 * 1024 ** 2,
    });
    expect(named('server')).toMatchObject({ connection: 'system', state: 'running' });
    expect(monitor.obstacles()).toEqual([]);
  });

  it('notices what happens to them', async () => {
    watching({ session: `test://${folder}/session.xml` });
    await until(() => named('work')?.state === 'running');
    const connection = await monitor.connection('session');
    await connection.suspend(workUuid);
    await until(() => named('work')?.state === 'paused');
    await connection.destroy(workUuid);
    await until(() => named('work')?.state === 'shutoff');
    const uuid = randomUUID();
    await connection.defineXml(domain('new', uuid));
    await until(() => named('new')?.state === 'shutoff');
    await connection.defineXml(domain('new', uuid).replace('>2<', '>3<'));
    await until(() => named('new')?.vcpus === 3);
    await connection.undefine(uuid);
    await until(() => named('new') === undefined);
  });

  it('watches one connection where the other is missing, and says which and why', async () => {
    watching({ session: `test://${folder}/session.xml`, system: `qemu:///system?socket=${folder}/nobody` });
    await until(() => named('work') !== undefined && monitor.obstacles().length === 1);
    expect(monitor.obstacles()).toEqual([
      { connection: 'system', sentence: expect.stringMatching(/^No libvirt is running at/), hint: expect.any(String) },
    ]);
    await expect(monitor.connection('system')).rejects.toMatchObject({
      code: 'libvirt',
      message: expect.stringMatching(/^No libvirt is running at/),
    });
  });

  it('shows a VM that is away as the visit shows it', async () => {
    watching({ session: `test://${folder}/session.xml` });
    await until(() => named('work') !== undefined);
    const visit = await libvirt.connect(`test://${folder}/session.xml`);
    monitor.watchAway(workUuid, async () => visit);
    expect(named('work')?.state).toBe('unknown');
    await until(() => named('work')?.state === 'running');
    await visit.suspend(workUuid);
    await until(() => named('work')?.state === 'paused');
    monitor.watchHome(workUuid);
    expect(named('work')?.state).toBe('running');
  });

  it('has no samples of a VM it never heard of, and stops while it is still connecting', async () => {
    watching({ session: `test://${folder}/session.xml` });
    expect(monitor.samples(randomUUID())).toEqual([]);
    await monitor.stop();
    expect(monitor.vms()).toEqual([]);
  });
});
