import type { ReactNode } from 'react';
import { Icon, type IconName } from './Icon.tsx';

interface NoteProps {
  readonly tone: 'info' | 'warn' | 'bad' | 'good';
  /** After the words. */
  readonly action?: ReactNode;
  readonly children: ReactNode;
}

const icons: Readonly<Record<NoteProps['tone'], IconName>> = { info: 'info', warn: 'warn', bad: 'bad', good: 'check' };

/** A sentence that stands out, where it belongs. */
export function Note({ tone, action, children }: NoteProps): ReactNode {
  return (
    <div className={`note note-${tone}`}>
      <Icon name={icons[tone]} />
      <div className="note-words">{children}</div>
      {action}
    </div>
  );
}
