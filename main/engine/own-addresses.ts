import { networkInterfaces } from 'node:os';
import type { HostAddress } from '../../shared/model/host.ts';

/** Bridges to VMs and containers of this computer's own: nobody else gets there. */
const inwards = /^(?:virbr|docker|podman|veth|cni|lxcbr|lxdbr|br-)/;

/** Where another computer may reach a port of this one: its IPv4 addresses; where it has none, its IPv6 ones. */
export function ownAddresses(port: number, interfaces = networkInterfaces()): HostAddress[] {
  const outwards = Object.entries(interfaces)
    .filter(([name]) => !inwards.test(name))
    .flatMap(([, addresses = []]) => addresses)
    .filter(({ internal }) => !internal);
  const v4 = outwards.filter(({ family }) => family === 'IPv4');
  const usable = v4.length > 0 ? v4 : outwards.filter(({ address }) => !address.startsWith('fe80:'));
  return usable.map(({ address }) => ({ address, port }));
}
