import type { Direction, Move } from '../../../shared/model/move.ts';

/**
 * When a fault strikes: while the VM is away and at rest, or at one point of a move. At `switchover` the source has
 * been told to stop for post-copy, and has perhaps done so; in `post-copy` the guest runs at the destination with pages missing.
 */
export const moments = [
  'idle-away',
  'out/prepare',
  'out/pre-copy',
  'out/switchover',
  'out/post-copy',
  'out/settle',
  'home/prepare',
  'home/pre-copy',
  'home/switchover',
  'home/post-copy',
  'home/settle',
] as const;
export type Moment = (typeof moments)[number];

/** What a fault met: it may come later than it was meant to, and is then judged by what it met. */
export type Met = Moment | 'idle-home';

export type Point = 'prepare' | 'pre-copy' | 'switchover' | 'post-copy' | 'settle';

export function directionOf(moment: Moment): Direction | undefined {
  if (moment === 'idle-away') return undefined;
  return moment.startsWith('out/') ? 'out' : 'home';
}

export function pointOf(met: Met): Point | undefined {
  const [, point] = /\/(prepare|pre-copy|switchover|post-copy|settle)$/.exec(met) ?? [];
  return point as Point | undefined;
}

/** The VM's memory lies on both machines, and neither has all of it. */
export function isSplit(met: Met): boolean {
  const point = pointOf(met);
  return point === 'switchover' || point === 'post-copy';
}

/**
 * How far a move has come; undefined of one that failed.
 * @param move as the engine told of it last
 * @param arrived whether a beat has come from the destination
 */
export function metBy(
  direction: Direction,
  { phase, progress, cancellable }: Pick<Move, 'phase' | 'progress' | 'cancellable'>,
  arrived: boolean,
): Met | undefined {
  switch (phase) {
    case 'planned':
    case 'preparing':
      return `${direction}/prepare`;
    case 'copying':
      // The guest is heard there a moment before the engine knows.
      if (arrived) return `${direction}/settle`;
      if ((progress?.transferredBytes ?? 0) === 0) return `${direction}/prepare`;
      return cancellable ? `${direction}/pre-copy` : `${direction}/switchover`;
    case 'postcopy':
    case 'paused':
    case 'recovering':
      return arrived ? `${direction}/post-copy` : `${direction}/switchover`;
    case 'switched':
    case 'settling':
      return `${direction}/settle`;
    case 'done':
      return direction === 'out' ? 'idle-away' : 'idle-home';
    case 'failed':
    case 'lost':
      return undefined;
    default:
      return phase satisfies never;
  }
}
