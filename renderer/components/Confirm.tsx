import { type ReactNode, useState } from 'react';
import { useAction, useOnline } from '../hooks.ts';
import { ActButton } from './ActButton.tsx';
import { Failure } from './Failure.tsx';
import { Sheet } from './Sheet.tsx';

interface ConfirmProps {
  /** On the button, and again on the answer that does it. */
  readonly label: string;
  /** The button's name where the label alone does not say what it is about. */
  readonly description: string;
  readonly question: string;
  /** What will and what will not happen. */
  readonly children: ReactNode;
  readonly act: () => Promise<unknown>;
}

/** A button whose deed is asked about first. */
export function Confirm({ label, description, question, children, act }: ConfirmProps): ReactNode {
  const [open, setOpen] = useState(false);
  const online = useOnline();
  const action = useAction(async () => {
    await act();
    setOpen(false);
  });
  return (
    <>
      <ActButton label={label} description={description} disabled={!online} onPress={() => setOpen(true)} />
      <Sheet title={question} open={open} onClose={() => setOpen(false)}>
        <div className="stack">{children}</div>
        <Failure report={action.failure} />
        <div className="buttons">
          <ActButton label="Keep as it is" onPress={() => setOpen(false)} />
          <ActButton label={label} tone="danger" busy={action.busy} onPress={action.run} />
        </div>
      </Sheet>
    </>
  );
}
