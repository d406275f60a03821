import type { ReactNode } from 'react';
import { Button } from 'react-aria-components';
import { Icon, type IconName } from './Icon.tsx';

interface IconButtonProps {
  readonly icon: IconName;
  readonly label: string;
  /** Absent inside a trigger, which hears it itself. */
  readonly onPress?: () => void;
}

export function IconButton({ icon, label, onPress }: IconButtonProps): ReactNode {
  return (
    <Button className="icon-button" aria-label={label} {...(onPress === undefined ? {} : { onPress })}>
      <Icon name={icon} />
    </Button>
  );
}
