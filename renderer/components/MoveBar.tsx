import type { ReactNode } from 'react';
import { ProgressBar } from 'react-aria-components';
import type { Move } from '../../shared/model/move.ts';
import { progressShare, routeWords } from '../../shared/view/index.ts';

interface MoveBarProps {
  readonly move: Move;
}

/** How much of the memory has arrived; runs without an end while nothing is known. */
export function MoveBar({ move }: MoveBarProps): ReactNode {
  const share = move.phase === 'copying' || move.phase === 'postcopy' ? progressShare(move.progress) : undefined;
  return (
    <ProgressBar
      className="bar"
      aria-label={`Memory that has arrived, ${routeWords(move)}`}
      isIndeterminate={share === undefined}
      value={(share ?? 0) * 100}
    >
      <svg className="bar-track" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        <rect className="bar-fill" width={share === undefined ? 100 : share * 100} height="1" />
      </svg>
    </ProgressBar>
  );
}
