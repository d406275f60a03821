import type { HostFacts } from '../../shared/model/host.ts';
import type { Direction } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import { preflight } from '../../shared/plan/preflight.ts';
import type { Plan } from '../../shared/rpc.ts';
import { cpuElement, readDomain } from '../libvirt/index.ts';
import type { Fleet } from './fleet.ts';
import type { Hosts, KnownHost } from './hosts.ts';

export interface PlannerOptions {
  readonly fleet: Fleet;
  readonly hosts: Hosts;
  readonly homeFacts: () => Promise<HostFacts>;
}

/** The verdict before anything starts: both machines' facts and the VM's definition, weighed by `preflight`. */
export class Planner {
  readonly #options: PlannerOptions;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** @throws HomewardError where the host cannot be asked */
  async plan(vm: Vm, direction: Direction, host: KnownHost): Promise<Plan> {
    const { fleet, hosts, homeFacts } = this.#options;
    const [home, away] = await Promise.all([homeFacts(), hosts.freshFacts(host)]);
    const connection = await fleet.connection(vm);
    const runsAtHome = direction === 'out' && vm.state !== 'shutoff';
    const xml = await connection.domainXml(vm.uuid, runsAtHome ? { migratable: true } : { inactive: true });
    const description = readDomain(xml);
    const cpuXml = cpuElement(xml);
    const cpuVerdict =
      direction === 'out' && cpuXml !== undefined
        ? await host.link.call('cpu.compare', {
            cpuXml,
            accel: description.virtType === 'kvm' ? 'kvm' : 'tcg',
            machine: description.machine,
          })
        : undefined;
    const verdict = preflight({
      vm: description,
      adopted: vm.adopted,
      direction,
      source: direction === 'out' ? home : away,
      destination: direction === 'out' ? away : home,
      cpuVerdict: cpuVerdict?.verdict,
    });
    const linkBytesPerSec = hosts.find(host.fingerprint).benchmark?.[
      direction === 'out' ? 'linkOutBytesPerSec' : 'linkHomeBytesPerSec'
    ];
    const expectedBytes = vm.sample?.usedMemoryBytes ?? vm.memoryBytes;
    return {
      vm: vm.uuid,
      vmName: vm.name,
      direction,
      host: host.fingerprint,
      hostName: host.name,
      possible: verdict.possible,
      obstacles: [...verdict.obstacles],
      warnings: [...verdict.warnings],
      postcopy: verdict.postcopy,
      ...(verdict.postcopyObstacle === undefined ? {} : { postcopyObstacle: verdict.postcopyObstacle }),
      expectedBytes,
      ...(linkBytesPerSec === undefined ? {} : { expectedMs: (expectedBytes / linkBytesPerSec) * 1_000 }),
    };
  }
}
