/** Figures as people read them, for reasons. */

export function seconds(s: number): string {
  if (s < 100) return `${Math.round(s)} s`;
  return s < 6_000 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3_600)} h`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** One decimal, none where it is zero: 1, 0.4, 12. */
export function decimal(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function hundredths(value: number): string {
  return value.toFixed(2);
}

export function count(n: number, noun: string): string {
  return `${decimal(n)} ${noun}${n === 1 ? '' : 's'}`;
}

export function gibibytes(bytes: number): string {
  return `${decimal(bytes / 1024 ** 3)} GiB`;
}

export function megabytesPerSec(bytesPerSec: number): string {
  return `${Math.round(bytesPerSec / 1e6)} MB/s`;
}
