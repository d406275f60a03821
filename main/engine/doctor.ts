import { statfs } from 'node:fs/promises';
import type { Benchmark, Host, HostFacts } from '../../shared/model/host.ts';
import type { Finding } from '../../shared/rpc.ts';
import { formatSteps } from '../../shared/view/index.ts';
import { sentencesOf } from '../migrate/index.ts';
import type { Monitor } from '../monitor/index.ts';
import { findCommand } from '../process/index.ts';
import type { AdoptionStore } from './adoption-store.ts';
import { agentFindings } from './agent-findings.ts';
import { diskFindings } from './disk-findings.ts';
import type { DiskKeeper } from './disk-keeper.ts';
import type { Fleet } from './fleet.ts';
import type { HomeServices } from './home-services.ts';
import type { Hosts } from './hosts.ts';
import type { OwnName } from './own-name.ts';
import { placeFindings } from './place-findings.ts';

export interface DoctorOptions {
  readonly fleet: Pick<Fleet, 'list'>;
  readonly hosts: Pick<Hosts, 'list'>;
  readonly monitor: Pick<Monitor, 'agentTrouble'>;
  readonly adoptions: Pick<AdoptionStore, 'get'>;
  readonly services: Pick<HomeServices, 'refresh'>;
  readonly disks: Pick<DiskKeeper, 'story'>;
  readonly homeFacts: () => Promise<HostFacts>;
  readonly ownName: () => Promise<OwnName>;
  /** Whether VMs of other computers may run here. */
  readonly isHost: () => boolean;
  /** Of lid, battery and network. */
  readonly power: () => Promise<readonly Finding[]>;
  readonly stateFolder: string;
  /** This Homeward's own. */
  readonly version: string;
  /** Where programs are looked for; usually the engine's own PATH. */
  readonly searchPath?: string | undefined;
  /** What other rooms noticed: damaged files, connections that are missing, faults since the start. */
  readonly noticed: () => readonly Finding[];
}

interface Tool {
  readonly command: string;
  readonly package: string;
  readonly use: string;
  /** Missed only where VMs of other computers run here. */
  readonly host?: true;
}

const tools: readonly Tool[] = [
  { command: 'qemu-storage-daemon', package: 'qemu-system-common', use: 'serve a VM’s disk from home' },
  { command: 'passt', package: 'passt', use: 'keep a VM’s connections while it is away' },
  { command: 'qemu-system-x86_64', package: 'qemu-system-x86', use: 'run VMs' },
  { command: 'setfacl', package: 'acl', use: 'let the QEMU of qemu:///system reach a VM’s disk' },
  { command: 'libvirtd', package: 'libvirt-daemon', use: 'let VMs visit this computer (host role)', host: true },
  { command: 'bwrap', package: 'bubblewrap', use: 'lock visiting VMs in (host role)', host: true },
  { command: 'nbdkit', package: 'nbdkit', use: 'cache a visiting VM’s disk (host role)', host: true },
  { command: 'socat', package: 'socat', use: 'connect a visiting VM’s network (host role)', host: true },
];

const leastFreeBytes = 256 * 1024 * 1024;

/** Looks at everything a move depends on and says what to do about what is missing. */
export class Doctor {
  readonly #options: DoctorOptions;

  constructor(options: DoctorOptions) {
    this.#options = options;
  }

  async run(): Promise<Finding[]> {
    const found = await Promise.all(
      Object.entries(this.#checks()).map(async ([name, check]) => {
        try {
          return await check();
        } catch (thrown) {
          return [couldNotLook(name, thrown)];
        }
      }),
    );
    return [...this.#options.noticed(), ...found.flat()];
  }

  /** By what each looks at, so that one that fails says so and the others are heard. */
  #checks(): Readonly<Record<string, () => Promise<Finding[]>>> {
    return {
      'the programs it needs': () => this.#tools(),
      "this computer's name": () => this.#ownName(),
      'this computer and its libvirt': () => this.#machine(),
      'lid, battery and network': async () => [...(await this.#options.power())],
      'room on the disk': () => this.#space(),
      'the VMs': () => this.#vms(),
      'the hosts': async () => this.#hosts(),
    };
  }

  async #tools(): Promise<Finding[]> {
    const findings = await Promise.all(
      tools.map(async ({ command, package: name, use, host = false }): Promise<Finding> => {
        const path = await findCommand(command, this.#options.searchPath).catch(() => undefined);
        return path === undefined
          ? {
              id: `tool-${command}`,
              severity: host && !this.#options.isHost() ? 'note' : 'problem',
              title: `${command} is missing`,
              detail: `It is needed to ${use}.`,
              remedy: 'Install it, or run the set-up, which installs all that is missing.',
              command: `sudo apt-get install ${name}`,
            }
          : { id: `tool-${command}`, severity: 'ok', title: `${command} is there`, detail: `It is ${path}.` };
      }),
    );
    return findings;
  }

  async #ownName(): Promise<Finding[]> {
    const { name, known } = await this.#options.ownName();
    if (known)
      return [{ id: 'own-name', severity: 'ok', title: 'This computer knows its own name', detail: `It is ${name}.` }];
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

  async #machine(): Promise<Finding[]> {
    const facts = await this.#options.homeFacts();
    return [...accelFindings(facts), ...postcopyFindings(facts)];
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
    const { fleet, adoptions, services, disks, hosts, monitor } = this.#options;
    const findings: Finding[] = [];
    for (const vm of fleet.list()) {
      findings.push(...agentFindings(vm, monitor.agentTrouble(vm.uuid)));
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
        (thrown: unknown) => sentencesOf(thrown),
      );
      findings.push(...diskFindings(vm, disks.story(vm.uuid), trouble, Date.now()));
      findings.push(...placeFindings(vm, hosts.list(), Date.now()));
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
    return hosts.filter(({ paired }) => paired).flatMap((host) => this.#host(host));
  }

  #host({ fingerprint, name, reachable, obstacle, facts, benchmark }: Host): Finding[] {
    const id = fingerprint ?? name;
    if (!reachable) {
      return [
        {
          id: `host-${id}`,
          severity: 'note',
          title: `${name} does not answer`,
          detail: `It is paired, but the link to it is down. ${obstacle ?? ''}`.trim(),
          remedy:
            'Is it switched on, on the same network, and is `homeward host` running there? Where it says that it does not know this laptop, pair the two again.',
        },
      ];
    }
    if (facts === undefined) return [];
    const findings: Finding[] = [];
    if (facts.homewardVersion !== this.#options.version) {
      findings.push({
        id: `version-${id}`,
        severity: 'note',
        title: `${name} runs another Homeward`,
        detail: `Version ${facts.homewardVersion} there, ${this.#options.version} here.`,
        remedy: 'They work together as long as they understand each other; better install the same on both.',
      });
    }
    if (!facts.postcopy) {
      findings.push({
        id: `postcopy-${id}`,
        severity: 'note',
        title: `Post-copy is not possible on ${name}`,
        detail: facts.postcopyObstacle ?? 'userfaultfd is not available there.',
        remedy: 'A VM that writes a lot may take long to move out. Run this there:',
        command: 'sudo sysctl vm.unprivileged_userfaultfd=1',
      });
    }
    return [...findings, ...speedFindings(id, name, benchmark)];
  }
}

function speedFindings(id: string, name: string, { claimedOpsPerSec, shownOpsPerSec }: Benchmark = {}): Finding[] {
  if (claimedOpsPerSec === undefined) return [];
  if (shownOpsPerSec === undefined) {
    return [
      {
        id: `speed-${id}`,
        severity: 'note',
        title: `${name} does not show how fast it is`,
        detail: `One core of it does ${formatSteps(claimedOpsPerSec)} by its own account, and it has refused to show that. Moves are decided by the clock rates of both computers until it does.`,
        remedy:
          'If it was busy, nothing has to be done: it is asked again by itself. Otherwise install the same Homeward there.',
      },
    ];
  }
  return [
    {
      id: `speed-${id}`,
      severity: 'note',
      title: `${name} is slower than it says`,
      detail: `One core of it does ${formatSteps(claimedOpsPerSec)} by its own account, and ${formatSteps(shownOpsPerSec)} by the clock here. Moves are decided by what it has shown.`,
      remedy:
        'If it was hot or at work when it was looked at, nothing has to be done: it is looked at again each day. Otherwise install the same Homeward there.',
    },
  ];
}

function couldNotLook(what: string, thrown: unknown): Finding {
  return {
    id: `unseen-${what.replaceAll(/\W+/g, '-')}`,
    severity: 'problem',
    title: `Homeward could not look at ${what}`,
    detail: sentencesOf(thrown),
    remedy: 'Mend this first, then run the doctor again.',
  };
}

function accelFindings({ accels }: HostFacts): Finding[] {
  if (accels.includes('kvm')) return [];
  return [
    {
      id: 'kvm',
      severity: 'note',
      title: 'KVM does not work on this computer',
      detail: 'Its VMs are emulated, which is many times slower; they can move to other computers all the same.',
      remedy: 'Turn virtualisation on in the firmware, and join the group kvm.',
      command: 'sudo usermod -aG kvm "$USER"',
    },
  ];
}

function postcopyFindings({ postcopy, postcopyObstacle }: HostFacts): Finding[] {
  if (postcopy) {
    return [
      {
        id: 'postcopy',
        severity: 'ok',
        title: 'Post-copy works',
        detail: 'VMs that write a lot can come home fast.',
      },
    ];
  }
  return [
    {
      id: 'postcopy',
      severity: 'problem',
      title: 'Post-copy is not possible',
      detail: postcopyObstacle ?? 'userfaultfd is not available.',
      remedy: 'Without it a VM that writes its memory faster than the network carries cannot come home while it runs.',
      command: 'sudo sysctl vm.unprivileged_userfaultfd=1',
    },
  ];
}
