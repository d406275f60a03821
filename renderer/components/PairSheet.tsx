import type { ReactNode } from 'react';
import type { Pairing } from '../../shared/rpc.ts';
import { pairingView } from '../../shared/view/index.ts';
import { useAction, useStore } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';
import { Sheet } from './Sheet.tsx';

interface PairSheetProps {
  readonly pairing: Pairing;
}

/** The code to compare, and yes or no. The same whichever computer began. */
export function PairSheet({ pairing }: PairSheetProps): ReactNode {
  const store = useStore();
  const view = pairingView(pairing);
  const accept = useAction(() => store.answerPairing(pairing, true));
  const refuse = useAction(() => store.answerPairing(pairing, false));
  const failure = accept.failure ?? refuse.failure;
  const close = (): void => store.removePairing(pairing.id);
  return (
    <Sheet title={`Pair with ${pairing.peerName}?`} open urgent onClose={close}>
      <div className="stack">
        <p>{view.title}</p>
        <p className="code">{view.code}</p>
        <p>
          <strong>{view.question}</strong> If it differs, somebody may be between the two computers.
        </p>
        {accept.busy ? <p role="status">Waiting for the answer at {pairing.peerName}…</p> : null}
      </div>
      <Failure report={failure} />
      <div className="buttons">
        {failure === undefined ? (
          <>
            <ActButton label="No" busy={refuse.busy} disabled={accept.busy} onPress={refuse.run} />
            <ActButton
              label="Yes, the same code"
              tone="primary"
              busy={accept.busy}
              disabled={refuse.busy}
              onPress={accept.run}
            />
          </>
        ) : (
          <ActButton label="Close" onPress={close} />
        )}
      </div>
    </Sheet>
  );
}
