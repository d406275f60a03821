import { randomBytes } from 'node:crypto';
import { HomewardError } from '../../shared/errors.ts';
import type { HostFacts } from '../../shared/model/host.ts';
import type { Direction } from '../../shared/model/move.ts';
import type { Vm } from '../../shared/model/vm.ts';
import { planMove, planned } from '../../shared/plan/homecoming.ts';
import { preflight } from '../../shared/plan/preflight.ts';
import type { Plan } from '../../shared/rpc.ts';
import { cpuElement, type DomainDescription, readDomain } from '../libvirt/index.ts';
import { sentencesOf } from '../migrate/index.ts';
import type { Experience } from './experience.ts';
import type { Fleet } from './fleet.ts';
import type { Hosts, KnownHost } from './hosts.ts';
import type { OwnName } from './own-name.ts';

export interface PlannerOptions {
  readonly fleet: Pick<Fleet, 'connection' | 'definition' | 'returning'>;
  readonly hosts: Pick<Hosts, 'find' | 'freshFacts'>;
  readonly homeFacts: () => Promise<HostFacts>;
  readonly ownName: () => Promise<OwnName>;
  readonly experience: Pick<Experience, 'expectedMoveS' | 'shareOfLink'>;
}

export interface Verdict {
  readonly plan: Plan;
  /** The host's own no, where it said one: its owner's limits, its memory. */
  readonly refusal?: HomewardError | undefined;
}

/** The verdict before anything starts: both machines' facts and the VM's definition, weighed by `preflight`. */
export class Planner {
  readonly #options: PlannerOptions;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** @throws HomewardError where the host cannot be asked */
  async plan(vm: Vm, direction: Direction, host: KnownHost, deadlineMs?: number): Promise<Verdict> {
    const { hosts, homeFacts, experience } = this.#options;
    const [home, away, name] = await Promise.all([homeFacts(), hosts.freshFacts(host), this.#options.ownName()]);
    const xml = await this.#moving(vm, direction);
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
      vm: { ...description, snapshots: await this.#snapshots(vm, direction) },
      // A VM that ended while away is "brought home" too: nothing moves, its disk becomes home's again.
      state: direction === 'home' && vm.state === 'shutoff' ? undefined : vm.state,
      adopted: vm.adopted,
      direction,
      source: direction === 'out' ? home : away,
      destination: direction === 'out' ? away : home,
      cpuVerdict: cpuVerdict?.verdict,
    });
    const refusal = direction === 'out' && verdict.possible ? await refusalOf(host, vm, description) : undefined;
    const { benchmark } = hosts.find(host.fingerprint);
    const linkBytesPerSec = benchmark?.[direction === 'out' ? 'linkOutBytesPerSec' : 'linkHomeBytesPerSec'];
    const expectedBytes = vm.sample?.usedMemoryBytes ?? vm.memoryBytes;
    const way =
      linkBytesPerSec === undefined
        ? undefined
        : planMove({
            direction,
            touchedBytes: expectedBytes,
            dirtyBytesPerSec: vm.sample?.dirtyBytesPerSec,
            linkBytesPerSec: linkBytesPerSec * experience.shareOfLink(vm, direction, host.fingerprint),
            linkTrendPerSec: 0,
            linkStableMs: host.stableMs(),
            deadlineMs,
            postcopyObstacle: verdict.postcopyObstacle,
            finishNowAsked: false,
          });
    // One time for both lines that people read.
    const expectedMs =
      way?.totalMs === undefined
        ? undefined
        : Math.round(1_000 * experience.expectedMoveS(vm, direction, host.fingerprint, benchmark));
    const plan: Plan = {
      vm: vm.uuid,
      vmName: vm.name,
      direction,
      host: host.fingerprint,
      hostName: host.name,
      possible: verdict.possible && refusal === undefined,
      obstacles: refusal === undefined ? [...verdict.obstacles] : [sentencesOf(refusal)],
      warnings: [...verdict.warnings, ...(name.known ? [] : [unknownName(name)])],
      postcopy: verdict.postcopy,
      ...(verdict.postcopyObstacle === undefined ? {} : { postcopyObstacle: verdict.postcopyObstacle }),
      expectedBytes,
      ...(way === undefined
        ? {}
        : { way: { ...planned(way), ...(expectedMs === undefined ? {} : { totalMs: expectedMs }) } }),
      ...(deadlineMs === undefined ? {} : { inTime: true as const }),
      ...(expectedMs === undefined ? {} : { expectedMs }),
    };
    return { plan, refusal };
  }

  /** On the way home there are none: the visit's libvirt knows of no disk it could make one of. */
  async #snapshots(vm: Vm, direction: Direction): Promise<number | undefined> {
    return direction === 'out' ? (await this.#options.fleet.connection(vm)).snapshotCount(vm.uuid) : undefined;
  }

  /** The definition that is to run at the destination. */
  async #moving(vm: Vm, direction: Direction): Promise<string> {
    const { fleet } = this.#options;
    if (direction === 'home') return fleet.returning(vm);
    if (vm.state === 'shutoff') return fleet.definition(vm);
    return (await fleet.connection(vm)).domainXml(vm.uuid, { migratable: true });
  }
}

/** Asked before anything starts; the host asks itself once more when the move does. */
async function refusalOf(
  host: KnownHost,
  vm: Vm,
  { virtType, disks, interfaces }: DomainDescription,
): Promise<HomewardError | undefined> {
  try {
    await host.link.call('visit.admit', {
      visit: randomBytes(16).toString('hex'),
      vm: vm.uuid,
      vmName: vm.name,
      vcpus: vm.vcpus,
      memoryBytes: vm.memoryBytes,
      accel: virtType === 'kvm' ? 'kvm' : 'tcg',
      migrationFolder: `/tmp/homeward-${randomBytes(8).toString('hex')}`,
      disks: disks.filter(({ device }) => device === 'disk').map(({ target }) => target),
      nics: Math.min(8, interfaces.filter(({ type }) => type === 'client').length),
    });
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof HomewardError)) throw thrown;
    const { code, message, hint } = thrown;
    return new HomewardError(code, `${host.name}: ${message}`, { hint, cause: thrown });
  }
}

const unknownName = ({ name }: OwnName): string =>
  `This computer cannot resolve its own name (${name}), so libvirt may wait for it during the move, once with the VM stopped: name it in /etc/hosts ("homeward doctor" shows how).`;
