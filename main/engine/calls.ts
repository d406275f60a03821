import { formatAddress } from '../../shared/address.ts';
import type { Handlers } from '../../shared/endpoint.ts';
import { HomewardError } from '../../shared/errors.ts';
import type { Host } from '../../shared/model/host.ts';
import type { Calls, Status } from '../../shared/rpc.ts';
import { dialPairing } from '../link/index.ts';
import { inWords } from '../migrate/index.ts';
import type { Identity, PairingDesk, PeerStore } from '../trust/index.ts';
import type { Adopter } from './adoption.ts';
import type { Autopilot } from './autopilot.ts';
import type { Doctor } from './doctor.ts';
import type { Fleet } from './fleet.ts';
import type { HomeFacts } from './home-facts.ts';
import type { HomeWishes } from './home-wishes.ts';
import type { Hosting } from './hosting.ts';
import type { Hosts } from './hosts.ts';
import type { Journal } from './journal.ts';
import type { Lessons } from './lessons.ts';
import type { Moves } from './moves.ts';
import type { PauseAway } from './pause-away.ts';
import type { Planner } from './planner.ts';
import { changePreferences } from './preferences.ts';
import type { Restarts } from './restart-here.ts';
import type { SettingsStore } from './settings.ts';

export interface Rooms {
  readonly identity: Identity;
  readonly peers: PeerStore;
  readonly desk: PairingDesk;
  readonly fleet: Fleet;
  readonly hosts: Hosts;
  readonly hosting: Hosting;
  readonly moves: Moves;
  readonly wishes: HomeWishes;
  readonly restarts: Restarts;
  readonly autopilot: Autopilot;
  readonly pauseAway: PauseAway;
  readonly planner: Planner;
  readonly adopter: Adopter;
  readonly doctor: Doctor;
  readonly journal: Journal;
  readonly settings: SettingsStore;
  readonly homeFacts: HomeFacts;
  readonly lessons: Lessons;
  readonly status: () => Status;
  /** The status is other than before. */
  readonly onChange: () => void;
  readonly stop: () => void;
}

const byUser = { by: 'user', reason: 'You asked for it.' } as const;

/** What the engine answers its shells: each call handed to the room that knows. */
export function callsOn(rooms: Rooms): Handlers<Calls> {
  const { fleet, hosts, hosting, moves, peers, desk, adopter, planner } = rooms;
  const handlers: Handlers<Calls> = {
    'engine.status': () => rooms.status(),
    'engine.stop': () => {
      rooms.stop();
      return {};
    },
    'vms.list': () => fleet.list(),
    'vm.adoptPreview': ({ vm }) => adopter.preview(fleet.need(vm)),
    'vm.adopt': async ({ vm }) => {
      const found = fleet.need(vm);
      await moves.exclusively(found, () => adopter.adopt(found));
      rooms.onChange();
      return fleet.need(found.uuid);
    },
    'vm.release': async ({ vm }) => {
      const found = fleet.need(vm);
      await moves.exclusively(found, () => adopter.release(found));
      rooms.onChange();
      return fleet.need(found.uuid);
    },
    'vm.setLevel': async ({ vm, level }) => {
      const changed = await fleet.setLevel(fleet.need(vm), level);
      rooms.onChange();
      return changed;
    },
    'hosts.list': () => hosts.list(),
    'hosts.add': async (address) => {
      await rooms.settings.update((settings) => ({
        ...settings,
        manualHosts: [
          ...settings.manualHosts.filter((known) => known.address !== address.address || known.port !== address.port),
          address,
        ],
      }));
      hosts.syncPeers();
      return hosts.find(formatAddress(address));
    },
    'hosts.forget': async ({ host }) => {
      const { addresses } = hosts.find(host);
      await rooms.settings.update((settings) => ({
        ...settings,
        manualHosts: settings.manualHosts.filter(
          (known) => !addresses.some(({ address, port }) => address === known.address && port === known.port),
        ),
      }));
      hosts.syncPeers();
      return {};
    },
    'pair.start': ({ host }) => beginPairing(rooms, hosts.find(host)),
    'pair.pending': () => [...desk.pending()],
    'pair.answer': async ({ id, accept }) => {
      const answer = await desk.answer(id, accept);
      hosts.syncPeers();
      return answer;
    },
    'peers.list': () => [...peers.list()],
    'peers.rename': async ({ fingerprint, name }) => {
      const renamed = await peers.rename(peerOf(peers, fingerprint), name);
      hosts.syncPeers();
      return renamed;
    },
    'peers.revoke': async ({ fingerprint }) => {
      const found = peerOf(peers, fingerprint);
      const moving = moves.underWay().find(({ host }) => host === found);
      if (moving !== undefined) {
        throw new HomewardError(
          'vm-busy',
          `${moving.vmName} is being moved ${moving.direction === 'out' ? 'there' : 'home from there'}.`,
          {
            hint: 'Let it finish first; see: homeward status',
          },
        );
      }
      const away = fleet.list().find(({ place }) => place.kind === 'away' && place.host === found);
      if (away !== undefined) {
        throw new HomewardError('vm-away', `${away.name} is away there.`, {
          hint: `Bring it home first: homeward home ${away.name}`,
        });
      }
      await peers.revoke(found);
      hosts.syncPeers();
      return {};
    },
    'move.plan': async ({ vm, direction, host, deadlineMs }) => {
      const found = fleet.need(vm);
      const key = direction === 'home' && found.place.kind === 'away' ? found.place.host : host;
      return (await planner.plan(found, direction, hosts.usable(key), deadlineMs)).plan;
    },
    'move.offload': ({ vm, host }) => moves.offload(fleet.need(vm), host, byUser),
    'move.home': ({ vm, deadlineMs }) => rooms.pauseAway.bringHome(fleet.need(vm), { ...byUser, deadlineMs }),
    'home.want': async ({ vm }) => {
      const found = fleet.need(vm);
      await rooms.wishes.wantHome(found, byUser.reason, byUser.by);
      return fleet.need(found.uuid);
    },
    'home.unwant': async ({ vm }) => {
      const found = fleet.need(vm);
      await rooms.wishes.withdraw(found);
      return fleet.need(found.uuid);
    },
    'vm.restartHere': ({ vm, start }) => rooms.restarts.restart(fleet.need(vm), start),
    'move.wait': ({ id }) => moves.wait(id),
    'move.cancel': ({ vm }) => moves.cancel(fleet.need(vm)),
    'move.finishNow': ({ vm }) => moves.finishNow(fleet.need(vm)),
    'suggestion.dismiss': ({ vm, forEver }) => {
      rooms.autopilot.dismiss(fleet.need(vm), forEver);
      rooms.onChange();
      return {};
    },
    'policy.forget': async ({ vm }) => {
      await rooms.lessons.forget(vm === undefined ? undefined : fleet.need(vm).uuid);
      return {};
    },
    'log.list': ({ limit }) => rooms.journal.history(limit),
    'doctor.run': () => rooms.doctor.run(),
    'host.facts': () => rooms.homeFacts.read(),
    'host.benchmark': ({ host }) => hosts.measure(hosts.usable(host)),
    'host.settings': () => hosting.settings,
    'host.configure': (change) => hosting.configure(change),
    'visit.sendHome': ({ visit }) => {
      hosting.sendHome(visit);
      return {};
    },
    'preferences.change': (change) => changePreferences(rooms, change),
  };
  return inWordsAll(handlers);
}

async function beginPairing({ identity, desk }: Rooms, host: Host) {
  // One that lost its list of pairings may have a VM of ours, for which this pairing has to stay until the new one replaces it.
  if (host.paired && host.mayPairAnew !== true) {
    throw new HomewardError('bad-input', `${host.name} is already paired with this computer.`, {
      hint: 'To pair anew, revoke it first: homeward peers revoke',
    });
  }
  const { connection, fingerprint } = await dialFirst(identity, host);
  if (host.fingerprint !== undefined && host.fingerprint !== fingerprint) {
    connection.destroy();
    throw new HomewardError('pairing-failed', `Another machine than ${host.name} answers at its address.`, {
      hint: 'Somebody on this network may be in the way. Try again on a network you trust.',
    });
  }
  return desk.begin(connection, fingerprint);
}

/** @throws HomewardError the last address's reason */
async function dialFirst(identity: Identity, host: Host): ReturnType<typeof dialPairing> {
  let reason: unknown = new HomewardError('host-unreachable', `No address of ${host.name} is known.`);
  for (const address of host.addresses) {
    try {
      return await dialPairing(identity, address);
    } catch (thrown) {
      reason = thrown;
    }
  }
  throw reason;
}

/** By fingerprint, a unique start of one, or name. @throws HomewardError `not-paired`, `bad-input` */
function peerOf(peers: PeerStore, key: string): string {
  const matches = new Set(
    peers
      .list()
      .filter(({ fingerprint, name }) => name === key || (key.length >= 4 && fingerprint.startsWith(key.toLowerCase())))
      .map(({ fingerprint }) => fingerprint),
  );
  const [only] = matches;
  if (only === undefined) {
    throw new HomewardError('not-paired', `No paired machine answers to "${key}".`, {
      hint: 'See them with: homeward peers',
    });
  }
  if (matches.size > 1) {
    throw new HomewardError('bad-input', `More than one paired machine answers to "${key}".`, {
      hint: 'Use more of its fingerprint.',
    });
  }
  return only;
}

/** libvirt's errors leave the engine as ours. */
function inWordsAll(handlers: Handlers<Calls>): Handlers<Calls> {
  const wrapped = Object.entries(handlers).map(([name, handler]) => [
    name,
    async (params: never): Promise<unknown> => {
      try {
        return await handler(params);
      } catch (thrown) {
        throw inWords(thrown);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as Handlers<Calls>;
}
