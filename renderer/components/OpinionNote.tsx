import type { ReactNode } from 'react';
import type { Opinion } from '../../shared/view/index.ts';
import { FigureList } from './FigureList.tsx';

interface OpinionNoteProps {
  readonly opinion: Opinion;
}

/** What the policy thinks of a VM and, unfolded, the figures behind it. */
export function OpinionNote({ opinion }: OpinionNoteProps): ReactNode {
  const { sentence, figures, suggestion } = opinion;
  return (
    <div className={suggestion === undefined ? 'opinion soft' : 'opinion strip'}>
      <p>{sentence}</p>
      {figures.length === 0 ? null : (
        <details>
          <summary>The figures behind it</summary>
          <FigureList figures={figures} />
        </details>
      )}
    </div>
  );
}
