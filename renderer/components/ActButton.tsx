import type { ReactNode } from 'react';
import { Button } from 'react-aria-components';
import { Icon, type IconName } from './Icon.tsx';

interface ActButtonProps {
  readonly label: string;
  readonly onPress: () => void;
  readonly tone?: 'primary' | 'plain' | 'quiet' | 'danger';
  readonly icon?: IconName;
  /** Shows that what it began is still running, and takes no second press. */
  readonly busy?: boolean;
  readonly disabled?: boolean;
  /** Where the label alone does not say what it is about: "Pair with tower". */
  readonly description?: string;
}

export function ActButton(props: ActButtonProps): ReactNode {
  const { label, onPress, tone = 'plain', icon, busy = false, disabled = false, description } = props;
  return (
    <Button
      className={`button button-${tone}`}
      onPress={onPress}
      isPending={busy}
      isDisabled={disabled}
      {...(description === undefined ? {} : { 'aria-label': description })}
    >
      {busy ? <span className="spinner" aria-hidden="true" /> : icon === undefined ? null : <Icon name={icon} />}
      <span>{label}</span>
    </Button>
  );
}
