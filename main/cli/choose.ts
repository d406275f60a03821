import { HomewardError } from '../../shared/errors.ts';
import type { Vm } from '../../shared/model/vm.ts';
import type { VisitInfo } from '../../shared/wire.ts';

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

/** The visitor with this name or visit. One that has ended counts only where no other is meant. */
export function findVisit(visitors: readonly VisitInfo[], key: string): VisitInfo {
  const found = visitors.filter((visit) => visit.visit === key || visit.vmName === key);
  const there = found.filter(({ state }) => state !== 'gone');
  const meant = there.length === 0 ? found : there;
  const [visit] = meant;
  if (visit === undefined) {
    throw new HomewardError('unknown-vm', `No VM called ${key} is visiting this computer.`, {
      hint: 'See who is here with: homeward host status',
    });
  }
  if (meant.length > 1) {
    throw new HomewardError('unknown-vm', `${meant.length} visiting VMs are called ${key}.`, {
      hint: 'Use its visit: homeward host status --json',
    });
  }
  return visit;
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

/**
 * "7d", "12h": hours, within a year.
 * @throws HomewardError `bad-input`.
 */
export function parseLease(text: string): number {
  const { number, unit } = /^(?<number>\d+) ?(?<unit>[dh])$/i.exec(text)?.groups ?? {};
  const hours = Number(number) * (unit?.toLowerCase() === 'd' ? 24 : 1);
  if (!(hours >= 1 && hours <= 8_760)) {
    throw new HomewardError('bad-input', `--lease is "${text}"; it can be 1h to 365d.`, {
      hint: 'For example 7d or 12h.',
    });
  }
  return hours;
}
