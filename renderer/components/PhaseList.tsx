import type { ReactNode } from 'react';
import type { Move } from '../../shared/model/move.ts';
import { phaseTimeline } from '../../shared/view/index.ts';

interface PhaseListProps {
  readonly move: Move;
}

const spoken = { past: 'done', now: 'now', ahead: 'still to come' } as const;

/** The phases of a move in their order. */
export function PhaseList({ move }: PhaseListProps): ReactNode {
  const steps = phaseTimeline(move);
  // A phase may come twice (two broken links), so its place in the list is part of what it is.
  const keyed = steps.map((step, at) => ({ ...step, key: `${at}-${step.phase}` }));
  return (
    <ol className={`phases phases-${move.phase}`} aria-label="Phases">
      {keyed.map(({ key, label, state, took }) => (
        <li key={key} className={`phase phase-${state}`} aria-current={state === 'now' ? 'step' : undefined}>
          <span className="phase-label">{label}</span>
          <span className="hidden"> ({spoken[state]})</span>
          <span className="phase-took soft small">{took ?? (state === 'now' ? 'now' : '')}</span>
        </li>
      ))}
    </ol>
  );
}
