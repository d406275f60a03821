import { lookup } from 'node:dns/promises';
import { readFile, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { HostFacts } from '../../shared/model/host.ts';
import type { Finding } from '../../shared/rpc.ts';
import { findCommand } from '../process/index.ts';
import type { AdoptionStore } from './adoption-store.ts';
import type { Fleet } from './fleet.ts';
import type { HomeServices } from './home-services.ts';
import type { Hosts } from './hosts.ts';

export interface DoctorOptions {
  readonly fleet: Fleet;
  readonly hosts: Hosts;
  readonly adoptions: AdoptionStore;
  readonly services: HomeServices;
  readonly homeFacts: () => Promise<HostFacts>;
  readonly stateFolder: string;
  /** What other rooms noticed: damaged files, connections that are missing, faults since the start. */
  readonly noticed: () => readonly Finding[];
}

/** Programs by what they are for; `for` says which role misses them. */
const tools: readonly { readonly command: string; readonly package: string; readonly use: string }[] = [
  { command: 'qemu-storage-daemon', package: 'qemu-system-common', use: 'serve a VM’s disk from home' },
  { command: 'passt', package: 'passt', use: 'keep a VM’s connections while it is away' },
  { command: 'qemu-system-x86_64', package: 'qemu-system-x86', use: 'run VMs' },
  { command: 'libvirtd', package: 'libvirt-daemon', use: 'let VMs visit this computer' },
  { command: 'bwrap', package: 'bubblewrap', use: 'lock visiting VMs in (host role)' },
  { command: 'nbdkit', package: 'nbdkit', use: 'cache a visiting VM’s disk (host role)' },
  { command: 'socat', package: 'socat', use: 'connect a visiting VM’s network (host role)' },
];

const resolveDeadlineMs = 2_000;
const leastFreeBytes = 256 * 1024 * 1024;

/** Looks at everything a move depends on and says what to do about what is missing. */
export class Doctor {
  readonly #options: DoctorOptions;

  constructor(options: DoctorOptions) {
    this.#options = options;
  }

  async run(): Promise<Finding[]> {
    const found = await Promise.all([
      this.#tools(),
      ownName(),
      this.#postcopy(),
      this.#space(),
      this.#vms(),
      Promise.resolve(this.#hosts()),
    ]);
    return [...this.#options.noticed(), ...found.flat()];
  }

  async #tools(): Promise<Finding[]> {
    const findings = await Promise.all(
      tools.map(async ({ command, package: name, use }): Promise<Finding> => {
        const path = await findCommand(command).catch(() => undefined);
        return path === undefined
          ? {
              id: `tool-${command}`,
              severity: 'problem',
              title: `${command} is missing`,
              detail: `It is needed to ${use}.`,
              remedy: 'Install it, or run the set-up, which installs all that is missing.',
              command: `sudo apt-get install ${name}`,
            }
          : { id: `tool-${command}`, severity: 'ok', title: `${command} is there`, detail: path };
      }),
    );
    return findings;
  }

  async #postcopy(): Promise<Finding[]> {
    const facts = await this.#options.homeFacts();
    if (facts.postcopy)
      return [
        {
          id: 'postcopy',
          severity: 'ok',
          title: 'Post-copy works',
          detail: 'VMs that write a lot can come home fast.',
        },
      ];
    return [
      {
        id: 'postcopy',
        severity: 'problem',
        title: 'Post-copy is not possible',
        detail: facts.postcopyObstacle ?? 'userfaultfd is not available.',
        remedy:
          'Without it a VM that writes its memory faster than the network carries cannot come home while it runs.',
        command: 'sudo sysctl vm.unprivileged_userfaultfd=1',
      },
    ];
  }

  async #space(): Promise<Finding[]> {
    const { bavail, bsize } = await statfs(this.#options.stateFolder);
    if (bavail * bsize >= leastFreeBytes) return [];
    return [
      {
        id: 'disk-full',
        severity: 'problem',
        title: 'The disk is almost full',
        detail: `${Math.floor((bavail * bsize) / 1024 / 1024)} MiB are free where Homeward keeps its journal; without room no move can begin.`,
        remedy: 'Free some space.',
      },
    ];
  }

  async #vms(): Promise<Finding[]> {
    const { fleet, adoptions, services, hosts } = this.#options;
    const findings: Finding[] = [];
    for (const vm of fleet.list()) {
      const adoption = adoptions.get(vm.uuid);
      if (adoption === undefined) {
        findings.push({
          id: `vm-${vm.uuid}`,
          severity: 'note',
          title: `${vm.name} is not ready to move`,
          detail: 'Its disk is not served from home yet.',
          remedy: 'Shut it down and make it ready.',
          command: `homeward adopt ${vm.name} --apply`,
        });
        continue;
      }
      const trouble = await services.refresh(adoption).then(
        () => undefined,
        (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown)),
      );
      if (trouble !== undefined) {
        findings.push({
          id: `disk-${vm.uuid}`,
          severity: 'problem',
          title: `The disk of ${vm.name} is not served`,
          detail: trouble,
        });
      }
      if (vm.place.kind === 'away') {
        const { host, hostName } = vm.place;
        const reachable = hosts.list().some(({ fingerprint, reachable: up }) => fingerprint === host && up);
        findings.push({
          id: `away-${vm.uuid}`,
          severity: reachable ? 'ok' : 'problem',
          title: reachable ? `${vm.name} is away on ${hostName}` : `${vm.name} is away and ${hostName} does not answer`,
          detail: reachable
            ? 'The link is up.'
            : 'Its disk and network stall until the link is back; nothing is lost by waiting.',
        });
      }
    }
    return findings;
  }

  #hosts(): Finding[] {
    const hosts = this.#options.hosts.list();
    if (hosts.length === 0) {
      return [
        {
          id: 'hosts',
          severity: 'note',
          title: 'No host was found',
          detail: 'No workstation announces itself on this network.',
          remedy: 'On the workstation run `homeward host`. Where a network blocks mDNS, add its address by hand.',
          command: 'homeward hosts add ADDRESS:PORT',
        },
      ];
    }
    return hosts
      .filter(({ paired, reachable }) => paired && !reachable)
      .map((host) => ({
        id: `host-${host.fingerprint ?? host.name}`,
        severity: 'note',
        title: `${host.name} does not answer`,
        detail: 'It is paired, but the link to it is down.',
        remedy: 'Is it switched on, on the same network, and is `homeward host` running there?',
      }));
  }
}

/**
 * libvirt resolves this machine's own name at several steps of a move; where the resolver hangs, each one waits
 * for it, the last one with the guest stopped.
 */
async function ownName(): Promise<Finding[]> {
  const name = hostname();
  const resolved = await Promise.race([
    lookup(name).then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), resolveDeadlineMs).unref()),
  ]);
  const inHosts = (await readFile('/etc/hosts', 'utf8').catch(() => ''))
    .split('\n')
    .some((line) => line.split('#')[0]?.split(/\s+/).slice(1).includes(name));
  if (resolved || inHosts)
    return [{ id: 'own-name', severity: 'ok', title: 'This computer knows its own name', detail: name }];
  return [
    {
      id: 'own-name',
      severity: 'problem',
      title: 'This computer cannot resolve its own name',
      detail: `libvirt asks for "${name}" several times during a move and each time waits for the answer, once with the VM stopped.`,
      remedy: 'Name it in /etc/hosts (or install libnss-myhostname).',
      command: `echo "127.0.1.1 ${name}" | sudo tee -a /etc/hosts`,
    },
  ];
}
