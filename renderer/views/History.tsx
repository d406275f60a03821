import { type ReactNode, useDeferredValue, useMemo, useState } from 'react';
import type { LogEntry } from '../../shared/rpc.ts';
import { count, filterRows, type LogFilter, logRow } from '../../shared/view/index.ts';
import { ActButton } from '../components/ActButton.tsx';
import { Empty } from '../components/Empty.tsx';
import { Failure } from '../components/Failure.tsx';
import { HistoryRow } from '../components/HistoryRow.tsx';
import { Loading } from '../components/Loading.tsx';
import { Pick } from '../components/Pick.tsx';
import { TextBox } from '../components/TextBox.tsx';
import { View } from '../components/View.tsx';
import { useAsked, useCall, useWindow } from '../hooks.ts';

interface HistoryProps {
  /** Name of the VM to begin with; undefined for all. */
  readonly vmName: string | undefined;
}

const shown = 1_000;
const kinds = [
  { key: '', label: 'Everything' },
  { key: 'move', label: 'Moves' },
  { key: 'decision', label: 'Decisions' },
  { key: 'event', label: 'Events' },
] as const satisfies readonly { readonly key: LogFilter['kind']; readonly label: string }[];

export function History({ vmName }: HistoryProps): ReactNode {
  const call = useCall();
  const logged = useWindow((state) => state.logged);
  const { value, failure, again } = useAsked(() => call('log.list', { limit: shown }), String(logged));
  const [filter, setFilter] = useState<LogFilter>({ kind: '', vm: vmName ?? '', text: '' });
  const rows = useMemo(() => newestFirst(value ?? []).map((entry) => ({ ...logRow(entry), entry })), [value]);
  const names = useMemo(() => [...new Set(rows.flatMap((row) => row.vmName ?? []))].sort(), [rows]);
  const sought = useDeferredValue(filter);
  const found = useMemo(() => new Set(filterRows(rows, sought)), [rows, sought]);
  const visible = rows.filter((row) => found.has(row));
  const narrow = (change: Partial<LogFilter>): void => setFilter({ ...filter, ...change });

  return (
    <View
      title="History"
      actions={
        <ActButton
          label="Export"
          icon="download"
          description="Export what is shown as JSON"
          disabled={visible.length === 0}
          onPress={() => download(visible.map(({ entry }) => entry))}
        />
      }
    >
      <search className="filters">
        <TextBox
          label="Search"
          type="search"
          placeholder="word or name"
          value={filter.text}
          onChange={(text) => narrow({ text })}
        />
        <Pick
          label="Show"
          options={kinds}
          value={filter.kind}
          onChange={(key) => narrow({ kind: kinds.find((kind) => kind.key === key)?.key ?? '' })}
        />
        <Pick
          label="VM"
          options={[
            { key: '', label: 'All VMs' },
            ...[...new Set([...names, ...(vmName === undefined ? [] : [vmName])])].map((name) => ({
              key: name,
              label: name,
            })),
          ]}
          value={filter.vm}
          onChange={(vm) => narrow({ vm })}
        />
      </search>
      {failure === undefined ? null : (
        <>
          <Failure report={failure} />
          <ActButton label="Try again" onPress={again} />
        </>
      )}
      {value === undefined && failure === undefined ? <Loading words="Reading the log…" /> : null}
      {value === undefined ? null : (
        <p className="soft small" role="status">
          {visible.length === rows.length
            ? count(rows.length, 'entry', 'entries')
            : `${visible.length} of ${count(rows.length, 'entry', 'entries')}`}
          {rows.length === shown ? ', the newest' : ''}
        </p>
      )}
      {value !== undefined && rows.length === 0 ? (
        <Empty icon="history" title="Nothing has happened yet">
          <p>Every move and every decision will be here, with its reason and figures.</p>
        </Empty>
      ) : null}
      {rows.length > 0 && visible.length === 0 ? (
        <Empty icon="history" title="Nothing matches">
          <ActButton label="Show everything" onPress={() => setFilter({ kind: '', vm: '', text: '' })} />
        </Empty>
      ) : null}
      <ol className="log" aria-label="Log, newest first">
        {visible.map((row) => (
          <HistoryRow key={keyOf(row.entry)} row={row} />
        ))}
      </ol>
    </View>
  );
}

function newestFirst(entries: readonly LogEntry[]): LogEntry[] {
  return entries.toSorted((a, b) => b.at.localeCompare(a.at));
}

function keyOf(entry: LogEntry): string {
  switch (entry.kind) {
    case 'move':
      return `move ${entry.move.id} ${entry.at} ${entry.move.phase}`;
    case 'decision':
      return `decision ${entry.decision.vm} ${entry.at} ${entry.decision.action}`;
    case 'event':
      return `event ${entry.at} ${entry.text}`;
  }
}

function download(entries: readonly LogEntry[]): void {
  const address = URL.createObjectURL(new Blob([JSON.stringify(entries, null, 2)], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = 'homeward-history.json';
  link.click();
  URL.revokeObjectURL(address);
}
