import { HomewardError } from '../../shared/errors.ts';
import type { Level, Place, Vm } from '../../shared/model/vm.ts';
import { type Connection, LibvirtError, libvirtErrorCode, readDomain } from '../libvirt/index.ts';
import { type LocalVm, VisitRecord } from '../migrate/index.ts';
import type { Monitor } from '../monitor/index.ts';
import type { PeerStore } from '../trust/index.ts';
import type { AdoptionStore } from './adoption-store.ts';
import type { AwayVms } from './away-vms.ts';
import type { HomeServices } from './home-services.ts';
import type { Journal } from './journal.ts';
import type { SettingsStore } from './settings.ts';

export interface FleetOptions {
  readonly monitor: Pick<Monitor, 'connection' | 'lookAgain' | 'samples' | 'uri' | 'vms' | 'watchAway' | 'watchHome'>;
  readonly journal: Pick<Journal, 'place' | 'wish'>;
  readonly awayVms: Pick<AwayVms, 'troubles' | 'undefinedHere'>;
  readonly adoptions: AdoptionStore;
  readonly settings: SettingsStore;
  readonly services: Pick<HomeServices, 'refresh'>;
  readonly peers: Pick<PeerStore, 'get'>;
}

const settleMs = 15_000;

/** The user's VMs as one list: what libvirt says, where the journal says they are, what was made of them. */
export class Fleet {
  readonly #options: FleetOptions;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  list(): Vm[] {
    const { monitor, journal, adoptions, settings, awayVms } = this.#options;
    const defined = monitor.vms();
    return [...defined, ...awayVms.undefinedHere(defined)].map((seen): Vm => {
      const place = this.#place(seen.uuid);
      const adopted = adoptions.isReady(seen.uuid);
      const sample = monitor.samples(seen.uuid).at(-1);
      const wish = journal.wish(seen.uuid);
      const troubles = awayVms.troubles(seen);
      return {
        uuid: seen.uuid,
        name: seen.name,
        connection: seen.connection,
        state: seen.state,
        vcpus: seen.vcpus,
        memoryBytes: seen.memoryBytes,
        place,
        level: settings.current.levels[seen.uuid] ?? 'off',
        adopted,
        obstacles: adopted ? [] : ['It has not been made ready to move (homeward adopt).'],
        ...(sample === undefined ? {} : { sample }),
        ...(wish === undefined ? {} : { homeWanted: { reason: wish.reason, since: wish.since } }),
        ...(troubles.length === 0 ? {} : { awayTroubles: troubles }),
      };
    });
  }

  /** Under the name that its host has by now. */
  #place(uuid: string): Place {
    const place = this.#options.journal.place(uuid)?.place ?? { kind: 'home' };
    if (place.kind !== 'away') return place;
    return { ...place, hostName: this.#options.peers.get(place.host, 'host')?.name ?? place.hostName };
  }

  /** @throws HomewardError `unknown-vm`, `bad-input` where two VMs share the name. */
  need(key: string): Vm {
    const vms = this.list();
    const byUuid = vms.find(({ uuid }) => uuid === key.toLowerCase());
    if (byUuid !== undefined) return byUuid;
    const named = vms.filter(({ name }) => name === key);
    const [only] = named;
    if (only === undefined) {
      const names = vms.map(({ name }) => name).join(', ');
      throw new HomewardError('unknown-vm', `There is no VM named "${key}".`, {
        hint: names === '' ? 'No VM was found on qemu:///session or qemu:///system.' : `There are: ${names}`,
      });
    }
    if (named.length > 1) {
      throw new HomewardError('bad-input', `Two VMs are named "${key}".`, {
        hint: `Use the UUID: ${named.map(({ uuid }) => uuid).join(' or ')}`,
      });
    }
    return only;
  }

  /** As `need`, for an engine that has only just begun to look. */
  async settled(key: string): Promise<Vm> {
    const deadline = performance.now() + settleMs;
    for (;;) {
      try {
        return this.need(key);
      } catch (thrown) {
        if (performance.now() > deadline) throw thrown;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** For a move out. @throws HomewardError `not-ready`, `vm-not-running` */
  needReady(vm: Vm): void {
    this.#options.adoptions.need(vm.uuid, vm.name);
    if (vm.state !== 'shutoff' && vm.state !== 'crashed') return;
    throw new HomewardError('vm-not-running', `${vm.name} is not running, so there is nothing to move.`, {
      hint: `Start it first: virsh -c qemu:///${vm.connection} start ${vm.name}`,
    });
  }

  /** Home's side of a VM, with its disk served. @throws HomewardError `not-ready`, and what the services throw. */
  async local(vm: Vm): Promise<LocalVm> {
    const { adoptions, services, monitor } = this.#options;
    const adoption = adoptions.need(vm.uuid, vm.name);
    const { disk, network } = await services.refresh(adoption);
    const connection = await this.connection(vm);
    const { virtType } = readDomain(await this.definition(vm));
    return {
      uuid: vm.uuid,
      name: vm.name,
      vcpus: vm.vcpus,
      memoryBytes: vm.memoryBytes,
      accel: virtType === 'kvm' ? 'kvm' : 'tcg',
      connection,
      uri: monitor.uri(vm.connection),
      disk,
      disks: adoption.disks.map(({ target }) => target),
      network,
      nics: adoption.nics.map(({ index }) => index),
    };
  }

  /**
   * Its definition here; of one that is away and was undefined here meanwhile, that which it left with.
   * @throws HomewardError, LibvirtError
   */
  async definition(vm: Pick<Vm, 'connection' | 'uuid'>): Promise<string> {
    const connection = await this.connection(vm);
    try {
      return await connection.domainXml(vm.uuid, { inactive: true });
    } catch (thrown) {
      const left = isUnknown(thrown) ? this.#leftWith(vm.uuid) : undefined;
      if (left === undefined) throw thrown;
      return left;
    }
  }

  /**
   * What is brought home: the VM as it left. What is defined here may have been changed meanwhile, and counts from the next
   * start on; libvirt asks no more of it than the name. @throws as `definition`, for one whose record is damaged
   */
  async returning(vm: Pick<Vm, 'connection' | 'uuid'>): Promise<string> {
    return this.#leftWith(vm.uuid) ?? this.definition(vm);
  }

  /** Defines again what it left with, where libvirt here has lost it. */
  async putBack(vm: Pick<Vm, 'connection' | 'uuid'>): Promise<void> {
    const connection = await this.connection(vm);
    try {
      await connection.state(vm.uuid);
    } catch (thrown) {
      if (!isUnknown(thrown)) throw thrown;
      const left = this.#leftWith(vm.uuid);
      if (left !== undefined) await connection.defineXml(left);
    }
  }

  #leftWith(uuid: string): string | undefined {
    const record = VisitRecord.safeParse(this.#options.journal.place(uuid)?.data);
    return record.success ? record.data.homeXml : undefined;
  }

  connection(vm: Pick<Vm, 'connection'>): Promise<Connection> {
    return this.#options.monitor.connection(vm.connection);
  }

  /** Samples come from there from now on; from home where there is nothing to follow. */
  follow(vm: string, away: (() => Promise<Connection>) | undefined): void {
    if (away === undefined) this.#options.monitor.watchHome(vm);
    else this.#options.monitor.watchAway(vm, away);
  }

  /** Its host is there again: what it does is asked at once. */
  lookAgain(vm: string): void {
    this.#options.monitor.lookAgain(vm);
  }

  async setLevel(vm: Vm, level: Level): Promise<Vm> {
    await this.#options.settings.update((settings) => ({
      ...settings,
      levels: { ...settings.levels, [vm.uuid]: level },
    }));
    return this.need(vm.uuid);
  }
}

function isUnknown(thrown: unknown): boolean {
  return thrown instanceof LibvirtError && thrown.code === libvirtErrorCode.NO_DOMAIN;
}
