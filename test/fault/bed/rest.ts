import { setTimeout as sleep } from 'node:timers/promises';
import type { GoodEnd } from './ends.ts';
import type { Rig } from './rig.ts';
import { endOf, type Sight } from './sight.ts';

/** A guest that beats a hundred times a second and has been silent for this long stands still. */
const silenceMs = 1_500;
const lookEveryMs = 700;
/** A host that sleeps answers when it is awake again. */
const hostPatienceMs = 500;
/** Alike this many times: it has come to rest. What stands still may only be about to be tried again. */
const looksAlike = 3;
const looksHalted = 20;

export interface Rest {
  /** Undefined: it has not come to rest. */
  readonly end: GoodEnd | undefined;
  readonly last: Sight;
}

/** Waits until the VM has come to rest; `waiting` counts only where `meanwhile`, and only once nothing else is left. */
export async function comeToRest(rig: Rig, limitMs: number, meanwhile = false): Promise<Rest> {
  const deadline = performance.now() + limitMs;
  let alike = 0;
  let end: GoodEnd | undefined;
  for (;;) {
    const last = await look(rig);
    const seen = endOf(last);
    alike = seen !== undefined && seen === end ? alike + 1 : 1;
    end = seen;
    const enough = end === 'halted' ? looksHalted : looksAlike;
    if (end !== undefined && alike >= enough && (meanwhile || end !== 'waiting')) return { end, last };
    if (performance.now() > deadline) return { end: undefined, last };
    await sleep(lookEveryMs);
  }
}

async function look({ scene }: Rig): Promise<Sight> {
  const { bed, guest, observer, laptop, workstation } = scene;
  const placeOf = (host: string | undefined) => (host === bed.laptop.name ? 'home' : 'away');
  const [running, status, host] = await Promise.all([
    observer.runningOn(),
    laptop.status().catch(() => undefined),
    Promise.race([workstation.status().catch(() => undefined), sleep(hostPatienceMs, undefined)]),
  ]);
  const vm = status?.vms.find(({ uuid }) => uuid === guest.uuid);
  const place = vm?.place;
  const heard = observer.silentMs() < silenceMs ? placeOf(observer.host) : undefined;
  const engine =
    status === undefined || vm === undefined || place === undefined
      ? undefined
      : {
          place: place.kind,
          state: vm.state,
          moves: status.moves.map(({ phase, linkDown }) => ({ phase, linkDown: linkDown === true })),
          hostReachable:
            place.kind === 'home' ||
            status.hosts.some(({ fingerprint, reachable }) => fingerprint === place.host && reachable),
        };
  const visits = host?.host.visitors.map(({ state }) => state);
  return { engine, running: running.map(placeOf), visits, heard };
}
