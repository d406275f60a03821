/** What can go wrong, how to make it so, and how it is mended again. */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BedHost, guestProcesses, stateFolder } from '../../testbed/index.ts';
import { type Moment, moments } from './moments.ts';
import { linkMbit, type Rig, visitsFolder } from './rig.ts';

export interface Fault {
  readonly moments: readonly Moment[];
  /** @throws NothingThere where it finds nothing to strike */
  readonly inject: (rig: Rig) => void | Promise<void>;
  readonly heal: (rig: Rig) => void | Promise<void>;
  /** How long it goes on before it is mended; `for-good` until what is left of the VM has come to rest. */
  readonly lastsMs: number | 'for-good';
  /** What takes long to make ready, before the VM is brought to the moment. */
  readonly before?: (rig: Rig) => Promise<void>;
  /** The move is begun by the command, at a terminal. */
  readonly atTerminal?: true;
  /** The guest begins anew, and so do the numbers of its beats. */
  readonly rebootsGuest?: true;
}

/** A case that cannot be played: e.g. the process to be killed has gone. */
export class NothingThere extends Error {}

const atOnceMs = 500;
const sleepMs = 20_000;
const resolver = 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n';
/** On the bed's network and nobody's. */
const blackHole = 'nameserver 10.77.0.250\n';

const nothing = (): void => undefined;
const beforeArrival = (moment: Moment) => !/\/(post-copy|settle)$/.test(moment);

export const faults = {
  'engine-home-killed': {
    moments,
    inject: ({ scene }) => scene.laptop.kill(),
    heal: ({ scene }) => scene.restartLaptop(),
    lastsMs: atOnceMs,
  },
  'engine-host-killed': {
    moments,
    inject: ({ scene }) => scene.workstation.kill(),
    heal: ({ scene }) => scene.restartWorkstation(),
    lastsMs: atOnceMs,
  },
  'libvirtd-home-killed': {
    moments,
    inject: ({ scene }) => scene.libvirtd.kill(),
    heal: ({ scene }) => scene.libvirtd.restart(),
    lastsMs: atOnceMs,
  },
  // The visit's own supervisor starts it again.
  'libvirtd-host-killed': {
    moments: moments.filter((moment) => moment !== 'out/prepare'),
    inject: ({ scene }) => strike('SIGKILL', named(scene.bed.workstation, 'libvirtd')),
    heal: nothing,
    lastsMs: atOnceMs,
  },
  'qemu-home-killed': {
    moments: moments.filter((moment) => moment !== 'idle-away' && moment !== 'home/prepare' && moment !== 'out/settle'),
    inject: (rig) => strike('SIGKILL', qemusOn(rig, rig.scene.bed.laptop)),
    heal: nothing,
    lastsMs: atOnceMs,
  },
  'qemu-host-killed': {
    moments: moments.filter((moment) => moment !== 'out/prepare' && moment !== 'home/settle'),
    inject: (rig) => strike('SIGKILL', qemusOn(rig, rig.scene.bed.workstation)),
    heal: nothing,
    lastsMs: atOnceMs,
  },
  // What carries the migration at home, and has outlived its engines.
  'migration-killed': {
    moments: moments.filter((moment) => /\/(pre-copy|post-copy|switchover)$/.test(moment)),
    inject: ({ scene }) => strike('SIGKILL', running(scene.bed.laptop, /[/-]migration-main\.[jt]s$/)),
    heal: nothing,
    lastsMs: atOnceMs,
  },
  'storage-daemon-killed': {
    moments,
    inject: ({ scene }) => strike('SIGKILL', named(scene.bed.laptop, 'qemu-storage-daemon')),
    heal: nothing,
    lastsMs: atOnceMs,
  },
  'nbdkit-killed': {
    moments: moments.filter((moment) => moment !== 'out/prepare'),
    inject: ({ scene }) => strike('SIGKILL', named(scene.bed.workstation, 'nbdkit')),
    heal: nothing,
    lastsMs: atOnceMs,
  },
  'link-cut-3s': { ...linkCut(), lastsMs: 3_000 },
  'link-cut-30s': { ...linkCut(), lastsMs: 30_000 },
  'link-cut-for-good': { ...linkCut(), lastsMs: 'for-good' },
  'link-1-mbit': {
    moments,
    inject: ({ scene }) => scene.bed.setRate(1),
    heal: ({ scene }) => scene.bed.setRate(linkMbit),
    lastsMs: 15_000,
  },
  // As when its battery is empty; what it held alone of the VM is lost, and what the host holds comes home later.
  'home-off': {
    moments: moments.filter(
      (moment) => moment === 'idle-away' || moment === 'out/settle' || /^home\/(?!settle)/.test(moment),
    ),
    inject: async ({ scene: { bed, laptop, libvirtd } }) => {
      strike(
        'SIGKILL',
        bed.laptop.processes().filter(({ pid }) => pid !== bed.laptop.initPid),
      );
      laptop.client.close();
      await libvirtd.kill();
    },
    heal: async ({ scene }) => {
      await scene.libvirtd.restart();
      await scene.restartLaptop();
    },
    lastsMs: 5_000,
  },
  'host-off': {
    moments,
    inject: async ({ scene }) => {
      await scene.bed.workstation.powerOff();
      scene.workstation.client.close();
    },
    heal: (rig) => rig.powerUpWorkstation(),
    lastsMs: 'for-good',
  },
  'disk-full-home': { moments, ...fullDisk('laptop', stateFolder) },
  'disk-full-host': { moments, ...fullDisk('workstation', visitsFolder) },
  'engine-home-stopped': stopped(({ scene }) => [scene.laptop.process]),
  'engine-host-stopped': stopped(({ scene }) => [scene.workstation.process]),
  // Every process stands still, as in suspend: VM, libvirt, disk and engine.
  'home-asleep': stopped(({ scene }) => scene.bed.laptop.processes()),
  'host-asleep': stopped(({ scene }) => scene.bed.workstation.processes()),
  'clock-home-jumps': clockJump('laptop'),
  'clock-host-jumps': clockJump('workstation'),
  'dns-black-hole': {
    moments,
    inject: (rig) => rig.setResolver(blackHole),
    heal: (rig) => rig.setResolver(resolver),
    lastsMs: 8_000,
  },
  'guest-shut-down': {
    moments: moments.filter((moment) => moment === 'idle-away' || beforeArrival(moment)),
    // A guest that waits for its pages hears it late.
    inject: ({ scene }) => tell(scene.observer.command('end off', 10_000)),
    heal: nothing,
    lastsMs: atOnceMs,
  },
  'guest-rebooted': {
    moments,
    inject: ({ scene }) => tell(scene.observer.command('end reboot', 3_000)),
    heal: nothing,
    lastsMs: 5_000,
    rebootsGuest: true,
  },
  'guest-crashed': {
    moments,
    inject: ({ scene }) => tell(scene.observer.command('end crash', 3_000)),
    heal: nothing,
    lastsMs: 5_000,
    rebootsGuest: true,
  },
  'guest-takes-all-memory': {
    moments,
    // All but some 16 MiB: a guest that runs out of memory by itself panics and boots again, which would tell nothing.
    inject: ({ scene }) => tell(scene.observer.command('hold 84', 3_000)),
    heal: ({ scene }) => tell(scene.observer.command('hold 16', 20_000)),
    lastsMs: 5_000,
  },
  'newer-peer': { moments, ...peerOf('newer') },
  'older-peer': { moments, ...peerOf('older') },
  'second-laptop': {
    moments,
    before: async (rig) => {
      await (await rig.secondLaptop()).wake();
      await rig.scene.workstation.client.call('host.configure', { maxVisitors: 1 });
    },
    inject: async (rig) => (await rig.secondLaptop()).wantRoom(),
    heal: async (rig) => {
      await (await rig.secondLaptop()).goHome();
      await rig.scene.workstation.client.call('host.configure', { maxVisitors: 2 });
    },
    lastsMs: atOnceMs,
  },
  'ctrl-c': {
    moments: moments.filter((moment) => moment !== 'idle-away'),
    inject: ({ terminal }) => terminal?.kill('SIGINT'),
    heal: nothing,
    lastsMs: atOnceMs,
    atTerminal: true,
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;
export const faultNames = Object.keys(faults) as readonly FaultName[];

function linkCut(): Pick<Fault, 'moments' | 'inject' | 'heal'> {
  return { moments, inject: ({ scene }) => scene.bed.linkDown(), heal: ({ scene }) => scene.bed.linkUp() };
}

function stopped(processes: (rig: Rig) => readonly Process[]): Fault {
  let struck: readonly Process[] = [];
  return {
    moments,
    inject: (rig) => {
      struck = processes(rig);
      strike('SIGSTOP', struck);
    },
    heal: (rig) => {
      strike('SIGCONT', struck);
      rig.continueAll();
    },
    lastsMs: sleepMs,
  };
}

function peerOf(which: 'newer' | 'older'): Pick<Fault, 'inject' | 'heal' | 'lastsMs'> {
  return {
    inject: (rig) => rig.changeWorkstationsVersion(which),
    heal: (rig) => rig.changeWorkstationsVersion('same'),
    lastsMs: 8_000,
  };
}

function clockJump(host: 'laptop' | 'workstation'): Fault {
  const jump = ({ scene }: Rig): void => scene[host].process.kill('SIGUSR2');
  return { moments, inject: jump, heal: jump, lastsMs: 3_000 };
}

function fullDisk(
  name: 'laptop' | 'workstation',
  folderOf: (host: BedHost) => string,
): Pick<Fault, 'inject' | 'heal' | 'lastsMs'> {
  const filler = (host: BedHost): string => `${folderOf(host)}/filler`;
  return {
    inject: async ({ scene }) => {
      const host = scene.bed[name];
      await host.run('sh', ['-c', 'cat /dev/zero >"$0"', filler(host)]);
    },
    heal: async ({ scene }) => {
      const host = scene.bed[name];
      await host.run('rm', ['-f', filler(host)]);
    },
    lastsMs: 6_000,
  };
}

interface Process {
  readonly pid: number;
}

function named(host: BedHost, program: string): readonly Process[] {
  return host.processes().filter(({ args }) => basename(args[0] ?? '') === program);
}

function running(host: BedHost, script: RegExp): readonly Process[] {
  return host.processes().filter(({ args }) => args.some((arg) => script.test(arg)));
}

function qemusOn(rig: Rig, { name }: BedHost): readonly Process[] {
  const { bed, guest } = rig.scene;
  return guestProcesses(bed.hosts, guest.uuid).filter(({ host }) => host === name);
}

function strike(signal: NodeJS.Signals, processes: readonly Process[]): void {
  if (processes.length === 0) throw new NothingThere('There was no such process.');
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // Ended since it was listed.
    }
  }
}

/** A guest that stands still, as in a switch, is not waited for: it hears when it runs. */
async function tell(command: Promise<unknown>): Promise<void> {
  command.catch(() => undefined);
  await Promise.race([command.catch(() => undefined), sleep(atOnceMs)]);
}
