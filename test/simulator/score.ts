/** What a way through a scenario was worth, compared with staying at home. */
import type { Event, Progress, Scenario } from './world.ts';

export interface Score {
  savedS: number;
  jobs: number;
  lost: number;
  moves: number;
  pingPong: number;
}

const lostFrom = 0.02;

export function noScore(): Score {
  return { savedS: 0, jobs: 0, lost: 0, moves: 0, pingPong: 0 };
}

export function added(a: Score, b: Score): Score {
  return {
    savedS: a.savedS + b.savedS,
    jobs: a.jobs + b.jobs,
    lost: a.lost + b.lost,
    moves: a.moves + b.moves,
    pingPong: a.pingPong + b.pingPong,
  };
}

/**
 * A job's time is from its arrival, or from the end of the one before it where it had to wait for that, to its own end;
 * it has lost where that is over 2 % more than at home. `cooldownS`: out, home and out again within it is a ping-pong.
 * @throws RangeError where not all jobs ended
 */
export function scoreOf(scenario: Scenario, never: Progress, progress: Progress, cooldownS: number): Score {
  const went = lengthsOf(scenario, progress);
  const score = noScore();
  for (const [job, stayS] of lengthsOf(scenario, never).entries()) {
    score.jobs += 1;
    if ((went[job] ?? 0) > stayS * (1 + lostFrom)) score.lost += 1;
  }
  score.savedS = never.busyS - progress.busyS;
  const moves = eventsOf(progress).flatMap((event) => ('move' in event ? [event] : []));
  score.moves = moves.length;
  for (const [index, out] of moves.entries()) {
    const again = moves[index + 2];
    if (out.move === 'out' && again?.move === 'out' && again.fromS - out.endS < cooldownS) score.pingPong += 1;
  }
  return score;
}

function lengthsOf(scenario: Scenario, progress: Progress): number[] {
  const ends = eventsOf(progress).flatMap((event) => ('job' in event ? [event.endS] : []));
  if (ends.length !== scenario.jobs.length) {
    throw new RangeError(`${ends.length} of ${scenario.jobs.length} jobs ended in ${scenario.family} ${scenario.seed}`);
  }
  return scenario.jobs.map(({ arrivesS }, job) => (ends[job] ?? 0) - Math.max(arrivesS, ends[job - 1] ?? 0));
}

function eventsOf({ past }: Progress): Event[] {
  const events: Event[] = [];
  for (let event = past; event !== undefined; event = event.before) events.push(event);
  return events.reverse();
}
