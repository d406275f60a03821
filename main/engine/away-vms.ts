import type { AwayTrouble, Place } from '../../shared/model/vm.ts';
import { type DomainDescription, readDomain } from '../libvirt/index.ts';
import { VisitRecord } from '../migrate/index.ts';
import type { Monitor, SeenVm } from '../monitor/index.ts';
import type { AdoptionStore } from './adoption-store.ts';
import type { Journal, PlaceRecord } from './journal.ts';

export interface AwayVmsOptions {
  readonly monitor: Pick<Monitor, 'awayState' | 'hasListed' | 'homeState'>;
  readonly journal: Pick<Journal, 'openMoves' | 'places'>;
  readonly adoptions: Pick<AdoptionStore, 'get'>;
}

type Away = Extract<Place, { kind: 'away' }>;

/** VMs that are away, as the journal has them: what libvirt here says of them need not be so any more. */
export class AwayVms {
  readonly #options: AwayVmsOptions;
  /** By visit: reading a definition is too slow to be done at each look. */
  readonly #left = new Map<string, DomainDescription | undefined>();
  /** Visits whose host answers and does not know them. */
  readonly #forgotten = new Set<string>();

  constructor(options: AwayVmsOptions) {
    this.#options = options;
  }

  noteForgotten(visit: string, forgotten: boolean): void {
    if (forgotten) this.#forgotten.add(visit);
    else this.#forgotten.delete(visit);
  }

  /** Those whose definition here is gone (`virsh undefine`), under what they left with. */
  undefinedHere(seen: readonly SeenVm[]): SeenVm[] {
    const { monitor, journal, adoptions } = this.#options;
    return journal.places().flatMap((record) => {
      const { vm: uuid, place } = record;
      if (place.kind !== 'away' || seen.some((known) => known.uuid === uuid)) return [];
      const connection = adoptions.get(uuid)?.connection;
      const left = this.#leftAs(record, place);
      if (connection === undefined || left === undefined || !monitor.hasListed(connection)) return [];
      const { name, vcpus, memoryBytes } = left;
      return [{ uuid, name, connection, state: monitor.awayState(uuid) ?? 'unknown', vcpus, memoryBytes }];
    });
  }

  troubles({ uuid, name, connection }: SeenVm): AwayTrouble[] {
    const { monitor, journal } = this.#options;
    const record = journal.places().find(({ vm }) => vm === uuid);
    if (record === undefined || record.place.kind !== 'away') return [];
    const { place } = record;
    const left = this.#leftAs(record, place);
    const atHome = monitor.homeState(uuid);
    const isMoving = journal.openMoves().some(({ move }) => move.vm === uuid);
    const troubles: readonly (readonly [AwayTrouble, boolean])[] = [
      ['runs-here', atHome === 'running' && !isMoving],
      ['forgotten', this.#forgotten.has(place.visit) && !isMoving],
      ['undefined-here', atHome === undefined && monitor.hasListed(connection)],
      ['renamed', left !== undefined && left.name !== name],
    ];
    return troubles.flatMap(([trouble, isSo]) => (isSo ? [trouble] : []));
  }

  #leftAs({ data }: PlaceRecord, { visit }: Away): DomainDescription | undefined {
    if (!this.#left.has(visit)) this.#left.set(visit, definitionIn(data));
    return this.#left.get(visit);
  }
}

function definitionIn(data: unknown): DomainDescription | undefined {
  const record = VisitRecord.safeParse(data);
  try {
    return record.success ? readDomain(record.data.homeXml) : undefined;
  } catch {
    // Damaged: whoever needs the definition itself says so.
    return undefined;
  }
}
