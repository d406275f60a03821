import type { Move, Phase } from '../model/move.ts';
import { inTimeWords, planWords } from './planned.ts';
import { formatBytes, formatDuration, formatRate } from './units.ts';

/** One step of a move, as a list shows it. */
export interface Step {
  readonly phase: Phase;
  readonly label: string;
  readonly state: 'past' | 'now' | 'ahead';
  /** How long it took; absent until it is over. */
  readonly took: string | undefined;
}

/** The way a move takes when nothing happens to it. Post-copy is part of it only where it was chosen. */
const straight = ['preparing', 'copying', 'switched', 'settling', 'done'] as const satisfies readonly Phase[];

/** Phases that were, in their order, then the one that is, then those that are still to come. */
export function phaseTimeline(move: Move): Step[] {
  const past = move.phases
    .filter(({ name }) => name !== 'planned')
    .map(({ name, ms }): Step => step(name, move, 'past', formatDuration(ms)));
  const over = move.endedAt !== undefined;
  const now: Step[] = move.phase === 'planned' ? [] : [step(move.phase, move, over ? 'past' : 'now')];
  const position = stage(move.phase);
  // One that has failed only tidies up.
  const ahead = over || move.failure !== undefined ? [] : straight.filter((phase) => stage(phase) > position);
  return [...past, ...now, ...ahead.map((phase) => step(phase, move, 'ahead'))];
}

/** How far along a phase is; the detours of post-copy lie between copying and the switch. */
function stage(phase: Phase): number {
  switch (phase) {
    case 'planned':
      return 0;
    case 'preparing':
      return 1;
    case 'copying':
      return 2;
    case 'postcopy':
    case 'paused':
    case 'recovering':
      return 3;
    case 'switched':
      return 4;
    case 'settling':
      return 5;
    case 'done':
    case 'failed':
    case 'lost':
      return 6;
  }
}

function step(phase: Phase, { direction, hostName, mode }: Move, state: Step['state'], took?: string): Step {
  const there = direction === 'out' ? `at ${hostName}` : 'at home';
  const labels: Readonly<Record<Phase, string>> = {
    planned: 'About to start',
    preparing: 'Getting ready',
    copying: 'Copying memory',
    postcopy: `Running ${there}, fetching the rest`,
    paused: 'Paused, the link is gone',
    recovering: 'The link is back',
    switched: mode === 'postcopy' ? `All of its memory is ${there}` : `Running ${there}`,
    settling: 'Tidying up',
    done: 'Done',
    failed: 'Not moved',
    lost: 'Lost',
  };
  return { phase, label: labels[phase], state, took };
}

/** A figure with its name, for a list of them. */
export interface Figure {
  readonly label: string;
  readonly value: string;
}

/** What is known about a move in figures: while it runs what crosses now, afterwards what it came to. */
export function moveFigures(move: Move): Figure[] {
  return (move.endedAt === undefined ? figuresUnderWay(move) : figuresAfterwards(move)).flatMap(([label, value]) =>
    value === undefined ? [] : [{ label, value }],
  );
}

type MaybeFigure = readonly [label: string, value: string | undefined];

function figuresUnderWay(move: Move): MaybeFigure[] {
  const { progress, downtimeMs, mode, plan } = move;
  const planned: MaybeFigure[] = [
    ['Plan', plan === undefined || mode === 'postcopy' ? undefined : planWords(plan)],
    ['In time', inTimeWords(move)],
  ];
  if (progress === undefined) return planned;
  const downtime = progress.downtimeMs ?? downtimeMs;
  return [
    ...planned,
    ['Sent', formatBytes(progress.transferredBytes)],
    ['Still to send', formatBytes(progress.remainingBytes)],
    ['Rate', formatRate(progress.rateBytesPerSec)],
    ['Time left', progress.timeLeftMs === undefined ? undefined : `about ${formatDuration(progress.timeLeftMs)}`],
    ['Rewritten', formatRate(progress.dirtyBytesPerSec)],
    ['Pre-copy rounds', String(progress.iteration)],
    ['Pages asked for', mode === 'postcopy' ? String(progress.postcopyRequests) : undefined],
    ['Paused the VM so far', downtime === undefined ? undefined : formatDuration(downtime)],
  ];
}

function figuresAfterwards({ totalMs, downtimeMs, wireBytes, memoryBytes, mode, progress }: Move): MaybeFigure[] {
  const postcopy = mode === 'postcopy';
  return [
    ['Took', totalMs === undefined ? undefined : formatDuration(totalMs)],
    ['Paused the VM', downtimeMs === undefined ? undefined : formatDuration(downtimeMs)],
    ['Sent', wireBytes === undefined ? undefined : formatBytes(wireBytes)],
    ['Memory in use', memoryBytes === undefined ? undefined : formatBytes(memoryBytes)],
    ['Way', postcopy ? 'post-copy' : 'pre-copy'],
    ['Pre-copy rounds', progress === undefined ? undefined : String(progress.iteration)],
    ['Pages asked for', postcopy && progress !== undefined ? String(progress.postcopyRequests) : undefined],
  ];
}
