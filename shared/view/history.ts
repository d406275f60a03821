import type { LogEntry } from '../rpc.ts';
import { calculationFigures, logSentence } from './decision.ts';
import { wasCancelled } from './move.ts';
import { type Figure, moveFigures } from './timeline.ts';
import { formatDuration, sentence } from './units.ts';

/** What a list of the past is narrowed to; empty strings narrow nothing. */
export interface LogFilter {
  readonly kind: LogEntry['kind'] | '';
  readonly vm: string;
  readonly text: string;
}

export interface LogRow {
  readonly at: string;
  readonly kind: LogEntry['kind'];
  /** "Moved", "Not moved", "Suggested" …: how it went, in a word or two. */
  readonly tag: string;
  readonly tone: 'good' | 'plain' | 'warn' | 'bad';
  readonly vmName: string | undefined;
  readonly sentence: string;
  /** Why it was done. */
  readonly reason: string | undefined;
  readonly figures: readonly Figure[];
}

export function logRow(entry: LogEntry): LogRow {
  const base = { at: entry.at, kind: entry.kind, sentence: logSentence(entry) };
  switch (entry.kind) {
    case 'move': {
      const { move } = entry;
      return {
        ...base,
        ...outcome(entry),
        vmName: move.vmName,
        reason: sentence(move.reason),
        figures: moveFigures(move),
      };
    }
    case 'decision': {
      const { outcome: how, expectedGainS, expectedCostS, policy, vmName } = entry.decision;
      const figures = [
        { label: 'Policy', value: policy },
        ...(expectedGainS === undefined
          ? []
          : [{ label: 'Expected gain', value: formatDuration(expectedGainS * 1_000) }]),
        ...(expectedCostS === undefined
          ? []
          : [{ label: 'Expected cost', value: formatDuration(expectedCostS * 1_000) }]),
        ...calculationFigures(entry.decision),
      ];
      const tag = { acted: 'Acted', suggested: 'Suggested', noted: 'Noted' }[how];
      return { ...base, tag, tone: 'plain', vmName, reason: undefined, figures };
    }
    case 'event':
      return { ...base, tag: 'Event', tone: 'plain', vmName: undefined, reason: undefined, figures: [] };
  }
}

function outcome({ move }: Extract<LogEntry, { kind: 'move' }>): Pick<LogRow, 'tag' | 'tone'> {
  if (move.phase === 'done') return { tag: move.direction === 'out' ? 'Offloaded' : 'Came home', tone: 'good' };
  if (move.phase === 'lost') return { tag: 'Lost', tone: 'bad' };
  if (move.phase === 'failed') {
    return wasCancelled(move) ? { tag: 'Cancelled', tone: 'plain' } : { tag: 'Not moved', tone: 'warn' };
  }
  return { tag: 'Moving', tone: 'plain' };
}

/** Rows that match, newest first. */
export function filterRows(rows: readonly LogRow[], { kind, vm, text }: LogFilter): LogRow[] {
  const sought = text.trim().toLowerCase();
  return rows.filter(
    (row) =>
      (kind === '' || row.kind === kind) &&
      (vm === '' || row.vmName === vm) &&
      (sought === '' || `${row.tag} ${row.sentence} ${row.reason ?? ''}`.toLowerCase().includes(sought)),
  );
}
