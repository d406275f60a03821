import type { Host } from '../model/host.ts';
import type { Move } from '../model/move.ts';
import type { Vm } from '../model/vm.ts';
import type { Status } from '../rpc.ts';

/** Somewhere VMs stand: this computer, or a host. */
export interface PlaceView {
  readonly key: string;
  readonly kind: 'home' | 'host';
  readonly name: string;
  /** Absent at home, and where a VM is at a host that is no longer listed. */
  readonly host: Host | undefined;
  readonly vms: readonly Vm[];
  /** Moves on their way here. */
  readonly arriving: readonly Move[];
}

/** Home first, then every paired host, then hosts that are known only by a VM that is there. */
export function placesOf(status: Status): PlaceView[] {
  const home: PlaceView = {
    key: 'home',
    kind: 'home',
    name: status.name,
    host: undefined,
    vms: status.vms.filter((vm) => vm.place.kind === 'home'),
    arriving: status.moves.filter((move) => move.direction === 'home' && placeKey(status, move) !== 'home'),
  };
  const names = new Map<string, string>();
  for (const { paired, fingerprint, name } of status.hosts) if (paired && fingerprint) names.set(fingerprint, name);
  for (const { place } of status.vms) {
    if (place.kind === 'away' && !names.has(place.host)) names.set(place.host, place.hostName);
  }
  const hosts = [...names].map(
    ([key, name]): PlaceView => ({
      key,
      kind: 'host',
      name,
      host: status.hosts.find((host) => host.fingerprint === key),
      vms: status.vms.filter((vm) => vm.place.kind === 'away' && vm.place.host === key),
      arriving: status.moves.filter(
        (move) => move.direction === 'out' && move.host === key && placeKey(status, move) !== key,
      ),
    }),
  );
  return [home, ...hosts];
}

/** Where the moved VM stands now. */
function placeKey(status: Status, move: Move): string | undefined {
  const place = status.vms.find((vm) => vm.uuid === move.vm)?.place;
  return place?.kind === 'away' ? place.host : place?.kind;
}

/** Hosts that were seen but are not paired. */
export function strangers(hosts: readonly Host[]): Host[] {
  return hosts.filter((host) => !host.paired);
}
