import { describe, expect, it } from 'vitest';
import { admit, type Room, type VisitDemand } from '../../../shared/plan/admission.ts';
import type { HostSettings } from '../../../shared/rpc.ts';

const gib = 1024 ** 3;
const demand: VisitDemand = { vmName: 'daily', vcpus: 2, memoryBytes: 4 * gib, accel: 'kvm' };
const room: Room = { freeMemoryBytes: 16 * gib, cores: 8, accels: ['kvm', 'tcg'], visitors: [] };
const limits: HostSettings = {
  enabled: true,
  port: 0,
  maxVisitors: 2,
  maxMemoryBytes: 8 * gib,
  maxVcpus: 6,
  leaseHours: 168,
};
const visitor = { memoryBytes: 4 * gib, vcpus: 2, residentBytes: 4 * gib };

describe('admission', () => {
  it('takes a VM where there is room for it and a fifth more', () => {
    expect(admit(demand, { ...room, freeMemoryBytes: 4.8 * gib }, limits)).toEqual({ admitted: true });
  });

  it.each<[string, VisitDemand, Room, HostSettings, string, RegExp]>([
    ['the role is off', demand, room, { ...limits, enabled: false }, 'refused', /does not take visitors/],
    [
      'there are visitors enough',
      demand,
      { ...room, visitors: [visitor, visitor] },
      limits,
      'host-full',
      /2 visitors at most and has 2/,
    ],
    [
      'visitors would have too much memory together',
      demand,
      { ...room, visitors: [visitor] },
      { ...limits, maxMemoryBytes: 7 * gib },
      'host-full',
      /7\.0 GiB together and 4\.0 GiB are taken/,
    ],
    [
      'visitors would have too many vCPUs together',
      { ...demand, vcpus: 5 },
      { ...room, visitors: [visitor] },
      limits,
      'host-full',
      /5 vCPUs.*6 vCPUs together and 2 are taken/,
    ],
    [
      'its acceleration is not there',
      demand,
      { ...room, accels: ['tcg'] },
      limits,
      'incompatible',
      /no kernel boots under KVM/,
    ],
    [
      'there are fewer cores than vCPUs',
      demand,
      { ...room, cores: 1 },
      limits,
      'incompatible',
      /2 vCPUs, this workstation only 1 core\./,
    ],
    [
      'there is not the fifth more',
      demand,
      { ...room, freeMemoryBytes: 4.7 * gib },
      limits,
      'host-full',
      /needs 4\.8 GiB.*has 4\.7 GiB/,
    ],
  ])('refuses with a sentence when %s', (_when, given, there, allowed, code, message) => {
    const admission = admit(given, there, allowed);
    expect(admission).toMatchObject({ admitted: false, why: { code } });
    expect(admission.admitted ? '' : admission.why.message).toMatch(message);
    expect(admission.admitted ? '' : admission.why.hint).toMatch(/\w/);
  });

  it('counts memory that was promised to a visitor though it has not touched it yet', () => {
    const newcomer = { ...visitor, residentBytes: 0 };
    const free = { ...room, freeMemoryBytes: 8 * gib };
    expect(admit(demand, { ...free, visitors: [visitor] }, limits).admitted).toBe(true);
    expect(admit(demand, { ...free, visitors: [newcomer] }, limits).admitted).toBe(false);
  });
});
