import type { ReactNode } from 'react';
import type { Status } from '../../shared/rpc.ts';
import { Empty } from '../components/Empty.tsx';
import { MovePanel } from '../components/MovePanel.tsx';
import { View } from '../components/View.tsx';
import { useWindow } from '../hooks.ts';
import { href } from '../route.ts';

interface MovesProps {
  readonly status: Status;
}

/** What moves now, and what ended while this window was open. */
export function Moves({ status }: MovesProps): ReactNode {
  const ended = useWindow((state) => state.ended);
  // A move may have ended and its status still be on its way.
  const underWay = status.moves.filter((move) => !ended.some(({ id }) => id === move.id));
  return (
    <View title="Moves">
      {underWay.length === 0 && ended.length === 0 ? (
        <Empty icon="moves" title="Nothing is moving">
          <p>
            A move shows here while it runs, with its phases and figures. Earlier ones are in the{' '}
            <a href={href('history')}>history</a>.
          </p>
        </Empty>
      ) : null}
      {[...underWay, ...ended].map((move) => (
        <MovePanel key={move.id} move={move} hosts={status.hosts} />
      ))}
    </View>
  );
}
