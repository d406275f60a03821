import { HomewardError } from '../../shared/errors.ts';
import type { Level, Vm } from '../../shared/model/vm.ts';
import { type Connection, readDomain } from '../libvirt/index.ts';
import type { LocalVm } from '../migrate/index.ts';
import type { Monitor } from '../monitor/index.ts';
import type { AdoptionStore } from './adoption-store.ts';
import type { HomeServices } from './home-services.ts';
import type { Journal } from './journal.ts';
import type { SettingsStore } from './settings.ts';

export interface FleetOptions {
  readonly monitor: Pick<Monitor, 'connection' | 'samples' | 'uri' | 'vms' | 'watchAway' | 'watchHome'>;
  readonly journal: Pick<Journal, 'place'>;
  readonly adoptions: AdoptionStore;
  readonly settings: SettingsStore;
  readonly services: Pick<HomeServices, 'refresh'>;
}

const settleMs = 15_000;

/** The user's VMs as one list: what libvirt says, where the journal says they are, what was made of them. */
export class Fleet {
  readonly #options: FleetOptions;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  list(): Vm[] {
    const { monitor, journal, adoptions, settings } = this.#options;
    return monitor.vms().map((seen): Vm => {
      const place = journal.place(seen.uuid)?.place ?? { kind: 'home' };
      const adopted = adoptions.get(seen.uuid) !== undefined;
      const sample = monitor.samples(seen.uuid).at(-1);
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
      };
    });
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
    const { virtType } = readDomain(await connection.domainXml(vm.uuid, { inactive: true }));
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

  connection(vm: Pick<Vm, 'connection'>): Promise<Connection> {
    return this.#options.monitor.connection(vm.connection);
  }

  /** Samples come from there from now on; from home where there is nothing to follow. */
  follow(vm: string, away: (() => Promise<Connection>) | undefined): void {
    if (away === undefined) this.#options.monitor.watchHome(vm);
    else this.#options.monitor.watchAway(vm, away);
  }

  async setLevel(vm: Vm, level: Level): Promise<Vm> {
    await this.#options.settings.update((settings) => ({
      ...settings,
      levels: { ...settings.levels, [vm.uuid]: level },
    }));
    return this.need(vm.uuid);
  }
}
