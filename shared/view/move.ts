import { cancelledByUser } from '../machine/move-machine.ts';
import type { Move, Phase, Progress } from '../model/move.ts';
import { outOfTime } from '../plan/homecoming.ts';
import type { Plan } from '../rpc.ts';
import { inTimeWords, plannedWords } from './planned.ts';
import { formatBytes, formatDuration, formatRate, sentence } from './units.ts';

function isCarried(phase: Phase): boolean {
  return phase === 'copying' || phase === 'postcopy';
}

/** Nothing crosses, and somebody may have to do something about it. */
export function isStalled({ phase, linkDown }: Pick<Move, 'phase' | 'linkDown'>): boolean {
  return phase === 'paused' || phase === 'recovering' || (linkDown === true && isCarried(phase));
}

/** What happens in a phase, to be read after "work → tower: ". */
export function phaseWords({ phase, direction, linkDown }: Pick<Move, 'phase' | 'direction' | 'linkDown'>): string {
  if (linkDown === true && isCarried(phase)) return 'waiting for the link to come back';
  const there = direction === 'out' ? 'there' : 'at home';
  switch (phase) {
    case 'planned':
      return 'about to start';
    case 'preparing':
      return 'getting ready';
    case 'copying':
      return 'copying memory';
    case 'postcopy':
      return `running ${there}, fetching the rest of its memory`;
    case 'paused':
      return 'paused, the link is gone';
    case 'recovering':
      return 'the link is back, picking up where it stopped';
    case 'switched':
      return `running ${there}`;
    case 'settling':
      return `running ${there}, tidying up`;
    case 'done':
      return 'done';
    case 'failed':
      return 'not moved';
    case 'lost':
      return 'lost';
  }
}

/** "work → tower", "work ← tower". */
export function routeWords(move: Pick<Move, 'vmName' | 'direction' | 'hostName'>): string {
  return `${move.vmName} ${move.direction === 'out' ? '→' : '←'} ${move.hostName}`;
}

/**
 * How much of the memory has arrived, 0..1, for a bar. A later pre-copy round sends again what was written
 * meanwhile, so it may go back. Undefined while nothing is known.
 */
export function progressShare(progress: Progress | undefined): number | undefined {
  if (progress === undefined || progress.totalBytes === 0) return undefined;
  return Math.min(1, Math.max(0, 1 - progress.remainingBytes / progress.totalBytes));
}

/** Figures of a move under way: what a bar shows beside itself, each part alone. */
interface ProgressView {
  /** 0..100, whole, where `percent` is in words. */
  readonly share: number | undefined;
  readonly percent: string | undefined;
  /** Memory still to come. */
  readonly left: string | undefined;
  readonly rate: string | undefined;
  readonly timeLeft: string | undefined;
}

export function progressView(progress: Progress | undefined): ProgressView {
  const share = progressShare(progress);
  if (progress === undefined || share === undefined) {
    return { share: undefined, percent: undefined, left: undefined, rate: undefined, timeLeft: undefined };
  }
  // 100 % only when nothing is left.
  const whole = progress.remainingBytes === 0 ? 100 : Math.min(99, Math.floor(share * 100));
  return {
    share: whole,
    percent: `${whole} %`,
    left: `${formatBytes(progress.remainingBytes)} of ${formatBytes(progress.totalBytes)} left`,
    rate: progress.rateBytesPerSec > 0 ? formatRate(progress.rateBytesPerSec) : undefined,
    timeLeft: progress.timeLeftMs === undefined ? undefined : `about ${formatDuration(progress.timeLeftMs)}`,
  };
}

/** What is carried now: nothing while the link is down, nor before and after. */
export function progressOf(move: Move): Move['progress'] | undefined {
  return isCarried(move.phase) && move.linkDown !== true ? move.progress : undefined;
}

/** One line for a move in any phase: "work → tower: copying memory, 62 %, 190 MiB of 512 MiB left, 22 MiB/s, about 9 s". */
export function moveLine(move: Move): string {
  const { percent, left, rate, timeLeft } = progressView(progressOf(move));
  const parts = [phaseWords(move), percent, left, rate, timeLeft, inTimeWords(move)];
  return `${routeWords(move)}: ${parts.filter((part) => part !== undefined).join(', ')}`;
}

export function wasCancelled(move: Move): boolean {
  return move.phase === 'failed' && move.failure === cancelledByUser;
}

/** How a move ended, in a few words. */
export function moveTitle(move: Move): string {
  if (move.phase === 'lost') return `${move.vmName} is lost`;
  if (move.phase !== 'done') return `${move.vmName} was not moved`;
  return move.direction === 'out' ? `${move.vmName} is at ${move.hostName}` : `${move.vmName} is home`;
}

/** How a move ended, in sentences. */
export function moveSummary(move: Move): string {
  const target = move.direction === 'out' ? `at ${move.hostName}` : 'at home';
  const origin = move.direction === 'out' ? 'at home' : `at ${move.hostName}`;
  switch (move.phase) {
    case 'done':
      return [`${move.vmName} now runs ${target}.`, figures(move)].filter((part) => part !== '').join(' ');
    case 'failed':
      if (move.failure === outOfTime && move.direction === 'home') {
        return `${move.vmName} could not be home in time. It waits ${origin}, paused, and goes on when this computer is back; or bring it home with: homeward home ${move.vmName}`;
      }
      return wasCancelled(move)
        ? `The move was cancelled. ${move.vmName} still runs ${origin}.`
        : `${move.vmName} was not moved and still runs ${origin}. ${sentence(move.failure ?? 'The reason is not known')}`;
    case 'lost':
      return `${move.vmName} does not run any more. ${sentence(move.failure ?? 'The reason is not known')}`;
    default:
      return `${moveLine(move)}.`;
  }
}

function figures(move: Move): string {
  const parts = [
    move.totalMs === undefined ? undefined : `took ${formatDuration(move.totalMs)}`,
    move.downtimeMs === undefined ? undefined : `paused the VM for ${formatDuration(move.downtimeMs)}`,
    move.wireBytes === undefined ? undefined : `sent ${formatBytes(move.wireBytes)}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : `The move ${list(parts)}.`;
}

/** The verdict of a dry run, first the answer, then the reasons, one per line. */
export function planLines(plan: Plan): string[] {
  const what = plan.direction === 'out' ? `move to ${plan.hostName}` : `come home from ${plan.hostName}`;
  const cost = [
    plan.expectedMs === undefined ? undefined : `about ${formatDuration(plan.expectedMs)}`,
    plan.expectedBytes === undefined ? undefined : `about ${formatBytes(plan.expectedBytes)} to send`,
    plan.postcopy ? 'post-copy if it does not converge' : 'pre-copy only',
  ].filter((part) => part !== undefined);
  return [
    plan.possible ? `${plan.vmName} can ${what}: ${cost.join(', ')}.` : `${plan.vmName} cannot ${what}.`,
    ...(plan.possible && plan.way !== undefined ? [`Plan: ${plannedWords(plan.way, plan.inTime === true)}.`] : []),
    ...plan.obstacles.map((obstacle) => `Obstacle: ${sentence(obstacle)}`),
    ...plan.warnings.map((warning) => `Beware: ${sentence(warning)}`),
  ];
}

function list(parts: readonly string[]): string {
  const last = parts.at(-1) ?? '';
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(', ')} and ${last}`;
}
