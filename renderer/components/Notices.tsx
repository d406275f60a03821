import type { ReactNode } from 'react';
import { useStore, useWindow } from '../hooks.ts';
import { Icon } from './Icon.tsx';
import { IconButton } from './IconButton.tsx';

/** What is worth a sentence and belongs to no place in the page. Good news goes by itself. */
export function Notices(): ReactNode {
  const store = useStore();
  const notices = useWindow((state) => state.notices);
  return (
    <div className="notices" role="status">
      {notices.map(({ id, tone, text }) => (
        <div key={id} className={`notice note note-${tone}`}>
          <Icon name={tone === 'good' ? 'check' : 'bad'} />
          <div className="note-words">{text}</div>
          <IconButton icon="close" label="Dismiss" onPress={() => store.dismiss(id)} />
        </div>
      ))}
    </div>
  );
}
