import type { ReactNode } from 'react';
import type { ErrorReport } from '../../shared/errors.ts';
import { hintOf } from '../../shared/view/index.ts';
import { Icon } from './Icon.tsx';
import { IconButton } from './IconButton.tsx';

interface FailureProps {
  readonly report: ErrorReport | undefined;
  /** Absent where it goes away by itself, when asked again. */
  readonly onDismiss?: () => void;
}

/** What went wrong and what to do, next to what was clicked. */
export function Failure({ report, onDismiss }: FailureProps): ReactNode {
  if (report === undefined) return null;
  const hint = hintOf(report);
  return (
    <div className="note note-bad" role="alert">
      <Icon name="bad" />
      <div className="note-words">
        <p>{report.message}</p>
        {hint === undefined ? null : <p className="soft">{hint}</p>}
      </div>
      {onDismiss === undefined ? null : <IconButton icon="close" label="Dismiss" onPress={onDismiss} />}
    </div>
  );
}
