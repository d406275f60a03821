import type { ReactNode } from 'react';

type Tone = 'good' | 'plain' | 'warn' | 'bad' | 'accent';

interface ChipProps {
  readonly tone: Tone;
  readonly children: ReactNode;
}

/** A state in a word or two; the word carries it, the colour only helps. */
export function Chip({ tone, children }: ChipProps): ReactNode {
  return <span className={`chip chip-${tone}`}>{children}</span>;
}
