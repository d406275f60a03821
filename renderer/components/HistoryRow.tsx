import { memo, type ReactNode } from 'react';
import type { LogRow } from '../../shared/view/index.ts';
import { Chip } from './Chip.tsx';
import { FigureList } from './FigureList.tsx';

interface HistoryRowProps {
  readonly row: LogRow;
}

const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** One entry of the log. Unchanged rows are not drawn again: there may be a thousand. */
export const HistoryRow = memo(function HistoryRow({ row }: HistoryRowProps): ReactNode {
  return (
    <li className="log-row">
      <div className="log-head">
        <Chip tone={row.tone}>{row.tag}</Chip>
        <time className="soft small" dateTime={row.at}>
          {when.format(new Date(row.at))}
        </time>
      </div>
      <p>{row.sentence}</p>
      {row.reason === undefined ? null : <p className="soft small">Why: {row.reason}</p>}
      <FigureList figures={row.figures} />
    </li>
  );
});
