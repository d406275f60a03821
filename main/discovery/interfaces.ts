import { networkInterfaces } from 'node:os';
import { Bonjour, type ServiceConfig } from 'bonjour-service';
import { GuardedSocket } from './guarded-socket.ts';

/** Each costs a socket; a machine with more interfaces than this has them for containers. */
const maxInterfaces = 16;
const noHardware = '00:00:00:00:00:00';

/** IPv4 addresses, one for each interface that can multicast. Tunnels have no hardware address. */
export function usableAddresses(interfaces = networkInterfaces()): string[] {
  return Object.values(interfaces)
    .flatMap(
      (addresses = []) =>
        addresses.find(({ family, internal, mac }) => family === 'IPv4' && !internal && mac !== noHardware) ?? [],
    )
    .map(({ address }) => address)
    .slice(0, maxInterfaces);
}

/** Every address of this machine in one string, to see whether any came or went. */
export function addressesNow(interfaces = networkInterfaces()): string {
  return Object.entries(interfaces)
    .flatMap(([name, addresses = []]) => addresses.map(({ address }) => `${name} ${address}`))
    .sort()
    .join('\n');
}

/** One mDNS speaker on the interface that has `address`; the library sends on one interface only. */
export interface Speaker {
  readonly bonjour: Bonjour;
  close(): Promise<void>;
}

export async function openSpeaker(address: string, onFault: (thrown: unknown) => void): Promise<Speaker> {
  const socket = new GuardedSocket(onFault);
  const options: Partial<ServiceConfig> & { interface: string; bind: false; socket: GuardedSocket } = {
    interface: address,
    bind: false,
    socket,
  };
  const bonjour = new Bonjour(options, onFault);
  const close = () => new Promise<void>((resolve) => bonjour.destroy(resolve));
  try {
    await socket.open();
  } catch (error) {
    await close();
    throw error;
  }
  return { bonjour, close };
}
