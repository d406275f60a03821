/** What the monitor learns of Debian's own guest agent. Building that guest takes minutes, which this test does not spend. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Libvirt } from '../../main/libvirt/index.ts';
import { Monitor } from '../../main/monitor/index.ts';
import {
  type Bed,
  createBed,
  defineGuest,
  type Guest,
  isDebianGuestBuilt,
  Observer,
  startGuest,
  startLibvirtd,
} from '../testbed/index.ts';

const isBuilt = await isDebianGuestBuilt();

describe.skipIf(!isBuilt)(
  `the real guest agent${isBuilt ? '' : ' (skipped: the Debian guest was never built here)'}`,
  () => {
    let bed: Bed;
    let guest: Guest;
    let observer: Observer;
    let libvirt: Libvirt;
    let monitor: Monitor;

    beforeAll(async () => {
      bed = await createBed();
      const libvirtd = await startLibvirtd(bed.laptop);
      guest = await defineGuest(bed.laptop, libvirtd, { name: 'debian', system: 'debian', nic: 'none' });
      await startGuest(libvirtd, guest);
      observer = new Observer(bed, guest);
      await observer.nextBeat({ timeoutMs: 180_000 });
      libvirt = await Libvirt.start();
      monitor = new Monitor({ libvirt, uris: { session: libvirtd.uriFromOutside } });
      monitor.start();
    }, 400_000);

    afterAll(async () => {
      await monitor?.stop();
      await libvirt?.stop();
      observer?.close();
      await bed?.close();
    });

    it('tells load, disk wait and the busiest program, and does not make the sampling late', {
      timeout: 180_000,
    }, async () => {
      await observer.command('run encode 200');
      const deadline = performance.now() + 150_000;
      const newest = () => monitor.samples(guest.uuid).at(-1);
      while (newest()?.guestProgram === undefined && performance.now() < deadline) await sleep(500);
      expect(newest()?.guestProgram).toBe('ffmpeg');
      expect(newest()?.guestLoad1).toBeGreaterThan(0);
      expect(newest()?.guestIowait).toBeGreaterThanOrEqual(0);
      expect(monitor.agentTrouble(guest.uuid)).toBeUndefined();
      const times = monitor.samples(guest.uuid).map(({ at }) => at);
      const gaps = times.slice(1).map((at, index) => at - (times[index] ?? at));
      expect(gaps.toSorted((a, b) => a - b)[gaps.length >> 1]).toBeLessThan(1_150);
    });
  },
);
