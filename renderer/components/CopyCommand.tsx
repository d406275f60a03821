import { type ReactNode, useState } from 'react';
import { ActButton } from './ActButton.tsx';

interface CopyCommandProps {
  readonly command: string;
}

export function CopyCommand({ command }: CopyCommandProps): ReactNode {
  const [label, setLabel] = useState('Copy');
  const copy = (): void => {
    navigator.clipboard.writeText(command).then(
      () => setLabel('Copied'),
      () => setLabel('Select it to copy'),
    );
  };
  return (
    <div className="command">
      <code>{command}</code>
      <ActButton label={label} icon="copy" tone="quiet" description={`${label}: ${command}`} onPress={copy} />
    </div>
  );
}
