import type { ReactNode } from 'react';
import type { Plan } from '../../shared/rpc.ts';
import { planLines, sentence } from '../../shared/view/index.ts';
import type { Action } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';
import { Note } from './Note.tsx';
import { Sheet } from './Sheet.tsx';

interface PlanSheetProps {
  readonly plan: Plan | undefined;
  readonly goAhead: Action<[]>;
  readonly onClose: () => void;
}

/** What stands in the way of a move, before anything starts. */
export function PlanSheet({ plan, goAhead, onClose }: PlanSheetProps): ReactNode {
  if (plan === undefined) return null;
  const [verdict] = planLines(plan);
  return (
    <Sheet title={`Before ${plan.vmName} moves to ${plan.hostName}`} open onClose={onClose}>
      <div className="stack">
        <p>{verdict}</p>
        {plan.obstacles.map((obstacle) => (
          <Note key={obstacle} tone="bad">
            {sentence(obstacle)}
          </Note>
        ))}
        {plan.warnings.map((warning) => (
          <Note key={warning} tone="warn">
            {sentence(warning)}
          </Note>
        ))}
        {plan.postcopyObstacle === undefined ? null : (
          <Note tone="info">No post-copy: {sentence(plan.postcopyObstacle)}</Note>
        )}
      </div>
      <Failure report={goAhead.failure} />
      <div className="buttons">
        <ActButton label={plan.possible ? 'Stay here' : 'Close'} onPress={onClose} />
        {plan.possible ? (
          <ActButton label="Offload anyway" tone="primary" busy={goAhead.busy} onPress={goAhead.run} />
        ) : null}
      </div>
    </Sheet>
  );
}
