import { HomewardError } from '../../shared/errors.ts';
import { cancelledByUser } from '../../shared/machine/move-machine.ts';
import { changedDeparture } from '../../shared/model/signal.ts';
import type { Vm } from '../../shared/model/vm.ts';
import type { Pairing, Status } from '../../shared/rpc.ts';
import {
  arrived,
  awayPlace,
  copying,
  definition,
  findings,
  hostFingerprint,
  hostSettings,
  laptopPeer,
  log,
  plan,
} from './samples.ts';
import { ScriptedShell } from './scripted-shell.ts';

export const pairing: Pairing = {
  id: 'c'.repeat(32),
  role: 'laptop',
  peerName: 'tower',
  fingerprint: hostFingerprint,
  code: '481516',
};

/** A shell whose script behaves as an engine with one VM would: what is asked for happens, and status tells of it. */
export function livelyShell(status: Status): ScriptedShell {
  const shell = new ScriptedShell(status);
  let limits = hostSettings;
  let pending: Pairing[] = [];

  const change = (key: string, over: Partial<Vm>): Vm => {
    const vms = shell.status.vms.map((vm) => (vm.uuid === key ? { ...vm, ...over } : vm));
    shell.tellStatus({ vms });
    const vm = vms.find(({ uuid }) => uuid === key);
    if (vm === undefined) throw new HomewardError('unknown-vm', 'There is no such VM.');
    return vm;
  };

  shell.script = {
    'shell.facts': () => ({ kind: 'web', tray: true, startAtLogin: false }),
    'shell.setStartAtLogin': ({ on }) => ({ kind: 'web', tray: true, startAtLogin: on }),
    'shell.startEngine': () => {
      shell.setEngine('up');
      return {};
    },
    'shell.quit': () => ({}),
    'vm.setLevel': ({ vm, level }) => change(vm, { level }),
    'vm.adoptPreview': () => definition,
    'vm.adopt': ({ vm }) => change(vm, { adopted: true }),
    'vm.release': ({ vm }) => change(vm, { adopted: false }),
    'hosts.add': ({ address, port }) => {
      const added = {
        name: address,
        addresses: [{ address, port }],
        found: 'manual',
        paired: false,
        reachable: false,
      } as const;
      shell.tellStatus({ hosts: [...shell.status.hosts, { ...added, addresses: [...added.addresses] }] });
      return { ...added, addresses: [...added.addresses] };
    },
    'hosts.forget': () => ({}),
    'host.benchmark': () => ({
      cpuSingleOpsPerSec: 1_900_000,
      memcpyBytesPerSec: 9_000_000_000,
      diskWriteBytesPerSec: 700_000_000,
      takenAt: '2026-11-20T10:00:00.000Z',
    }),
    'host.settings': () => ({ ...limits, enabled: shell.status.host.enabled }),
    'host.configure': (next) => {
      limits = {
        enabled: next.enabled ?? limits.enabled,
        port: next.port ?? limits.port,
        maxVisitors: next.maxVisitors ?? limits.maxVisitors,
        maxMemoryBytes: next.maxMemoryBytes ?? limits.maxMemoryBytes,
        maxVcpus: next.maxVcpus ?? limits.maxVcpus,
        leaseHours: next.leaseHours ?? limits.leaseHours,
      };
      shell.tellStatus({ host: { ...shell.status.host, enabled: limits.enabled, port: limits.port } });
      return limits;
    },
    'visit.sendHome': () => {
      shell.tellStatus({ host: { ...shell.status.host, visitors: [] } });
      return {};
    },
    'peers.list': () => [laptopPeer],
    'peers.revoke': () => ({}),
    'pair.pending': () => pending,
    'pair.start': () => {
      pending = [pairing];
      shell.tellPairing(pairing);
      return pairing;
    },
    'pair.answer': ({ accept }) => {
      pending = [];
      if (accept) shell.tellStatus({ hosts: shell.status.hosts.map((host) => ({ ...host, paired: true })) });
      return { paired: accept };
    },
    'move.plan': () => plan(),
    'move.offload': ({ vm }) => {
      const move = copying({ vm });
      shell.tellStatus({ moves: [move], suggestions: [] });
      return move;
    },
    'move.home': ({ vm }) => {
      const move = copying({ vm, direction: 'home', id: '1'.repeat(32), reason: 'you asked' });
      shell.tellStatus({ moves: [move] });
      return move;
    },
    'home.want': ({ vm }) =>
      change(vm, { homeWanted: { reason: 'You asked for it.', since: '2026-11-20T10:00:00.000Z' } }),
    'home.unwant': ({ vm }) => change(vm, { homeWanted: undefined }),
    'vm.restartHere': ({ vm }) => change(vm, { place: { kind: 'home' }, state: 'running' }),
    'move.cancel': ({ vm }) => {
      const move = arrived({ vm, phase: 'failed', failure: cancelledByUser });
      shell.tellStatus({ moves: [] });
      shell.tellMove(move);
      return move;
    },
    'move.finishNow': ({ vm }) => {
      const move = copying({ vm, mode: 'postcopy', phase: 'postcopy', cancellable: false });
      shell.tellStatus({ moves: [move] });
      return move;
    },
    'suggestion.dismiss': () => {
      shell.tellStatus({ suggestions: [] });
      return {};
    },
    'log.list': () => log(25),
    'doctor.run': () => [...findings],
    'preferences.change': (next) => {
      const before = shell.status.preferences;
      const preferences = {
        name: next.name ?? before.name,
        cooldownS: next.cooldownS ?? before.cooldownS,
        balloon: next.balloon ?? before.balloon,
        notify: {
          suggestions: next.notify?.suggestions ?? before.notify.suggestions,
          moves: next.notify?.moves ?? before.notify.moves,
          trouble: next.notify?.trouble ?? before.notify.trouble,
          pairing: next.notify?.pairing ?? before.notify.pairing,
        },
        departure: changedDeparture(before.departure, next.departure ?? {}),
        leaving: next.leaving ?? before.leaving,
        closeToTray: next.closeToTray ?? before.closeToTray,
      };
      shell.tellStatus({ preferences });
      return preferences;
    },
  };
  return shell;
}

/** The move under way ends well, as the engine tells it. */
export function arrive(shell: ScriptedShell): void {
  const [move] = shell.status.moves;
  if (move === undefined) throw new Error('Nothing moves.');
  const place = move.direction === 'out' ? awayPlace : ({ kind: 'home' } as const);
  shell.tellStatus({ moves: [], vms: shell.status.vms.map((vm) => (vm.uuid === move.vm ? { ...vm, place } : vm)) });
  shell.tellMove(arrived({ id: move.id, direction: move.direction }));
}
