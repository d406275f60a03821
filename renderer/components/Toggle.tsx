import type { ReactNode } from 'react';
import { Switch } from 'react-aria-components';

interface ToggleProps {
  readonly label: string;
  /** What it means, below the label. */
  readonly detail?: string;
  /** Spoken instead of the label where that would not tell them apart. */
  readonly description?: string;
  readonly on: boolean;
  readonly disabled?: boolean;
  readonly onChange: (on: boolean) => void;
}

export function Toggle({ label, detail, description, on, disabled = false, onChange }: ToggleProps): ReactNode {
  return (
    <Switch
      className="toggle"
      isSelected={on}
      isDisabled={disabled}
      onChange={onChange}
      {...(description === undefined ? {} : { 'aria-label': description })}
    >
      <span className="toggle-track" aria-hidden="true">
        <span className="toggle-knob" />
      </span>
      <span className="toggle-words">
        <span>{label}</span>
        {detail === undefined ? null : <span className="soft small">{detail}</span>}
      </span>
    </Switch>
  );
}
