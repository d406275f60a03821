import type { ReactNode } from 'react';
import type { Move } from '../../shared/model/move.ts';
import { phaseWords, progressOf, progressView, routeWords, sentence } from '../../shared/view/index.ts';
import { href } from '../route.ts';
import { Icon } from './Icon.tsx';
import { MoveBar } from './MoveBar.tsx';

interface MoveStripProps {
  readonly move: Move;
}

/** A move under way, on the card of its VM. */
export function MoveStrip({ move }: MoveStripProps): ReactNode {
  const { percent, left, rate, timeLeft } = progressView(progressOf(move));
  const figures = [percent, left, rate, timeLeft].filter((part) => part !== undefined);
  return (
    <div className="strip">
      <p className="strip-head">
        <Icon name={move.direction === 'out' ? 'out' : 'back'} />
        <strong>{move.direction === 'out' ? `To ${move.hostName}` : `Home from ${move.hostName}`}</strong>
        <a href={href('moves')}>
          Details<span className="hidden"> of the move {routeWords(move)}</span>
        </a>
      </p>
      <MoveBar move={move} />
      <p className="strip-foot">
        <span role="status">{sentence(phaseWords(move))}</span> <span className="figure">{figures.join(' · ')}</span>
      </p>
    </div>
  );
}
