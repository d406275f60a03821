import type { ReactNode } from 'react';
import { useAction, useCall, useWindow } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';
import { Icon } from './Icon.tsx';

/** Says when the shell or the engine is gone, and what still holds. */
export function EngineBanner(): ReactNode {
  const call = useCall();
  const shell = useWindow((state) => state.shell);
  const engine = useWindow((state) => state.engine);
  const start = useAction(() => call('shell.startEngine', {}));
  const gone = shell === 'gone' || (shell === 'open' && engine === 'gone');
  return (
    <div role="status">
      {gone ? (
        <div className="banner">
          <Icon name="warn" />
          <div className="note-words">
            {shell === 'gone' ? (
              <p>
                <strong>This window has lost its connection to Homeward.</strong> Your VMs go on where they are. The
                window connects again by itself; if it does not, open Homeward again.
              </p>
            ) : (
              <p>
                <strong>The engine is not running.</strong> Your VMs go on where they are; nothing moves until it is
                back. What you see is how things stood before.
              </p>
            )}
            <Failure report={start.failure} onDismiss={start.clear} />
          </div>
          {shell === 'gone' ? null : (
            <ActButton label="Start the engine" tone="primary" busy={start.busy} onPress={start.run} />
          )}
        </div>
      ) : null}
    </div>
  );
}
