import { HomewardError } from '../../shared/errors.ts';
import type { Vm } from '../../shared/model/vm.ts';

/** The VM with this UUID or name, as the engine would choose it. */
export function findVm(vms: readonly Vm[], key: string): Vm {
  const found = vms.filter((vm) => vm.uuid === key.toLowerCase() || vm.name === key);
  const [vm] = found;
  if (vm === undefined) {
    throw new HomewardError('unknown-vm', `There is no VM called ${key}.`, { hint: 'See: homeward vms' });
  }
  if (found.length > 1) {
    throw new HomewardError('unknown-vm', `${key} names ${found.length} VMs.`, {
      hint: 'Use its UUID: homeward vms --json',
    });
  }
  return vm;
}

/**
 * "10.0.0.2:7000", "[fe80::1]:7000" or "tower.lan:7000".
 * @throws HomewardError `bad-input`.
 */
export function parseAddress(text: string): { readonly address: string; readonly port: number } {
  const match = /^(?:\[(?<v6>[0-9A-Fa-f:.%\w]+)\]|(?<plain>[^:[\]\s]+)):(?<port>\d{1,5})$/.exec(text);
  const { v6, plain, port } = match?.groups ?? {};
  const address = v6 ?? plain;
  if (address === undefined || port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new HomewardError('bad-input', `"${text}" is not ADDRESS:PORT.`, {
      hint: 'For example 192.168.1.20:7420, tower.lan:7420 or [fd00::20]:7420.',
    });
  }
  return { address, port: Number(port) };
}

const sizeUnits = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;

/**
 * "8G", "512M", "8GiB", "1073741824": bytes.
 * @throws HomewardError `bad-input`.
 */
export function parseSize(text: string): number {
  const { number, unit } = /^(?<number>\d+(?:\.\d+)?) ?(?<unit>[kmgt]?)(?:i?b)?$/i.exec(text)?.groups ?? {};
  const factor = sizeUnits[unit?.toLowerCase() as keyof typeof sizeUnits];
  if (number === undefined || factor === undefined) {
    throw new HomewardError('bad-input', `"${text}" is not a size.`, { hint: 'For example 8G or 512M.' });
  }
  return Math.round(Number(number) * factor);
}

/**
 * A whole number within bounds.
 * @throws HomewardError `bad-input`.
 */
export function parseWhole(text: string, what: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new HomewardError('bad-input', `${what} is "${text}"; it can be ${min} to ${max}.`);
  }
  return value;
}
