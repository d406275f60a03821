import type { ReactNode } from 'react';
import type { Figure } from '../../shared/view/index.ts';

interface FigureListProps {
  readonly figures: readonly Figure[];
}

export function FigureList({ figures }: FigureListProps): ReactNode {
  if (figures.length === 0) return null;
  return (
    <dl className="figures">
      {figures.map(({ label, value }) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
