import type { ReactNode } from 'react';
import type { Host } from '../../shared/model/host.ts';
import type { Move } from '../../shared/model/move.ts';
import { canFinishNow, moveFigures, phaseWords, routeWords, sentence, tooLateWords } from '../../shared/view/index.ts';
import { useAction, useCall, useOnline } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';
import { FigureList } from './FigureList.tsx';
import { MoveBar } from './MoveBar.tsx';
import { MoveEnd } from './MoveEnd.tsx';
import { PhaseList } from './PhaseList.tsx';

interface MovePanelProps {
  readonly move: Move;
  readonly hosts: readonly Host[];
}

/** All there is to know about one move, and what can be done with it. */
export function MovePanel({ move, hosts }: MovePanelProps): ReactNode {
  const call = useCall();
  const online = useOnline();
  const cancel = useAction(() => call('move.cancel', { vm: move.vm }));
  const finish = useAction(() => call('move.finishNow', { vm: move.vm }));
  const over = move.endedAt !== undefined;
  return (
    <article className="card move" aria-label={routeWords(move)}>
      <header className="move-head">
        <h2>{routeWords(move)}</h2>
        <p className="soft small">Why: {sentence(move.reason)}</p>
      </header>
      {over ? (
        <MoveEnd move={move} />
      ) : (
        <>
          <p className="move-now" role="status">
            {sentence(phaseWords(move))}
          </p>
          <MoveBar move={move} />
        </>
      )}
      <div className="move-body">
        <PhaseList move={move} />
        <FigureList figures={moveFigures(move)} />
      </div>
      <Failure report={cancel.failure ?? finish.failure} onDismiss={cancel.failure ? cancel.clear : finish.clear} />
      {over ? null : (
        <footer className="buttons buttons-start">
          {move.cancellable ? (
            <ActButton label="Cancel" busy={cancel.busy} disabled={!online} onPress={cancel.run} />
          ) : (
            <p className="soft">{tooLateWords(move)}</p>
          )}
          {canFinishNow(move, hosts) ? (
            <>
              <ActButton label="Finish now" busy={finish.busy} disabled={!online} onPress={finish.run} />
              <p className="soft small">
                “Finish now” lets the VM change over at once and fetch the rest of its memory afterwards. Then it is too
                late to cancel.
              </p>
            </>
          ) : null}
        </footer>
      )}
    </article>
  );
}
