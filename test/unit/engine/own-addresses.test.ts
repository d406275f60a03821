import type { NetworkInterfaceInfo } from 'node:os';
import { expect, it } from 'vitest';
import { ownAddresses } from '../../../main/engine/own-addresses.ts';

function at(address: string): NetworkInterfaceInfo {
  const known = {
    address,
    mac: '02:00:00:00:00:01',
    cidr: null,
    netmask: '',
    internal: /^(?:127\.|::1$)/.test(address),
  };
  return address.includes(':') ? { ...known, family: 'IPv6', scopeid: 0 } : { ...known, family: 'IPv4' };
}

it('are told as others reach them: by no loopback, no bridge to VMs or containers, no link-local address', () => {
  const lan = { lo: [at('127.0.0.1')], virbr0: [at('192.168.122.1')], eth0: [at('192.168.1.20'), at('fd00::20')] };
  expect(ownAddresses(7420, lan)).toEqual([{ address: '192.168.1.20', port: 7420 }]);
  expect(ownAddresses(7420, { eth0: [at('fe80::1'), at('fd00::20')] })).toEqual([{ address: 'fd00::20', port: 7420 }]);
  expect(ownAddresses(7420, { lo: [at('127.0.0.1'), at('::1')] })).toEqual([]);
});
