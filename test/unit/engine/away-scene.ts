import { onTestFinished } from 'vitest';
import type { Writer } from '../../../main/disk/index.ts';
import { HomeWishes } from '../../../main/engine/home-wishes.ts';
import type { KnownHost } from '../../../main/engine/hosts.ts';
import { type Journal, openJournal } from '../../../main/engine/journal.ts';
import { Moves } from '../../../main/engine/moves.ts';
import { Restarts } from '../../../main/engine/restart-here.ts';
import { VisitKeeper } from '../../../main/engine/visit-keeper.ts';
import type { Connection, DomainState } from '../../../main/libvirt/index.ts';
import type { LocalVm, VisitLink } from '../../../main/migrate/index.ts';
import { HomewardError } from '../../../shared/errors.ts';
import type { Move } from '../../../shared/model/move.ts';
import type { Vm } from '../../../shared/model/vm.ts';
import type { VisitInfo } from '../../../shared/wire.ts';
import { makeBed, until, visit, visitInfo } from '../link/bed.ts';
import { hostFingerprint, move, vm, vmUuid } from '../samples.ts';
import { tempFolder } from './temp-folder.ts';

export const away: Extract<Vm['place'], { kind: 'away' }> = {
  kind: 'away',
  host: hostFingerprint,
  hostName: 'tower',
  visit,
  since: '2026-11-20T10:00:00.000Z',
};

const record = { visit, migrationFolder: '/tmp/homeward-0123456789abcdef', homeXml: '<domain/>' };

const unused = (): never => {
  throw new Error('not in this test');
};

export interface Given {
  readonly place?: Vm['place'];
  /** Name of a step that does not work: `serve`, `revoke`, `allow`, `start`, `visit.end`. */
  readonly broken?: (step: string) => boolean;
  /** The host never answers to being told that a visit is over. */
  readonly silentEnd?: boolean;
  /** The host is not paired any more. */
  readonly unpaired?: boolean;
  /** The host cannot be reached. */
  readonly unreachable?: boolean;
  /** Who may write the disk, besides. */
  readonly writers?: () => readonly Writer[];
  /** Whether the domain at home is running. */
  readonly startedByItself?: boolean;
  readonly isMoving?: () => boolean;
  /** What the host's libvirt says of the VM. */
  readonly reason?: DomainState['reason'];
  /** How a wanted move home ends. */
  readonly moveEnds?: Partial<Move>;
}

export interface AwayScene {
  readonly moves: Moves;
  readonly keeper: VisitKeeper;
  readonly restarts: Restarts;
  readonly wishes: HomeWishes;
  readonly journal: Journal;
  readonly vm: () => Vm;
  /** What was done, in order. */
  readonly done: string[];
  /** Visits that count as forgotten. */
  readonly forgotten: Set<string>;
  /** The host tells that a visit has no VM any more. */
  readonly tell: () => void;
  /** As after a crash: everything but the journal is new. */
  readonly nextEngine: (changes?: Given) => AwayScene;
}

/** A VM that is away, by a real journal, at a real link's end where `visit.list` answers with `listed`, less what was ended. */
export async function awayScene(listed: () => readonly Partial<VisitInfo>[], given: Given = {}): Promise<AwayScene> {
  const bed = await makeBed();
  onTestFinished(() => bed.close());
  const done: string[] = [];
  const endedThere = new Set<string>();
  const scripted = await bed.listen({
    handlers: () => ({
      'host.facts': unused,
      'host.benchmark': unused,
      'host.hashChain': unused,
      'cpu.compare': unused,
      'cpu.model': unused,
      'visit.admit': unused,
      'visit.prepare': unused,
      'visit.listen': unused,
      'visit.list': () => ({
        visits: listed()
          .map((info) => ({ ...visitInfo, ...info }))
          .filter((info) => !endedThere.has(info.visit)),
      }),
      'visit.end': (asked) => {
        done.push(`visit.end ${asked.visit} ${asked.why}`);
        if (given.silentEnd === true) return new Promise(() => undefined);
        endedThere.add(asked.visit);
        return {};
      },
    }),
  });
  const port = given.unreachable === true ? 1 : scripted.port;
  const link = bed.link({ addresses: () => [{ address: '127.0.0.1', port }] });
  await until(() => link.state === (given.unreachable === true ? 'down' : 'up'));
  const journal = await openJournal(`${await tempFolder()}/journal.jsonl`);
  onTestFinished(() => journal.close());
  await journal.append({ kind: 'place', vm: vmUuid, place: given.place ?? away, data: record });
  return sceneOver(journal, { fingerprint: hostFingerprint, name: 'tower', link, stableMs: () => 0 }, done, given);
}

function sceneOver(journal: Journal, host: KnownHost, done: string[], given: Given): AwayScene {
  const step = (name: string, words = name): void => {
    if (given.broken?.(name) === true) throw new Error(`${name} does not work`);
    done.push(words);
  };
  const disk = {
    revoke: async (writer: string) => step('revoke', `revoke ${writer}`),
    allow: async (writer: string) => step('allow', `allow ${writer}`),
  };
  let running = given.startedByItself === true;
  const connection = {
    state: async () => ({ state: running ? 'running' : 'shutoff' }),
    start: async () => {
      step('start');
      running = true;
    },
  };
  const current = (): Vm => {
    const place = journal.place(vmUuid)?.place ?? { kind: 'home' };
    return vm({ place, state: running ? 'running' : 'shutoff' });
  };
  const fleet = {
    follow: (_vm: string, there: unknown) => void done.push(there === undefined ? 'watch at home' : 'watch away'),
    lookAgain: () => undefined,
    local: async () => {
      if (given.broken?.('serve') === true) throw new Error('serve does not work');
      return { uuid: vmUuid, name: 'work', uri: 'qemu:///session', disk, connection } as unknown as LocalVm;
    },
    need: current,
    needReady: unused,
    putBack: async () => undefined,
    settled: async () => current(),
  };
  let tell = (): void => undefined;
  const hosts = {
    need: () => {
      if (given.unpaired === true) throw new HomewardError('not-paired', 'Not paired any more.', { hint: 'Pair it.' });
      return host;
    },
    usable: () => host,
    linkTo: () => host.link,
    onUp: (listener: (host: KnownHost) => void) => {
      if (host.link.state === 'up') listener(host);
    },
    onVisitGone: (listener: (host: KnownHost) => void) => {
      tell = () => listener(host);
    },
  };
  let known = true;
  const there = {
    state: async () => ({ state: 'paused', reason: given.reason ?? 'paused-user' }),
    resume: async () => void done.push('go on'),
  } as unknown as Connection;
  const visits = {
    open: async ({ visit: opened }: { readonly visit: string }) => {
      done.push(`open ${opened}`);
      return { connection: async () => there } as VisitLink;
    },
    connection: async () => there,
    has: (which: string) => known && which === away.visit,
    end: async (ended: string) => {
      known = false;
      done.push(`cut ${ended}`);
    },
  };
  const onFault = (what: string): void => void done.push(`fault: ${what}`);
  const forgotten = new Set<string>();
  const awayVms = {
    noteForgotten: (which: string, isSo: boolean) => {
      if (isSo) forgotten.add(which);
      else forgotten.delete(which);
    },
  };
  const moves = new Moves({
    journal,
    fleet,
    hosts,
    visits,
    planner: { plan: () => Promise.reject(new Error('planned')) },
    mayShrink: () => true,
    onChange: () => undefined,
    onBalloonGiven: () => undefined,
    onEnded: () => undefined,
    onFault,
  });
  const services = { writers: async () => given.writers?.() ?? [] };
  const rooms = { journal, fleet, hosts, visits, services, moves, awayVms, onChange: () => undefined, onFault };
  const wishes = new HomeWishes({
    ...rooms,
    moves: {
      isMoving: given.isMoving ?? (() => false),
      home: async (_vm, { by, reason }) => {
        step('move home', `move home for ${by}: ${reason}`);
        return move();
      },
      wait: async () => move({ phase: 'failed', ...given.moveEnds }),
    },
  });
  onTestFinished(() => wishes.stop());
  const keeper = new VisitKeeper({ ...rooms, lookAgainMs: 20 });
  onTestFinished(() => keeper.stop());
  return {
    moves,
    keeper,
    restarts: new Restarts({ ...rooms, retryMs: 5 }),
    wishes,
    journal,
    vm: current,
    done,
    forgotten,
    tell: () => tell(),
    nextEngine: (changes = {}) => sceneOver(journal, host, done, { ...given, ...changes }),
  };
}

/** What taking back a disk consists of. */
export const takenBack = [`cut ${visit}`, `revoke visit-${visit}`, 'allow home', 'watch at home'];
export const placeIn = (journal: Journal) => journal.place(vmUuid)?.place.kind;
