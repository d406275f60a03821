import { HomewardError } from './errors.ts';
import { HostAddress } from './model/host.ts';

/**
 * "10.0.0.2:7000", "[fe80::1]:7000" or "tower.lan:7000".
 * @throws HomewardError `bad-input`.
 */
export function parseAddress(text: string): HostAddress {
  const match = /^(?:\[(?<v6>[0-9A-Fa-f:.%\w]+)\]|(?<plain>[^:]+)):(?<port>\d{1,5})$/.exec(text);
  const { v6, plain, port } = match?.groups ?? {};
  const parsed = HostAddress.safeParse({ address: v6 ?? plain, port: Number(port) });
  if (!parsed.success) {
    throw new HomewardError('bad-input', `"${text}" is not ADDRESS:PORT.`, {
      hint: 'For example 192.168.1.20:7420, tower.lan:7420 or [fd00::20]:7420.',
    });
  }
  return parsed.data;
}

/** As `parseAddress` takes it. */
export function formatAddress({ address, port }: HostAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
