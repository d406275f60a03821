/** Choosing a QEMU machine type that every machine a VM may visit knows (notes on migration: type ≤ both). */

const versioned = /^(?<family>.+)-(?<major>\d+)\.(?<minor>\d+)$/;

/** Newest type of the same family that all know; `machine` itself where all know it, undefined where none is. */
export function commonMachineType(machine: string, known: readonly (readonly string[])[]): string | undefined {
  const byAll = (type: string): boolean => known.every((types) => types.includes(type));
  if (byAll(machine)) return machine;
  const family = versioned.exec(machine)?.groups?.['family'];
  if (family === undefined) return undefined;
  return (known[0] ?? [])
    .filter((type) => versioned.exec(type)?.groups?.['family'] === family && byAll(type) && olderThan(type, machine))
    .sort((a, b) => (olderThan(a, b) ? 1 : -1))[0];
}

function olderThan(a: string, b: string): boolean {
  const [left, right] = [versioned.exec(a)?.groups, versioned.exec(b)?.groups];
  const number = (part: string | undefined): number => Number(part ?? 0);
  const major = number(left?.['major']) - number(right?.['major']);
  return major !== 0 ? major < 0 : number(left?.['minor']) < number(right?.['minor']);
}
