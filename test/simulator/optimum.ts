/**
 * The best that could have been done by somebody who knew everything beforehand: how long each job is, every load and
 * every break of the link. Moves cost it what they cost everybody.
 *
 * Found by dynamic programming over ticks and places. A state is how far the VM has got; of two states at the same time
 * and place, one that is not behind and has not been busy for longer can do whatever the other can, and never ends
 * later, so the other is dropped. What is left at the end with the least busy time is exact for decisions at ticks (in
 * long idle times: once a minute), which is when the policies decide too; it knows no cooldown.
 */
import { home, Progress, type Scenario, tickS, World } from './world.ts';

const idleStep = 12;
/** Two minutes and the longest move before a job arrives, all ticks count again. */
const busyAgainS = 300;

export function optimum(scenario: Scenario): Progress {
  const world = new World(scenario);
  const places = [home, ...scenario.hosts.keys()];
  const arriving = new Map<string, Progress[]>();
  const take = (tick: number, place: number): Progress[] => {
    const key = `${tick} ${place}`;
    const states = arriving.get(key) ?? [];
    arriving.delete(key);
    return states;
  };
  const put = (tick: number, place: number, state: Progress): void => {
    const key = `${tick} ${place}`;
    const states = arriving.get(key);
    if (states === undefined) arriving.set(key, [state]);
    else states.push(state);
  };
  let best: Progress | undefined;
  put(0, home, new Progress());
  for (let tick = 0; tick < scenario.ticks && arriving.size > 0; tick += 1) {
    for (const place of places) {
      for (const state of undominated(take(tick, place))) {
        if (state.job >= scenario.jobs.length) {
          if (best === undefined || state.busyS < best.busyS) best = state;
          continue;
        }
        const mayMove = world.isUp(tick) && isMoment(scenario, state, tick);
        if (place === home) {
          if (mayMove) for (const host of places) if (host !== home) tryOut(world, state, tick, host, put);
        } else if (mayMove || world.mustBeHome(tick)) {
          move(world, state, tick, place, home, put);
          if (world.mustBeHome(tick)) continue;
        }
        world.tick(state, tick, place, 'no');
        put(tick + 1, place, state);
      }
    }
  }
  if (best === undefined) throw new RangeError(`The jobs of ${scenario.family} ${scenario.seed} do not end in time`);
  return best;
}

function isMoment({ jobs }: Scenario, state: Progress, tick: number): boolean {
  if (state.stage > 0 || state.doneS > 0 || tick % idleStep === 0) return true;
  return (jobs[state.job]?.arrivesS ?? 0) < tick * tickS + busyAgainS;
}

type Put = (tick: number, place: number, state: Progress) => void;

/** One that the laptop's leaving would call off is no better than staying. */
function tryOut(world: World, state: Progress, tick: number, host: number, put: Put): void {
  const end = world.moveEnd(tick, 'out');
  for (let between = tick; between < end; between += 1) if (world.mustBeHome(between)) return;
  move(world, state, tick, home, host, put);
}

function move(world: World, from: Progress, tick: number, place: number, to: number, put: Put): void {
  const direction = to === home ? 'home' : 'out';
  const end = world.moveEnd(tick, direction);
  const state = from.copy();
  for (let now = tick; now < end; now += 1) world.tick(state, now, place, now === end - 1 ? 'last' : 'copying');
  state.moves += 1;
  state.past = { move: direction, fromS: tick * tickS, endS: end * tickS, before: state.past };
  put(end, to, state);
}

function undominated(states: Progress[]): Progress[] {
  if (states.length < 2) return states;
  states.sort((a, b) => (a.isAheadOf(b) ? -1 : b.isAheadOf(a) ? 1 : a.busyS - b.busyS || a.moves - b.moves));
  let leastBusyS = Number.POSITIVE_INFINITY;
  return states.filter(({ busyS }) => {
    if (busyS >= leastBusyS - 1e-9) return false;
    leastBusyS = busyS;
    return true;
  });
}
