import type { ReactNode } from 'react';
import { visitLine } from '../../shared/view/index.ts';
import type { VisitInfo } from '../../shared/wire.ts';
import { useAction, useCall, useNow, useOnline } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';

interface VisitorProps {
  readonly visit: VisitInfo;
}

/** A VM of another computer that runs here. */
export function Visitor({ visit }: VisitorProps): ReactNode {
  const call = useCall();
  const online = useOnline();
  const now = useNow(10_000);
  const send = useAction(() => call('visit.sendHome', { visit: visit.visit }));
  return (
    <li>
      <span>{visitLine(visit, now)}</span>
      <ActButton
        label="Send home"
        description={`Send ${visit.vmName} home`}
        busy={send.busy}
        disabled={!online}
        onPress={send.run}
      />
      <Failure report={send.failure} onDismiss={send.clear} />
    </li>
  );
}
