import type { NetworkInterfaceInfo } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Advert, advertOf, serviceOf } from '../../../main/discovery/advert.ts';
import { HostTable } from '../../../main/discovery/host-table.ts';
import { addressesNow, usableAddresses } from '../../../main/discovery/interfaces.ts';

const fingerprint = 'ab'.repeat(32);

function service(change: Record<string, unknown> = {}) {
  return {
    fqdn: 'homeward-abab._homeward._tcp.local',
    port: 4711,
    txt: { id: fingerprint, v: '1', n: 'Big.Box' },
    addresses: ['10.0.0.2', '172.17.0.1'],
    referer: { address: '10.0.0.2' },
    ...change,
  };
}

function addressesOf(change: Record<string, unknown>) {
  return advertOf(service(change))?.addresses.map(({ address }) => address);
}

describe('an answer from the network', () => {
  test('is a host when it carries name and fingerprint, the address it came from first', () => {
    expect(advertOf(service({ addresses: ['172.17.0.1', '10.0.0.2'] }))).toEqual({
      fingerprint,
      name: 'Big.Box',
      addresses: [
        { address: '10.0.0.2', port: 4711 },
        { address: '172.17.0.1', port: 4711 },
      ],
    });
  });

  test.each([
    ['no TXT', { txt: undefined }],
    ['no fingerprint', { txt: { v: '1', n: 'x' } }],
    ['a short fingerprint', { txt: { id: 'abab', v: '1', n: 'x' } }],
    ['a fingerprint in capitals', { txt: { id: fingerprint.toUpperCase(), v: '1', n: 'x' } }],
    ['a name with control characters', { txt: { id: fingerprint, v: '1', n: 'x\u001b[2J' } }],
    ['a name that is a path', { txt: { id: fingerprint, v: '1', n: '../x' } }],
    ['an endless name', { txt: { id: fingerprint, v: '1', n: 'x'.repeat(201) } }],
    ['no port', { port: 0 }],
    ['a port out of range', { port: 65_536 }],
    ['no address', { addresses: [], referer: undefined }],
  ])('is ignored with %s', (_, change) => {
    expect(advertOf(service(change))).toBeUndefined();
  });

  test('leads to no loopback, multicast or link-local address', () => {
    const addresses = [
      '127.0.0.1',
      '0.0.0.0',
      '224.0.0.251',
      '255.255.255.255',
      'fe80::1',
      '::1',
      'x',
      '192.168.1.5',
      'fd00::5',
    ];
    expect(addressesOf({ addresses, referer: undefined })).toEqual(['192.168.1.5', 'fd00::5']);
  });

  test('never throws, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything(), (anything) => {
        advertOf(anything);
        advertOf(service({ txt: anything, addresses: anything }));
      }),
    );
  });
});

describe('what we publish', () => {
  test('fits a TXT string whatever the name, cut between characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 400 }), (name) => {
        const { txt, port } = serviceOf({ fingerprint, name, port: 4711 });
        expect(Buffer.byteLength(`n=${txt.n}`)).toBeLessThanOrEqual(255);
        expect(name.startsWith(txt.n)).toBe(true);
        expect(port).toBe(4711);
      }),
    );
  });

  test('has names of its own that fit a DNS label', () => {
    const { name, host } = serviceOf({ fingerprint, name: 'a.b', port: 1 });
    expect(name).toMatch(/^homeward-[0-9a-f]{16}$/);
    expect(host).toBe(`${name}.local`);
  });
});

describe('the table of hosts', () => {
  const table = () => new HostTable({ silenceMs: 100, goodbyeGraceMs: 10 });
  const advert = (address: string, change: Partial<Advert> & { port?: number } = {}): Advert => ({
    fingerprint,
    name: 'big',
    addresses: [{ address, port: change.port ?? 1 }],
    ...change,
  });

  test('tells of a host once, and again only when something changed', () => {
    const hosts = table();
    expect(hosts.heard(advert('10.0.0.1'), 0)).toMatchObject({ fingerprint, name: 'big' });
    expect(hosts.heard(advert('10.0.0.1'), 1)).toBeUndefined();
    expect(hosts.heard(advert('10.0.0.1', { name: 'bigger' }), 2)?.name).toBe('bigger');
    expect(hosts.heard(advert('10.0.1.1'), 3)?.addresses).toHaveLength(2);
    expect(hosts.heard(advert('10.0.1.1'), 4)).toBeUndefined();
  });

  test('drops what led to the old port of a host that was started anew', () => {
    const hosts = table();
    hosts.heard(advert('10.0.0.1'), 0);
    expect(hosts.heard(advert('10.0.0.1', { port: 2 }), 1)?.addresses).toEqual([{ address: '10.0.0.1', port: 2 }]);
  });

  test('forgets an address after silence, and the host with its last', () => {
    const hosts = table();
    hosts.heard(advert('10.0.0.1'), 0);
    hosts.heard(advert('10.0.1.1'), 60);
    expect(hosts.expire(100)).toEqual({ gone: [], changed: [] });
    expect(hosts.expire(101).changed).toMatchObject([{ addresses: [{ address: '10.0.1.1' }] }]);
    expect(hosts.expire(161)).toEqual({ gone: [fingerprint], changed: [] });
    expect(hosts.heard(advert('10.0.0.1'), 200)).toBeDefined();
  });

  test('lets a host that said goodbye come back for a moment', () => {
    const hosts = table();
    hosts.heard(advert('10.0.0.1'), 0);
    hosts.saidGoodbye(fingerprint, 1);
    expect(hosts.expire(5).gone).toEqual([]);
    hosts.heard(advert('10.0.0.1'), 6);
    expect(hosts.expire(50).gone).toEqual([]);
    hosts.saidGoodbye(fingerprint, 60);
    expect(hosts.expire(70).gone).toEqual([fingerprint]);
  });

  test('does not grow with a flood of invented hosts or addresses', () => {
    const hosts = table();
    for (let number = 0; number < 1_000; number += 1) {
      const invented = number.toString(16).padStart(64, '0');
      hosts.heard(advert('10.0.0.1', { fingerprint: invented }), 0);
      hosts.heard(advert(`10.9.${number >> 8}.${number & 255}`, { fingerprint: '0'.repeat(64) }), 0);
    }
    expect(hosts.expire(50).gone).toHaveLength(0);
    expect(hosts.expire(101).gone.length).toBeLessThanOrEqual(256);
  });
});

describe('the interfaces asked on', () => {
  const entry = (address: string, change: Partial<NetworkInterfaceInfo> = {}): NetworkInterfaceInfo =>
    ({
      address,
      family: 'IPv4',
      internal: false,
      mac: '02:00:00:00:00:01',
      netmask: '255.255.255.0',
      cidr: null,
      ...change,
    }) as NetworkInterfaceInfo;

  test('are one IPv4 address each; loopback and tunnels are left out', () => {
    expect(
      usableAddresses({
        lo: [entry('127.0.0.1', { internal: true, mac: '00:00:00:00:00:00' })],
        eth0: [entry('10.0.0.1'), entry('10.0.0.2')],
        wg0: [entry('10.1.0.1', { mac: '00:00:00:00:00:00' })],
        wlan0: [entry('192.168.1.1')],
      }),
    ).toEqual(['10.0.0.1', '192.168.1.1']);
  });

  test('are looked at anew when any address comes or goes, in whatever order they are listed', () => {
    const both = addressesNow({ a: [entry('10.0.0.1')], b: [entry('10.0.0.2')] });
    expect(addressesNow({ b: [entry('10.0.0.2')], a: [entry('10.0.0.1')] })).toBe(both);
    expect(addressesNow({ a: [entry('10.0.0.1')] })).not.toBe(both);
  });
});
