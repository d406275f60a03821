import { createServer } from 'node:net';
import { structuredPatch } from 'diff';
import { HomewardError } from '../../shared/errors.ts';
import type { Vm } from '../../shared/model/vm.ts';
import { commonMachineType } from '../../shared/plan/machine-type.ts';
import { exportName } from '../disk/index.ts';
import {
  type Connection,
  type DomainDescription,
  makeReady,
  parseDomainCapabilities,
  readDomain,
} from '../libvirt/index.ts';
import type { Adoption, AdoptionStore } from './adoption-store.ts';
import type { Fleet } from './fleet.ts';
import type { HomeServices } from './home-services.ts';
import type { Hosts } from './hosts.ts';

export interface AdopterOptions {
  readonly fleet: Pick<Fleet, 'connection' | 'settled'>;
  readonly hosts: Pick<Hosts, 'reachable'>;
  readonly adoptions: AdoptionStore;
  readonly services: Pick<HomeServices, 'ensure' | 'folder' | 'stop'>;
}

export interface AdoptPreview {
  readonly before: string;
  readonly after: string;
  readonly changes: string[];
}

const balloonStatsPeriodS = 2;
/** Cards of these types can be handed to the frame relay without the guest noticing. */
const relayable = ['user', 'network'];

/** Makes a VM ready to move (design §4.6): shows what changes, applies it, undoes it. */
export class Adopter {
  readonly #options: AdopterOptions;

  constructor(options: AdopterOptions) {
    this.#options = options;
  }

  /** Changes nothing. @throws HomewardError `not-ready` for a VM that cannot be made ready, with the reason. */
  async preview(vm: Vm): Promise<AdoptPreview> {
    const { before, after } = await this.#plan(vm);
    return { before, after, changes: changesBetween(before, after) };
  }

  /** @throws HomewardError `vm-busy` while it runs; nothing is changed then. */
  async adopt(vm: Vm): Promise<void> {
    const { adoptions, services, fleet } = this.#options;
    if (vm.adopted) {
      throw new HomewardError('bad-input', `${vm.name} is already ready to move.`, {
        hint: `Move it: homeward offload ${vm.name}`,
      });
    }
    this.#needShutOff(vm);
    const { adoption, after } = await this.#plan(vm);
    await adoptions.begin(adoption);
    try {
      const { disk } = await services.ensure(adoption);
      await disk.allow('home');
      await (await fleet.connection(vm)).defineXml(after);
      adoptions.finish(vm.uuid);
    } catch (thrown) {
      await services.stop(adoption).catch(() => undefined);
      await adoptions.remove(vm.uuid);
      throw thrown;
    }
  }

  /** Puts the definition back as it was. @throws HomewardError `vm-away`, `vm-busy`, `not-ready` */
  async release(vm: Vm): Promise<void> {
    const { adoptions, services, fleet } = this.#options;
    const adoption = adoptions.need(vm.uuid, vm.name);
    if (vm.place.kind === 'away') {
      throw new HomewardError('vm-away', `${vm.name} is away; bring it home first.`, {
        hint: `homeward home ${vm.name}`,
      });
    }
    this.#needShutOff(vm);
    adoptions.leave(vm.uuid);
    try {
      await (await fleet.connection(vm)).defineXml(adoption.originalXml);
      await services.stop(adoption);
      await adoptions.remove(vm.uuid);
    } catch (thrown) {
      adoptions.finish(vm.uuid);
      throw thrown;
    }
  }

  /**
   * An engine that died in the middle of `adopt` or `release` leaves a VM that is written down as ready and defined as if it were
   * not, which could not start: its image is taken by the daemon. Such a VM is not ready (I3).
   */
  async reconcile(): Promise<void> {
    await Promise.all(this.#options.adoptions.all().map((adoption) => this.#dropVoid(adoption)));
  }

  async #dropVoid(adoption: Adoption): Promise<void> {
    const { adoptions, services, fleet } = this.#options;
    // One that cannot be seen is left as it is.
    const vm = await fleet.settled(adoption.vm).catch(() => undefined);
    if (vm?.state !== 'shutoff' || vm.place.kind === 'away' || !adoptions.isReady(vm.uuid)) return;
    const { disks } = readDomain(await (await fleet.connection(vm)).domainXml(vm.uuid, { inactive: true }));
    const hasItsOwn = adoption.disks.every((own) =>
      disks.some((disk) => disk.target === own.target && disk.file === own.file),
    );
    if (!hasItsOwn) return;
    await services.stop(adoption);
    await adoptions.remove(vm.uuid);
  }

  async #plan(vm: Vm): Promise<{ before: string; after: string; adoption: Adoption }> {
    const { fleet, services, adoptions } = this.#options;
    const connection = await fleet.connection(vm);
    const before = await connection.domainXml(vm.uuid, { inactive: true, secure: true });
    const known = adoptions.get(vm.uuid);
    if (known !== undefined) return { before: known.originalXml, after: before, adoption: known };
    const description = readDomain(before);
    const disks = disksOf(description);
    const nics = await Promise.all(
      description.interfaces
        .filter(({ type }) => relayable.includes(type))
        .map(async ({ index, mac }) => ({ index, mac, port: await freePort() })),
    );
    const socket = `${services.folder(vm.uuid)}/nbd.sock`;
    const after = makeReady(before, {
      disks: Object.fromEntries(
        disks.map(({ target }) => [target, { socket, exportName: exportName('home', target) }]),
      ),
      nics: Object.fromEntries(nics.map(({ index, port }) => [index, { address: '127.0.0.1', port }])),
      balloonStatsPeriodS,
      freePageReporting: true,
      errorPolicy: 'stop',
      ...(await this.#common(connection, description)),
    });
    return {
      before,
      after,
      adoption: { vm: vm.uuid, name: vm.name, connection: vm.connection, originalXml: before, disks, nics },
    };
  }

  /**
   * What this computer and every host that answers now have in common. A CPU taken from the machine it runs on
   * (host-passthrough, host-model) would pin the VM to machines like it.
   */
  async #common(
    connection: Connection,
    { machine, arch, virtType, cpuMode }: DomainDescription,
  ): Promise<{ machine?: string; cpuXml?: string }> {
    const reachable = this.#options.hosts.reachable();
    const accel = virtType === 'kvm' ? 'kvm' : 'tcg';
    const chosen = commonMachineType(
      machine,
      reachable.map(({ facts }) => facts.machineTypes),
    );
    const change = chosen === undefined || chosen === machine ? {} : { machine: chosen };
    if (cpuMode === undefined || cpuMode === 'custom' || reachable.length === 0) return change;
    const target = { arch, machine: chosen ?? machine, virtType };
    const here = parseDomainCapabilities(await connection.domainCapabilitiesXml(target)).hostModelCpuXml;
    const there = await Promise.all(
      reachable.map(({ host }) => host.link.call('cpu.model', { accel, machine: target.machine })),
    );
    if (here === undefined) return change;
    const cpuXml = await connection.baselineHypervisorCpu([here, ...there.map((one) => one.cpuXml)], target, {
      migratable: true,
    });
    return { ...change, cpuXml };
  }

  #needShutOff(vm: Vm): void {
    if (vm.state === 'shutoff') return;
    throw new HomewardError('vm-busy', `${vm.name} is running; its disk can only change hands while it is off.`, {
      hint: `Shut it down first, for example: virsh -c qemu:///${vm.connection} shutdown ${vm.name}`,
    });
  }
}

function disksOf(description: DomainDescription): Adoption['disks'] {
  const disks = description.disks.filter(({ device }) => device === 'disk');
  if (disks.length === 0)
    throw new HomewardError('not-ready', `${description.name} has no disk.`, {
      hint: 'Give it one in an image file.',
    });
  return disks.map(({ target, file, format, readonly, shareable }) => {
    if (file === undefined) {
      throw new HomewardError('not-ready', `Disk ${target} of ${description.name} is not an image file.`, {
        hint: 'Homeward can serve qcow2 and raw image files.',
      });
    }
    if (format !== 'qcow2' && format !== 'raw') {
      throw new HomewardError(
        'not-ready',
        `Disk ${target} of ${description.name} has the format ${format ?? 'unknown'}.`,
        {
          hint: 'Convert it to qcow2: qemu-img convert -O qcow2 OLD NEW',
        },
      );
    }
    if (shareable || readonly) {
      throw new HomewardError('not-ready', `Disk ${target} of ${description.name} is shared or read-only.`, {
        hint: 'Homeward can serve a disk that one VM alone writes.',
      });
    }
    return { target, file, format };
  });
}

/** The lines that change, as a person reads them; the whole difference is for the caller to draw. */
function changesBetween(before: string, after: string): string[] {
  return structuredPatch('before', 'after', before, after, '', '', { context: 0 }).hunks.flatMap(({ lines }) =>
    lines.map((line) => `${line.slice(0, 1)} ${line.slice(1).trim()}`),
  );
}

/** A loopback port nobody uses now; it becomes part of the VM's definition. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
