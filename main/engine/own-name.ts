import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

/** How this machine learns its own name's address; tests bring their own. */
export interface NameSources {
  readonly name: string;
  readonly resolve: (name: string) => Promise<unknown>;
  readonly hostsFile: string;
  readonly deadlineMs: number;
}

const system: NameSources = { name: hostname(), resolve: lookup, hostsFile: '/etc/hosts', deadlineMs: 2_000 };

export interface OwnName {
  readonly name: string;
  readonly known: boolean;
}

/**
 * libvirt resolves this machine's own name at several steps of a move; where the resolver hangs, each one waits
 * for it, the last one with the guest stopped.
 */
export async function ownName({ name, resolve, hostsFile, deadlineMs }: NameSources = system): Promise<OwnName> {
  const hosts = await readFile(hostsFile, 'utf8').catch(() => '');
  const named = hosts.split('\n').some((line) => line.split('#')[0]?.split(/\s+/).slice(1).includes(name));
  return { name, known: named || (await resolvesWithin(resolve(name), deadlineMs)) };
}

async function resolvesWithin(resolving: Promise<unknown>, deadlineMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), deadlineMs);
  });
  const known = await Promise.race([
    resolving.then(
      () => true,
      () => false,
    ),
    tooLate,
  ]);
  clearTimeout(timer);
  return known;
}
