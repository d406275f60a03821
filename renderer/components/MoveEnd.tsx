import type { ReactNode } from 'react';
import type { Move } from '../../shared/model/move.ts';
import { moveSummary, wasCancelled } from '../../shared/view/index.ts';
import { IconButton } from './IconButton.tsx';
import { Note } from './Note.tsx';

interface MoveEndProps {
  readonly move: Move;
  /** Absent where it stays. */
  readonly onDismiss?: () => void;
}

/** How a move ended, with its figures. */
export function MoveEnd({ move, onDismiss }: MoveEndProps): ReactNode {
  const tone = move.phase === 'done' ? 'good' : move.phase === 'lost' ? 'bad' : wasCancelled(move) ? 'info' : 'warn';
  return (
    <div role="status">
      <Note
        tone={tone}
        action={onDismiss === undefined ? null : <IconButton icon="close" label="Dismiss" onPress={onDismiss} />}
      >
        {moveSummary(move)}
      </Note>
    </div>
  );
}
