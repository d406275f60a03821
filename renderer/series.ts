import type { Host } from '../shared/model/host.ts';
import type { Sample, Vm } from '../shared/model/vm.ts';

/** The last two minutes, at one sample a second. */
const keep = 120;

export interface Traffic {
  readonly at: number;
  readonly outBytesPerSec: number;
  readonly homeBytesPerSec: number;
}

/** The last samples of each VM and each host's link, for charts. Arrays are replaced, never changed. */
export class Series {
  readonly #samples = new Map<string, readonly Sample[]>();
  readonly #traffic = new Map<string, readonly Traffic[]>();

  samples(vm: string): readonly Sample[] {
    return this.#samples.get(vm) ?? nothing;
  }

  traffic(host: string): readonly Traffic[] {
    return this.#traffic.get(host) ?? nothing;
  }

  take(vms: readonly Vm[], hosts: readonly Host[]): void {
    // One clock for all charts of a card.
    const at = Math.max(0, ...vms.map((vm) => vm.sample?.at ?? 0));
    for (const { uuid, sample } of vms) {
      if (sample !== undefined) append(this.#samples, uuid, sample, 1);
    }
    for (const { fingerprint, traffic } of hosts) {
      if (fingerprint === undefined || traffic === undefined) continue;
      // The engine averages over a second; a status that comes sooner says the same again.
      append(this.#traffic, fingerprint, { at, ...traffic }, 900);
    }
    for (const uuid of this.#samples.keys()) {
      if (!vms.some((vm) => vm.uuid === uuid)) this.#samples.delete(uuid);
    }
  }
}

const nothing: readonly never[] = [];

function append<T extends { readonly at: number }>(
  into: Map<string, readonly T[]>,
  key: string,
  next: T,
  leastGapMs: number,
): void {
  const before = into.get(key) ?? [];
  const last = before.at(-1);
  if (last !== undefined && next.at - last.at < leastGapMs && next.at >= last.at) return;
  // A clock that went back (another engine) begins anew.
  into.set(key, last !== undefined && next.at < last.at ? [next] : [...before.slice(1 - keep), next]);
}
