/** What the monitor measures of a real guest, and what the policy reads into it, at one place and then at another. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Libvirt } from '../../main/libvirt/index.ts';
import { Monitor } from '../../main/monitor/index.ts';
import type { Sample } from '../../shared/model/vm.ts';
import { classify } from '../../shared/policy/index.ts';
import {
  type Bed,
  createBed,
  defineGuest,
  type Guest,
  type Libvirtd,
  Observer,
  startGuest,
  startLibvirtd,
} from '../testbed/index.ts';

let bed: Bed;
let daemons: { laptop: Libvirtd; workstation: Libvirtd };
let guest: Guest;
let observer: Observer;
let libvirt: Libvirt;
let monitor: Monitor;

beforeAll(async () => {
  bed = await createBed();
  const [laptop, workstation] = await Promise.all([startLibvirtd(bed.laptop), startLibvirtd(bed.workstation)]);
  daemons = { laptop, workstation };
  guest = await defineGuest(bed.laptop, laptop, { name: 'watched', memoryMiB: 256, nic: 'none' });
  await startGuest(laptop, guest);
  observer = new Observer(bed, guest);
  await observer.nextBeat({ timeoutMs: 90_000 });
  libvirt = await Libvirt.start();
  monitor = new Monitor({ libvirt, uris: { session: laptop.uriFromOutside } });
  monitor.start();
});

afterAll(async () => {
  await monitor.stop();
  await libvirt.stop();
  observer.close();
  await bed.close();
});

/** Samples from a moment on, once there are so many. */
async function samplesSince(epochMs: number, count: number): Promise<readonly Sample[]> {
  for (;;) {
    const recent = monitor.samples(guest.uuid).filter(({ at }) => at > epochMs + 1_100);
    if (recent.length >= count) return recent;
    await sleep(100);
  }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

describe('a real guest under watch', () => {
  it('is listed with its size and sampled once a second', async () => {
    const samples = await samplesSince(Date.now(), 5);
    expect(monitor.vms()).toEqual([
      { uuid: guest.uuid, name: 'watched', connection: 'session', state: 'running', vcpus: 1, memoryBytes: 2 ** 28 },
    ]);
    const gaps = samples.slice(1).map(({ at }, index) => at - (samples[index]?.at ?? at));
    expect(median(gaps)).toBeGreaterThan(950);
    expect(median(gaps)).toBeLessThan(1_100);
  });

  it('reads as idle while it only beats', async () => {
    const samples = await samplesSince(Date.now(), 8);
    expect(median(samples.map(({ busiestVcpu }) => busiestVcpu))).toBeLessThan(0.25);
    expect(classify(samples)).toBe('idle');
  });

  it('reads as CPU-bound while it computes', async () => {
    await observer.command('cpu 1');
    const samples = await samplesSince(Date.now(), 8);
    await observer.command('cpu off');
    expect(median(samples.map(({ busyVcpus, waitingVcpus }) => busyVcpus + waitingVcpus))).toBeGreaterThan(0.9);
    expect(classify(samples)).toBe('cpu-bound');
  });

  it('shows disk traffic', async () => {
    await observer.command('disk 200');
    const samples = await samplesSince(Date.now(), 4);
    await observer.command('disk off');
    expect(median(samples.map(({ diskBytesPerSec }) => diskBytesPerSec))).toBeGreaterThan(4_096);
    expect(median(samples.map(({ diskRequestsPerSec }) => diskRequestsPerSec))).toBeGreaterThan(1);
  });

  it('leaves a hole, not idleness, while it is paused', async () => {
    await daemons.laptop.virsh('suspend', guest.uuid);
    await sleep(500);
    const pausedAt = Date.now();
    await sleep(3_000);
    expect(monitor.vms()[0]?.state).toBe('paused');
    expect(monitor.samples(guest.uuid).filter(({ at }) => at > pausedAt)).toEqual([]);
    await daemons.laptop.virsh('resume', guest.uuid);
    expect(await samplesSince(Date.now(), 2)).toHaveLength(2);
  });

  it('goes on in the same series at another place, and after a restart of the daemon there', async () => {
    const before = monitor.samples(guest.uuid).length;
    const elsewhere = await libvirt.connect(daemons.workstation.uriFromOutside);
    // No move: the same UUID at another libvirt is all the monitor sees of one.
    await elsewhere.createXml(
      `<domain type='qemu'><name>watched</name><uuid>${guest.uuid}</uuid><memory unit='MiB'>64</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`,
    );
    monitor.watchAway(guest.uuid, async () => elsewhere);
    const away = await samplesSince(Date.now(), 3);
    expect(away.every(({ vcpus, memoryBytes }) => vcpus === 2 && memoryBytes === 2 ** 26)).toBe(true);
    await daemons.workstation.restart();
    expect((await samplesSince(Date.now(), 2)).every(({ vcpus }) => vcpus === 2)).toBe(true);
    monitor.watchHome(guest.uuid);
    expect((await samplesSince(Date.now(), 2)).every(({ vcpus }) => vcpus === 1)).toBe(true);
    expect(monitor.samples(guest.uuid).length).toBeGreaterThan(before + 5);
    await elsewhere.destroy(guest.uuid);
  });
});
